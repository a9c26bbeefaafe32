//! [`World`]: an authority, two mirrors and a node, and what happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cordon::compile::Format;
use cordon::policy::{Name, Scope, UrlScope, Withdrawal, WithdrawalReason, Withdrawn};
use cordon::publish::{
    Legal, PolicyFile, Publication, PublishError, Repository, Rotation, Withdraw,
};
use cordon::source::Mirror;
use cordon::verify::{SignedPolicy, VerifyError};
use jiff::{SignedDuration, Timestamp};

use super::lies;
use super::model::{List, Model, Reached, Version};
use super::step::{Act, Disk, Edit, Lie, Step, Turn};
use crate::random::Random;
use crate::trust::forge::{Authority, Node, files_below, hour};

/// Everything of one history.
pub(super) struct World {
    folder: PathBuf,
    pub(super) random: Random,
    pub(super) authority: Authority,
    pub(super) node: Node,
    pub(super) model: Model,
    pub(super) reached: BTreeMap<&'static str, Reached>,
    /// The serials that are in force, as judged last.
    pub(super) in_force: [Option<u64>; 2],
    /// The versions whose names were compared, by list and serial.
    pub(super) compared: BTreeSet<(&'static str, u64)>,
    /// The right time.
    pub(super) now: Timestamp,
    /// How far the node's clock is ahead.
    pub(super) ahead: SignedDuration,
    pub(super) mirrors: [Lie; 2],
    pub(super) disk: Disk,
    /// What the authority published, one folder each.
    moments: Vec<PathBuf>,
    /// How many things have a name of their own.
    named: usize,
    /// What came of the steps, to be counted over all histories.
    pub(super) seen: BTreeMap<String, usize>,
}

impl World {
    /// An authority like that one, and a node with its state in `state`.
    pub(super) fn new(seed: u64, template: &Template, folder: &Path, state: &Path) -> Self {
        let authority = template.authority.copied_to(&folder.join("authority"));
        let mirrors = ["mirror-0", "mirror-1"].map(|name| Mirror::Directory(folder.join(name)));
        let node = Node::at(state, &authority, mirrors.to_vec());
        let mut world = Self {
            folder: folder.to_owned(),
            random: Random::new(seed),
            authority,
            node,
            model: template.model.clone(),
            reached: BTreeMap::new(),
            in_force: [None; 2],
            compared: BTreeSet::new(),
            now: template.now,
            ahead: SignedDuration::ZERO,
            mirrors: [Lie::Honest; 2],
            disk: Disk::Works,
            moments: Vec::new(),
            named: 0,
            seen: BTreeMap::new(),
        };
        world.node.puller.mend();
        world.note_moment();
        world.show([Lie::Honest; 2]);
        world
    }

    /// What the node's clock says.
    pub(super) fn clock(&self) -> Timestamp {
        self.now + self.ahead
    }

    /// Has a step happen.
    ///
    /// # Errors
    /// What node and authority disagree about.
    pub(super) fn take(&mut self, step: &Step) -> Result<(), String> {
        // Whatever happens takes a while.
        self.now += SignedDuration::from_secs(1 + self.random.below(90) as i64);
        match step {
            Step::Mirrors(lies) => {
                for lie in lies {
                    self.see(format!("mirror: {}", lie.word()));
                }
            }
            Step::Disk(disk) => self.see(format!("disk: {}", disk.word())),
            Step::Clock(_) => self.see("clock: jumps"),
            Step::Theft(..) => self.see("keys: stolen"),
            Step::Restart => self.see("node: restarts"),
            _ => {}
        }
        match step {
            Step::Authority(act) => self.authority_does(act, None)?,
            Step::Crash(act, of_hundred) => self.authority_does(act, Some(*of_hundred))?,
            Step::Time(minutes) => self.now += SignedDuration::from_mins(*minutes),
            Step::Mirrors(lies) => self.show(*lies),
            Step::Clock(minutes) => self.ahead = SignedDuration::from_mins(*minutes),
            Step::Disk(disk) => self.set_disk(*disk),
            Step::Theft(role, back) => {
                self.authority_does(&Act::Rotate(role, Turn::Replace), None)?;
                self.show([Lie::Replayed(*back); 2]);
                self.round(&["a", "b"])?;
            }
            Step::Restart => self.restart()?,
            Step::Round(lists) => self.round(lists)?,
            Step::Recover => self.recover()?,
        }
        Ok(())
    }

