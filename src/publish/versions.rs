//! [`Versions`]: the versions of a list that its role names, a complete state and the steps
//! around it, and which of them the next version needs (trust.md section 7.6).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::PublishError;
use super::folder::Folder;
use super::repository::target_file;
use super::roles::{Role, utc};
use super::stage::read_target;
use crate::guard::{Change, Day};
use crate::verify::{Delta, FULL_OCTETS_MAX, apply, hex, plaintext_octets_max};

/// What the role of a list names: `LIST/full`, and `LIST/delta-FROM-TO` for the steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Versions<'a> {
    list: &'a str,
    role: &'a Role,
}

/// The next version of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version<'a> {
    /// Its serial.
    pub(super) seq: u64,
    /// Rises only by an offline decision.
    pub(super) generation: u64,
    /// Its entries, the canary included.
    pub(super) entries: u64,
    /// Its whole plaintext.
    pub(super) plaintext: &'a [u8],
    /// SHA-256 of that, in hex.
    pub(super) state: &'a str,
    /// The plaintext of the version before; empty for the first.
    pub(super) before: &'a [u8],
    /// What it changes upon the version before, in entries rather than lines.
    pub(super) change: Change,
    /// Why it is signed although nodes will hold it, and by which guards.
    pub(super) accepted: Option<&'a Value>,
    /// When it is issued.
    pub(super) now: Timestamp,
}

/// What the role names from the next version on, and the files that it brings.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// The targets of the role.
    pub(super) targets: Map<String, Value>,
    /// The new files, by their paths.
    pub(super) files: Vec<(String, Vec<u8>)>,
    /// Octets of the complete state, as nodes without the list fetch it.
    pub(super) full_octets: u64,
    /// Octets of the step, as up-to-date nodes fetch it; nothing where there is none.
    pub(super) step_octets: Option<u64>,
}

/// One step that the role names.
#[derive(Clone, Debug)]
struct Step<'a> {
    path: &'a str,
    target: &'a Value,
    from: u64,
    to: u64,
}

impl<'a> Versions<'a> {
    /// The versions that a role names.
    pub(super) const fn new(list: &'a str, role: &'a Role) -> Self {
        Self { list, role }
    }