    pub(super) fn show(&mut self, lies: [Lie; 2]) {
        self.mirrors = lies;
        self.show_where(|_| true);
    }

    /// Mirrors that spoil files spoil those of now, and a thief has the keys of now.
    pub(super) fn spoil(&mut self) {
        self.show_where(|lie| match lie {
            Lie::Replayed(_) => true,
            lie => !lie.is_old() && lie != Lie::Honest,
        });
    }

    fn show_where(&mut self, is_shown: impl Fn(Lie) -> bool) {
        for (at, lie) in self.mirrors.into_iter().enumerate() {
            if !is_shown(lie) {
                continue;
            }
            self.named += 1;
            self.model.is_replayed |= matches!(lie, Lie::Replayed(_));
            let back = match lie {
                Lie::Stale(back) | Lie::Replayed(back) | Lie::Mixed(back) => back,
                _ => 0,
            };
            let old = &self.moments[self.moments.len().saturating_sub(1 + back)];
            lies::show(
                &self.folder.join(format!("mirror-{at}")),
                lie,
                &self.authority,
                old,
                &self.folder.join(format!("lie-{}", self.named)),
                &mut self.random,
            );
        }
    }

    pub(super) fn set_disk(&mut self, disk: Disk) {
        self.disk = disk;
        lies::set_disk(disk, self.node.state(), &mut self.random);
    }

    pub(super) fn see(&mut self, what: impl Into<String>) {
        *self.seen.entry(what.into()).or_default() += 1;
    }

    fn note_moment(&mut self) {
        let moment = self.folder.join(format!("moment-{}", self.moments.len()));
        lies::link_tree(&self.authority.repo(), &moment);
        self.moments.push(moment);
    }

    /// The authority acts; where it is gone after part of its new files, nothing was
    /// published.
    fn authority_does(&mut self, act: &Act, gone_after: Option<usize>) -> Result<(), String> {
        let gone_after = gone_after.filter(|_| !act.is_of_root());
        let timestamp = self.authority.repo().join("metadata/timestamp.json");
        let before = fs::read(&timestamp).unwrap();
        let model = self.model.clone();
        let done = self.act(act);
        let is_published = fs::read(&timestamp).unwrap() != before;
        match done {
            Ok(()) => self.see(format!("authority: {}", act.word())),
            Err(error) if is_published => {
                return Err(format!("the authority failed, and published: {error}"));
            }
            Err(error) => {
                self.model = model;
                if !is_expected(&error) {
                    return Err(format!("the authority fails: {error}"));
                }
                return Ok(());
            }
        }
        let Some(of_hundred) = gone_after.filter(|_| is_published) else {
            self.note_moment();
            return Ok(());
        };
        self.model = model;
        self.see("authority: crashed");
        let moment = self.moments.last().unwrap();
        let repo = self.authority.repo();
        let before = files_below(moment);
        let mut new: Vec<String> = files_below(&repo)
            .into_keys()
            .filter(|name| !before.contains_key(name))
            .collect();
        // The order in which they are written: targets, their roles, the snapshot.
        new.sort_by_key(|name| (name.starts_with("metadata"), name.contains("snapshot")));
        for name in new.iter().skip(new.len() * of_hundred / 100) {
            fs::remove_file(repo.join(name)).unwrap();
        }
        for name in before.keys() {
            let _ = fs::remove_file(repo.join(name));
            fs::hard_link(moment.join(name), repo.join(name)).unwrap();
        }
        Ok(())
    }

    fn act(&mut self, act: &Act) -> Result<(), PublishError> {
        match act {
            Act::Publish(list, edit) => self.publish(list, *edit),
            Act::Withdraw(list) => self.withdraw(list, false),
            Act::Undo(list) => self.withdraw(list, true),
            Act::Policy => {
                self.named += 1;
                let yaml = format!(
                    "lists:\n  a: {{ max_entries: {} }}\n  b: {{ kinds: [domain], largest_withdrawal: 3 }}\n",
                    9000 + self.named
                );
                let mut repository = self.open()?;
                let policy = PolicyFile::read(&yaml, &repository.generations()).unwrap();
                repository.bound(&self.authority.keys(), &policy, ACCEPTS, self.now)?;
                drop(repository);
                let published = self.target("policy");
                self.model
                    .policies
                    .push(SignedPolicy::read(&published).unwrap());
                Ok(())
            }
            Act::NeverBlock => {
                self.named += 1;
                let names = [0, self.named]
                    .map(|number| Name::from_text(&format!("bank{number}.example")).unwrap());
                self.open()?
                    .never_block(&self.authority.keys(), &names, ACCEPTS, self.now)?;
                self.model.never_block.push(names.to_vec());
                Ok(())
            }
            Act::Refresh => {
                let refreshed = self.open()?.refresh(&self.authority.keys(), self.now)?;
                assert!(refreshed.left.is_empty(), "{:?}", refreshed.left);
                Ok(())
            }
            Act::Rotate(role, turn) => self.rotate(role, *turn),
        }
    }

    fn open(&self) -> Result<Repository, PublishError> {
        Repository::open(&self.authority.repo())
    }

    /// The file of a target of the top-level role.
    fn target(&self, path: &str) -> Vec<u8> {
        let targets = self.authority.signed(&self.authority.current("targets"));
        let digest = targets["targets"][path]["hashes"]["sha256"]
            .as_str()
            .unwrap();
        fs::read(
            self.authority
                .repo()
                .join(format!("targets/{digest}.{path}")),
        )
        .unwrap()
    }

    fn publish(&mut self, list: &'static str, edit: Edit) -> Result<(), PublishError> {
        let before = &self.model.lists[list];
        let mut names: Vec<String> = before.newest().1.names.iter().cloned().collect();
        let mut legal = before.legal;
        let (gone, come) = match edit {
            Edit::Add(count) => (0, count),
            Edit::Remove(count) => (count, 0),
            Edit::Change(count) => (count, count),
            Edit::Nothing => (0, 0),
            Edit::Legal => {
                legal += 1;
                (0, 0)
            }
            Edit::Half => (names.len() / 2, names.len() / 2),
        };
        for _ in 0..gone {
            // What is left is enough for a list.
            if names.len() > 2 {
                names.swap_remove(self.random.below(names.len()));
            }
        }
        for _ in 0..come {
            self.named += 1;
            let long = list == "a";
            names.push(name(&mut self.random, self.named, long));
        }
        let seq = publish(&self.authority, list, &names, legal, self.now)?;
        let model = self.model.lists.get_mut(list).unwrap();
        note_version(&self.authority, list, model, seq, names);
        model.legal = legal;
        Ok(())
    }

    fn withdraw(&mut self, list: &'static str, undo: bool) -> Result<(), PublishError> {
        let model = &self.model.lists[list];
        let names: Vec<&String> = model.newest().1.names.iter().collect();
        let running: Vec<Withdrawn> = model
            .items()
            .iter()
            .filter(|item| item.until > self.now)
            .map(|item| item.what.clone())
            .collect();
        let what = match undo && !running.is_empty() {
            true => self.random.pick(&running).clone(),
            false => Withdrawn::Value((*self.random.pick(&names)).clone()),
        };
        let until = self.now + SignedDuration::from_hours(1 + self.random.below(71) as i64);
        let withdraw = Withdraw {
            list: list.to_owned(),
            what: vec![what.clone()],
            reason: WithdrawalReason::Error,
            until,
            undo,
            unlisted: false,
        };
        self.open()?
            .withdraw(&self.authority.keys(), &withdraw, self.now)?;
        let now = self.now;
        let model = self.model.lists.get_mut(list).unwrap();
        let mut items = model.items().to_vec();
        items.retain(|item| item.until > now && item.what != what);
        if !undo {
            items.push(Withdrawal {
                what,
                reason: WithdrawalReason::Error,
                until,
            });
        }
        model.withdrawn.push((now, items));
        Ok(())
    }