    /// The fields of our own of the newest version; null before the first.
    pub(super) fn newest(&self) -> &'a Value {
        let newest = match self.steps().last() {
            Some(step) if step.to > number(self.full(), "seq") => Some(step.target),
            _ => self.full(),
        };
        newest
            .and_then(|target| target.get("custom"))
            .unwrap_or(&Value::Null)
    }

    /// The entries of the newest version, without the list's own test entry.
    pub(super) fn entries(&self) -> u64 {
        number_in(self.newest(), "entries").saturating_sub(1)
    }

    /// How the list changed within the last 24 hours, as far as its steps tell: a version
    /// that was published whole has none.
    pub(super) fn day(&self, now: Timestamp) -> Day {
        let mut day = Day::default();
        for step in self.steps() {
            let custom = step.target.get("custom").unwrap_or(&Value::Null);
            let count = |entries, lines| match custom.get(entries) {
                Some(_) => number_in(custom, entries),
                None => number_in(custom, lines),
            };
            let (added, removed) = (count(CAME, "add"), count(WENT, "del"));
            let after = number_in(custom, "entries").saturating_sub(1);
            let change = Change {
                before: after.saturating_add(removed).saturating_sub(added),
                added,
                removed,
                ..Change::default()
            };
            let issued = custom.get("issued_at").and_then(Value::as_str);
            if let Some(issued) = issued.and_then(|text| text.parse().ok()) {
                day.note(Timestamp::min(issued, now), &change);
            }
        }
        day
    }

    /// The plaintext of the newest version; empty before the first.
    ///
    /// # Errors
    /// [`PublishError::Io`] for a file that is not there, [`PublishError::Repository`] for
    /// one that is not what was signed.
    pub(super) fn plaintext(&self, folder: &Folder) -> Result<Vec<u8>, PublishError> {
        let Some(full) = self.full() else {
            return Ok(Vec::new());
        };
        let damaged = |path: &str, reason: &str| PublishError::Repository {
            path: folder.path(path),
            reason: format!(
                "{reason}. Put the file back from a copy of the repository, or remove it: the next version is then published whole"
            ),
        };
        let open = |path: &str, target: &Value| {
            let file = target_file(path, target).unwrap_or_default();
            let bytes = read_target(folder, &file, target)?;
            zstd::decode_all(bytes.as_slice())
                .map(|text| (file.clone(), text))
                .map_err(|_| damaged(&file, "is not the file that was signed"))
        };
        let (file, plaintext) = open(&self.full_path(), full)?;
        let mut chain = Vec::new();
        let mut last = file;
        for step in self.steps() {
            if step.from >= number(Some(full), "seq") {
                let (file, text) = open(step.path, step.target)?;
                chain.push(Delta::read(&text).map_err(|reason| damaged(&file, &reason))?);
                last = file;
            }
        }
        let plaintext = match chain.as_slice() {
            [] => plaintext,
            chain => {
                apply(&plaintext, chain)
                    .map_err(|reason| damaged(&last, &reason))?
                    .plaintext
            }
        };
        let state = self.newest().get("state").and_then(Value::as_str);
        if state != Some(&hex(&Sha256::digest(&plaintext))) {
            return Err(damaged(&last, "does not lead to the state that was signed"));
        }
        Ok(plaintext)
    }

    /// What the role names once that version is published.
    ///
    /// # Errors
    /// [`PublishError::TooLong`] for a list that nodes would refuse.
    pub(super) fn next(&self, version: &Version<'_>) -> Result<Named, PublishError> {
        let octets = version.plaintext.len() as u64;
        let full_seq = number(self.full(), "seq");
        let full_length = self.full().map_or(0, length);
        let mut kept = self.steps();
        let step = self.step(version)?;
        let (behind, behind_octets) = kept
            .iter()
            .filter(|step| step.from >= full_seq)
            .fold((0, 0), |(count, octets), step| {
                (count + 1, octets + length(step.target))
            });
        let step_length = step.as_ref().map_or(0, |(_, file)| file.len() as u64);
        let needs_full = step.is_none()
            || octets <= SMALL_OCTETS
            || self.is_old(version.now)
            || behind >= STEPS_MAX
            || (behind_octets + step_length).saturating_mul(2) >= full_length;
        let mut named = Named::default();
        if needs_full {
            let file = compress(version.plaintext)?;
            named.full_octets = file.len() as u64;
            let target = target(&file, self.custom(version));
            self.add(&mut named, &self.full_path(), target, file);
        } else if let Some(full) = self.full() {
            named.full_octets = full_length;
            named.targets.insert(self.full_path(), full.clone());
        }
        match step {
            Some((delta, file)) => {
                named.step_octets = Some(file.len() as u64);
                let mut custom = self.custom(version);
                if let Value::Object(custom) = &mut custom {
                    custom.insert("from".to_owned(), delta.from.into());
                    let from_state = self.newest().get("state").cloned();
                    custom.insert("from_state".to_owned(), from_state.unwrap_or_default());
                    custom.insert("add".to_owned(), delta.added.len().into());
                    custom.insert("del".to_owned(), delta.removed.len().into());
                    // Lines also change where their entries stay, as with a review's date.
                    for (name, entries, lines) in [
                        (CAME, version.change.added, delta.added.len()),
                        (WENT, version.change.removed, delta.removed.len()),
                    ] {
                        if entries != lines as u64 {
                            custom.insert(name.to_owned(), entries.into());
                        }
                    }
                    for absent in ["enc", "epoch"] {
                        custom.remove(absent);
                    }
                }
                let path = format!("{}/delta-{}-{}", self.list, delta.from, delta.to);
                self.add(&mut named, &path, target(&file, custom), file);
            }
            // Without this step no older one leads to the newest version.
            None => kept.clear(),
        }
        let room = STEPS_MAX.saturating_sub(usize::from(named.step_octets.is_some()));
        let first = kept.len().saturating_sub(room);
        for step in kept.split_off(first) {
            named
                .targets
                .insert(step.path.to_owned(), step.target.clone());
        }
        Ok(named)
    }

    /// The step to a version, compressed; nothing where there is none, or where it would
    /// cost half of the whole.
    fn step(&self, version: &Version<'_>) -> Result<Option<(Delta, Vec<u8>)>, PublishError> {
        let generation = number_in(self.newest(), "generation");
        let from = number_in(self.newest(), "seq");
        if version.before.is_empty() || generation != version.generation {
            return Ok(None);
        }
        let Some(delta) = Delta::between(
            self.list,
            generation,
            (from, version.before),
            (version.seq, version.plaintext),
        ) else {
            return Ok(None);
        };
        let file = zstd(&delta.write())?;
        let is_worth_it = (file.len() as u64).saturating_mul(2) < self.full().map_or(0, length);
        Ok(is_worth_it.then_some((delta, file)))
    }

    /// Whether the complete state is a day old.
    fn is_old(&self, now: Timestamp) -> bool {
        let issued = self
            .full()
            .and_then(|target| target.pointer("/custom/issued_at")?.as_str()?.parse().ok());
        issued.is_none_or(|issued: Timestamp| now.duration_since(issued) >= FULL_AGE_MAX)
    }

    /// The steps, the oldest first.
    fn steps(&self) -> Vec<Step<'a>> {
        let prefix = format!("{}/delta-", self.list);
        let targets = self.role.signed.get("targets").and_then(Value::as_object);
        let mut steps: Vec<Step<'a>> = targets
            .into_iter()
            .flatten()
            .filter_map(|(path, target)| {
                let (from, to) = path.strip_prefix(&prefix)?.split_once('-')?;
                let (from, to) = (from.parse().ok()?, to.parse().ok()?);
                Some(Step {
                    path,
                    target,
                    from,
                    to,
                })
            })
            .collect();
        steps.sort_unstable_by_key(|step| step.to);
        steps
    }

    /// The complete state.
    fn full(&self) -> Option<&'a Value> {
        self.role.signed.get("targets")?.get(self.full_path())
    }

    fn full_path(&self) -> String {
        format!("{}/full", self.list)
    }

    /// The fields of our own of a version (trust.md section 7.3).
    fn custom(&self, version: &Version<'_>) -> Value {
        let mut custom = json!({
            "comp": "zstd",
            "enc": null,
            "entries": version.entries,
            "epoch": null,
            "format": 1,
            "generation": version.generation,
            "issued_at": utc(version.now),
            "list": self.list,
            "seq": version.seq,
            "size": version.plaintext.len(),
            "state": version.state,
        });
        if let (Some(accepted), Value::Object(custom)) = (version.accepted, &mut custom) {
            custom.insert("accepted".to_owned(), accepted.clone());
        }
        custom
    }

    fn add(&self, named: &mut Named, path: &str, target: Value, file: Vec<u8>) {
        if let Some(name) = target_file(path, &target) {
            named.files.push((name, file));
        }
        named.targets.insert(path.to_owned(), target);
    }
}