    fn rotate(&mut self, role: &str, turn: Turn) -> Result<(), PublishError> {
        let mut keys = self.authority.keys();
        let mut repository = self.open()?;
        let status = repository.status(&keys, self.now);
        let status = status.roles.iter().find(|of| of.role == role).unwrap();
        self.named += 1;
        let mut rotation = Rotation {
            role: role.to_owned(),
            ..Rotation::default()
        };
        let made = vec![format!("{role}-{}", self.named)];
        match turn {
            Turn::Replace => {
                rotation.new = made;
                let (id, _) = self.random.pick(&status.keys);
                rotation.remove.push(id.clone());
            }
            Turn::Add => rotation.new = made,
            Turn::Raise => {
                rotation.new = made;
                rotation.threshold = Some(status.threshold + 1);
            }
            Turn::Lower => rotation.threshold = Some((status.threshold - 1).max(1)),
        }
        repository.rotate(&mut keys, &rotation, self.now)?;
        if role == "withdraw" {
            self.model.withdraw_rotated = Some(self.now);
        }
        Ok(())
    }
}

impl Act {
    fn word(&self) -> String {
        match self {
            Self::Publish(_, edit) => edit.word().to_owned(),
            Self::Rotate(role, _) => format!("rotate {role}"),
            Self::Withdraw(_) => "withdraw".to_owned(),
            Self::Undo(_) => "undo".to_owned(),
            other => format!("{other:?}"),
        }
    }
}

/// What every history begins with: made once, and copied.
pub(super) struct Template {
    authority: Authority,
    model: Model,
    now: Timestamp,
}

impl Template {
    /// An authority with a list `a` that is large enough for steps, and a small one `b`.
    pub(super) fn new() -> Self {
        let authority = Authority::new(&["a", "b"]);
        let mut random = Random::new(0);
        let now = hour(0);
        let mut model = Model::default();
        for (list, entries) in [("a", 190), ("b", 12)] {
            let names: Vec<String> = (0..entries)
                .map(|number| name(&mut random, number, list == "a"))
                .collect();
            let seq = publish(&authority, list, &names, 0, now).unwrap();
            let of = model.lists.entry(list).or_default();
            note_version(&authority, list, of, seq, names);
        }
        Self {
            authority,
            model,
            now,
        }
    }
}

/// Whether an authority may fail so: a rule that it knows of forbids what was drawn.
fn is_expected(error: &PublishError) -> bool {
    matches!(
        error,
        PublishError::WithdrawTooMany { .. }
            | PublishError::Rotation(_)
            // Something else must be renewed first.
            | PublishError::Rehearsal(VerifyError::Expired { .. })
            | PublishError::Expired { .. }
            | PublishError::NothingWithdrawn { .. }
    )
}

/// A name that does not compress.
fn name(random: &mut Random, number: usize, long: bool) -> String {
    let labels = if long { 3 } else { 1 };
    let mut name = String::new();
    for _ in 0..labels {
        let label = [0; 3].map(|_| format!("{:016x}", random.number()));
        name.push_str(&format!("{}.", label.concat()));
    }
    format!("{name}{number}.test")
}

/// Publishes, and says which serial that is.
fn publish(
    authority: &Authority,
    list: &str,
    names: &[String],
    legal: usize,
    now: Timestamp,
) -> Result<u64, PublishError> {
    let text = format!(
        "category: phishing\nlegal: {{ basis: \"Example Act, art. {legal}\", authority: \"Example Police\" }}\n"
    );
    let publication = Publication {
        list: list.to_owned(),
        text: names.join("\n").into_bytes(),
        format: Format::Domains,
        scope: Some(Scope::Subtree),
        url_scope: UrlScope::Exact,
        legal: Legal::read(&text).unwrap(),
        accept_guard: Some("drawn".to_owned()),
    };
    let mut repository = Repository::open(&authority.repo())?;
    let published = repository.publish(&authority.keys(), &publication, now, &mut |_| {})?;
    Ok(published.seq)
}

/// Notes the version of a list that was published last.
fn note_version(authority: &Authority, list: &str, model: &mut List, seq: u64, names: Vec<String>) {
    let role = authority.signed(&authority.current(&format!("list-{list}")));
    let targets = role["targets"].as_object().unwrap();
    let digest = targets
        .values()
        .find(|target| target["custom"]["seq"] == seq)
        .map(|target| target["custom"]["state"].as_str().unwrap().to_owned());
    let names = names.into_iter().collect::<BTreeSet<String>>();
    let version = Version {
        digest: digest.unwrap(),
        names,
    };
    model.versions.insert(seq, version);
}

/// Terms are published whatever they do to the lists: what a node makes of it is judged here.
const ACCEPTS: Option<&str> = Some("a test of nodes");