/// The target of a file with fields of our own.
pub(super) fn target(file: &[u8], custom: Value) -> Value {
    json!({
        "custom": custom,
        "hashes": {"sha256": hex(&Sha256::digest(file))},
        "length": file.len(),
    })
}

/// Octets of a target's file.
fn length(target: &Value) -> u64 {
    target.get("length").and_then(Value::as_u64).unwrap_or(0)
}

/// A number in the fields of our own of a target; 0 where it is not.
fn number(target: Option<&Value>, name: &str) -> u64 {
    target
        .and_then(|target| target.get("custom"))
        .map_or(0, |custom| number_in(custom, name))
}

/// A number in fields of our own; 0 where it is not.
pub(super) fn number_in(custom: &Value, name: &str) -> u64 {
    custom.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// In a step's fields of our own: the entries that came, where that is not its `add`.
const CAME: &str = "came";
/// The entries that went, where that is not its `del`.
const WENT: &str = "went";

/// Compresses a plaintext, within what nodes take.
fn compress(plaintext: &[u8]) -> Result<Vec<u8>, PublishError> {
    let octets = plaintext.len() as u64;
    let file = zstd(plaintext)?;
    let length = file.len() as u64;
    for (octets, octets_max) in [
        (length, FULL_OCTETS_MAX),
        (octets, plaintext_octets_max(length)),
    ] {
        if octets > octets_max {
            return Err(PublishError::TooLong { octets, octets_max });
        }
    }
    Ok(file)
}

/// Compresses.
fn zstd(text: &[u8]) -> Result<Vec<u8>, PublishError> {
    zstd::encode_all(text, ZSTD_LEVEL).map_err(|source| PublishError::Io {
        path: "zstd".into(),
        source,
    })
}

/// The level of compression: levels above cost seconds for a few per cent.
const ZSTD_LEVEL: i32 = 6;
/// How many steps a role names: a day of versions an hour, three times over.
const STEPS_MAX: usize = 72;
/// A complete state that is older is made anew with the next version.
const FULL_AGE_MAX: SignedDuration = SignedDuration::from_hours(24);
/// Up to so many octets of plaintext the complete state is made anew each time: it costs
/// nothing.
const SMALL_OCTETS: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of `ids`, large enough not to be small.
    fn state(ids: std::ops::Range<u32>) -> Vec<u8> {
        let mut text = "{\"list\":\"a\"}\n".to_owned();
        for id in ids {
            let digest = hex(&Sha256::digest(id.to_le_bytes()));
            text.push_str(&format!(
                "{{\"id\":\"{digest}\",\"kind\":\"domain\",\"value\":\"{id:06}.test\"}}\n"
            ));
        }
        text.into_bytes()
    }

    /// Publishes states one after the other, `minutes` apart; says for each which steps the
    /// role names then, from which serial the complete state is, and that the newest
    /// plaintext is found again.
    fn check(states: &[Vec<u8>], minutes: i64, expected: &[(&str, u64)]) {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let mut role = Role::new("list-a", "targets", json!({"targets": {}}));
        let begin: Timestamp = "2026-11-24T06:00:00Z".parse().unwrap();
        let mut found = Vec::new();
        for (index, plaintext) in (0_i64..).zip(states) {
            let versions = Versions::new("a", &role);
            let before = versions.plaintext(&folder).unwrap();
            let version = Version {
                seq: number_in(versions.newest(), "seq") + 1,
                generation: 1,
                entries: 1,
                plaintext,
                state: &hex(&Sha256::digest(plaintext)),
                before: &before,
                change: Change::default(),
                accepted: None,
                now: begin + SignedDuration::from_mins(minutes * index),
            };
            let named = versions.next(&version).unwrap();
            for (name, bytes) in named.files {
                folder.put(&name, &bytes).unwrap();
            }
            role.signed
                .insert("targets".to_owned(), Value::Object(named.targets));
            let versions = Versions::new("a", &role);
            assert_eq!(&versions.plaintext(&folder).unwrap(), plaintext);
            let steps: Vec<String> = versions
                .steps()
                .iter()
                .map(|step| format!("{}-{}", step.from, step.to))
                .collect();
            found.push((steps.join(" "), number(versions.full(), "seq")));
        }
        let found: Vec<(&str, u64)> = found
            .iter()
            .map(|(steps, seq)| (steps.as_str(), *seq))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_step_is_published_with_each_version_and_a_whole_one_when_it_is_due() {
        check(
            &[state(0..2000), state(1..2001), state(2..2002)],
            60,
            &[("", 1), ("1-2", 1), ("1-2 2-3", 1)],
        );
        check(
            &[state(0..2000), state(1..2001), state(2..2002)],
            13 * 60,
            &[("", 1), ("1-2", 1), ("1-2 2-3", 3)],
        );
    }

    #[test]
    fn a_change_of_half_the_list_is_published_whole_and_ends_the_chain() {
        check(
            &[
                state(0..2000),
                state(1..2001),
                state(1500..4000),
                state(1501..4000),
            ],
            60,
            &[("", 1), ("1-2", 1), ("", 3), ("3-4", 3)],
        );
    }

    #[test]
    fn a_small_list_is_published_whole_each_time() {
        check(&[state(0..200), state(1..200)], 1, &[("", 1), ("1-2", 2)]);
    }

    #[test]
    fn the_newest_72_steps_are_kept() {
        let states: Vec<Vec<u8>> = (0..80).map(|index| state(index..2000 + index)).collect();
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let mut role = Role::new("list-a", "targets", json!({"targets": {}}));
        let mut before = Vec::new();
        for (seq, plaintext) in (1..).zip(&states) {
            let versions = Versions::new("a", &role);
            let version = Version {
                seq,
                generation: 1,
                entries: 1,
                plaintext,
                state: &hex(&Sha256::digest(plaintext)),
                before: &before,
                change: Change {
                    added: 1,
                    removed: 1,
                    ..Change::default()
                },
                accepted: None,
                now: "2026-11-24T06:00:00Z".parse().unwrap(),
            };
            let named = versions.next(&version).unwrap();
            for (name, bytes) in named.files {
                folder.put(&name, &bytes).unwrap();
            }
            role.signed
                .insert("targets".to_owned(), Value::Object(named.targets));
            before.clone_from(plaintext);
        }
        let versions = Versions::new("a", &role);
        let steps = versions.steps();
        assert_eq!(steps.len(), STEPS_MAX);
        assert_eq!((steps[0].to, steps[71].to), (9, 80));
        assert_eq!(versions.plaintext(&folder).unwrap(), states[79]);
        let octets = serde_json::to_vec(&role.signed).unwrap().len();
        assert!(octets < 36 << 10, "the role has {octets} octets");
    }
}
