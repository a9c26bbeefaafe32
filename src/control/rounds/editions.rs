//! [`Editions`]: makes one edition after the other from the current lists, and tells all
//! who keep account of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::compile::{self, Blocklist, Border, CompiledList, Compiler, Levers};
use crate::config::Config;
use crate::control::answers::decided::decided;
use crate::control::clock;
use crate::control::rounds::inactive::warn_of_inactive;
use crate::control::rulings::version::Version;
use crate::count::{CountError, Counters, HitCounter};
use crate::enforce::{Edition, InForce, counted_rules, counted_rules_from};
use crate::policy::Origin;
use crate::report::{Metrics, Timeline, Updates, waiting};
use crate::verify::{ListFile, NetChange, Verified};

/// Makes one edition after the other.
#[derive(Debug)]
pub(crate) struct Editions {
    /// The pointer.
    pub in_force: Arc<InForce>,
    /// The counters of all editions.
    pub counters: Arc<Counters>,
    /// Which edition was in force from when to when.
    pub timeline: Arc<Timeline>,
    /// What became of the rounds.
    pub updates: Arc<Updates>,
    /// Whether every required list is in force.
    pub ready: Arc<AtomicBool>,
    /// Editions that were replaced and may still be answering.
    pub retired: Mutex<Vec<Arc<Edition>>>,
    /// How long swaps take, and lists from their publication on.
    pub metrics: Metrics,
}

/// A version of a list that is to be put in force.
#[derive(Debug)]
pub(crate) struct Changed {
    /// The version.
    pub(crate) file: Verified<ListFile>,
    /// How it differs from another, where it was made of that one by steps.
    pub(crate) step: Option<NetChange>,
    /// Whether guards have let it through; else they judge it by what compiling it finds.
    pub(crate) is_judged: bool,
}

impl Changed {
    /// A version of which only the whole text is known.
    pub(crate) const fn whole(file: Verified<ListFile>) -> Self {
        Self {
            file,
            step: None,
            is_judged: true,
        }
    }
}

impl Editions {
    /// Tells the report which lists are configured.
    pub(crate) fn configure(&self, config: &Config) {
        self.updates.configure(
            config
                .lists
                .iter()
                .map(|list| (list.name.as_str(), list.required)),
        );
    }

    /// Makes a blocklist of the versions in `fresh`. Where steps lead to all, only these are
    /// taken; else every list of `config` is compiled in its order: `text` gives the version
    /// in force of one that is not fresh. A list without one is left out, and said.
    pub(crate) fn make(
        &self,
        config: &Config,
        borders: &BTreeMap<String, Border>,
        now: Timestamp,
        fresh: &BTreeMap<String, Changed>,
        mut text: impl FnMut(&compile::Settings) -> Option<Verified<ListFile>>,
    ) -> Blocklist {
        self.stepped(config, borders, fresh).unwrap_or_else(|| {
            let mut compiler = Compiler::new(&config.protect, now);
            for settings in &config.lists {
                let fresh = fresh
                    .get(&settings.name)
                    .map(|changed| changed.file.clone());
                match (
                    fresh.or_else(|| text(settings)),
                    borders.get(&settings.name),
                ) {
                    (Some(file), Some(border)) => compiler.add_within(settings, border, &file),
                    _ => tracing::info!(
                        list = settings.name,
                        "there is no version of this list to enforce; it is not in force"
                    ),
                }
            }
            compiler.finish()
        })
    }

    /// Puts the lists of an edition in force again that was just replaced, by the levers as
    /// they are now, if they are what has to be in force: `due` says which version of a list
    /// that is, and configuration and terms must not have changed since. Says whether it did.
    pub(crate) fn put_back(
        &self,
        config: &Config,
        borders: &BTreeMap<String, Border>,
        levers: &Levers,
        retired: &Edition,
        due: impl Fn(&str) -> Option<Version>,
    ) -> bool {
        let begin = clock::instant();
        let blocklist = &retired.blocklist;
        let due = config.lists.iter().filter_map(|settings| {
            let border = borders.get(&settings.name)?;
            Some((settings, border, due(&settings.name)?))
        });
        let lists = blocklist.lists().iter();
        let before =
            lists.map(|list| (&list.settings, &list.border, Version::of(&list.provenance)));
        let fits = *blocklist.protected() == config.protect && due.eq(before);
        if fits {
            self.swap(blocklist.with(levers), begin);
        }
        fits
    }

    /// The blocklist in force after the steps of all that is fresh; nothing where that is not
    /// all that changed, or compiling anew is better.
    fn stepped(
        &self,
        config: &Config,
        borders: &BTreeMap<String, Border>,
        fresh: &BTreeMap<String, Changed>,
    ) -> Option<Blocklist> {
        let before = self.in_force.load_full();
        let of = |list: &CompiledList| borders.get(&list.settings.name) == Some(&list.border);
        if fresh.is_empty() || !before.blocklist.lists().iter().all(of) {
            return None;
        }
        let mut stepped: Option<Blocklist> = None;
        for (list, Changed { file, step, .. }) in fresh {
            let step = step.as_ref()?;
            let settings = config
                .lists
                .iter()
                .find(|settings| settings.name == *list)?;
            let now = stepped.as_ref().unwrap_or(&before.blocklist);
            let compiled = find(now, list)?;
            if Version::of(&compiled.provenance).digest() != step.from.state {
                return None;
            }
            let border = borders.get(list)?;
            stepped = Some(now.apply(settings, border, file.get(), &step.removed, &step.added)?);
        }
        stepped
    }

    /// Lets what is in force act by other levers, or at another time.
    pub(crate) fn move_levers(&self, levers: &Levers) {
        let begin = clock::instant();
        let before = self.in_force.load_full();
        let next = before.blocklist.next_change();
        let has_turned = next.is_some_and(|next| next <= levers.now);
        let old = before.blocklist.levers();
        if has_turned || (&old.withdrawn, &old.allowed) != (&levers.withdrawn, &levers.allowed) {
            self.swap(before.blocklist.with(levers), begin);
        }
    }

    /// What is let through at the moment.
    #[must_use]
    pub(crate) fn levers(&self) -> Levers {
        self.in_force.load().blocklist.levers().clone()
    }

    /// Notes how long it took from a withdrawal's publication to its effect.
    pub(crate) fn note_withdrawal(&self, list: &str, issued: Timestamp, at: Timestamp) {
        let took = between(issued, at);
        self.metrics.withdrawn(list, took);
        self.updates.note(list, |known| known.withdraw.note(took));
    }

    /// Puts a blocklist in force; since `begin` it was in the making. Where it shares rules
    /// with the one in force, their counters are taken over. Returns what was in force before.
    pub(crate) fn swap(&self, blocklist: Blocklist, begin: Instant) -> Arc<Edition> {
        let counter = match self.counter(&blocklist) {
            Ok(counter) => counter,
            Err(error) => {
                tracing::error!(%error, "the hits of this edition cannot be kept on disk; they are counted in memory");
                HitCounter::in_memory(blocklist.rule_count())
            }
        };
        let number = self.in_force.load().number.saturating_add(1);
        let waiting = waiting(&blocklist, &self.updates.lists());
        let ready = waiting.is_empty();
        for why in waiting {
            tracing::warn!("not ready: {why}");
        }
        let edition = Edition {
            number,
            since: clock::timestamp(),
            blocklist,
            counter,
        };
        let retired = self.in_force.replace(edition);
        self.free_retired();
        self.ready.store(ready, Ordering::Release);
        let edition = self.in_force.load_full();
        if let Err(error) = self.timeline.in_force(&edition, edition.since) {
            tracing::error!(%error, "the timeline lacks this edition");
        }
        self.metrics.swapped(clock::instant().duration_since(begin));
        self.note_latency(&edition, &retired);
        warn_of_inactive(&edition.blocklist, &retired.blocklist);
        self.retired().push(Arc::clone(&retired));
        tracing::info!(
            edition = number,
            lists = edition.blocklist.lists().len(),
            entries = edition.blocklist.rule_count(),
            quarantined = edition
                .blocklist
                .lists()
                .iter()
                .map(|list| list.rejected)
                .sum::<usize>(),
            ready,
            "in force"
        );
        retired
    }

    /// Frees the retired editions that no answer uses any more. It is done here and not by
    /// who drops the last one: freeing an index takes long enough to stall answers.
    pub(crate) fn free_retired(&self) {
        self.retired()
            .retain(|edition| Arc::strong_count(edition) > 1);
    }

    fn retired(&self) -> MutexGuard<'_, Vec<Arc<Edition>>> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes for each list that is newer than in the retired edition how long it took from
    /// its publication to now.
    fn note_latency(&self, edition: &Edition, retired: &Edition) {
        for list in edition.blocklist.lists() {
            let name = &list.settings.name;
            let Origin::Signed {
                issued_at: Some(issued_at),
                ..
            } = list.provenance.origin
            else {
                continue;
            };
            let version = Version::of(&list.provenance);
            let before = retired
                .blocklist
                .lists()
                .iter()
                .find(|before| before.settings.name == *name);
            // A start is no publication: what it finds on disk was in force before. Nor is a way
            // back.
            let is_newer =
                before.is_some_and(|before| version.is_above(&Version::of(&before.provenance)));
            if is_newer {
                let took = between(issued_at, edition.since);
                self.metrics.enforced(name, took);
                self.updates.note(name, |known| known.enforce.note(took));
            }
        }
    }

    fn counter(&self, blocklist: &Blocklist) -> Result<HitCounter, CountError> {
        let before = self.in_force.load_full();
        let shared = blocklist.shared_rules(&before.blocklist);
        if shared == blocklist.rule_count() && shared > 0 && !before.counter.is_in_memory() {
            return Ok(before.counter.clone());
        }
        let more = counted_rules_from(blocklist, shared);
        let beside = match shared {
            0 => None,
            _ => self
                .counters
                .counter_beside(&before.counter, shared, more)?,
        };
        let (counter, refused) = match beside {
            Some(beside) => beside,
            None => self.counters.counter(counted_rules(blocklist))?,
        };
        if let Some(error) = refused {
            tracing::error!(%error, "new entries are counted in memory until the disk takes them");
        }
        Ok(counter)
    }

    /// When an entry in force next begins or ends.
    #[must_use]
    pub(crate) fn next_change(&self) -> Option<Timestamp> {
        self.in_force.load().blocklist.next_change()
    }

    /// Whether a list is in force.
    #[must_use]
    pub(crate) fn is_in_force(&self, list: &str) -> bool {
        find(&self.in_force.load().blocklist, list).is_some()
    }

    /// Which version of a list is in force.
    #[must_use]
    pub(crate) fn version(&self, list: &str) -> Option<Version> {
        let edition = self.in_force.load();
        Some(Version::of(&find(&edition.blocklist, list)?.provenance))
    }

    /// How many entries of a list are in force, those included that do not act now.
    #[must_use]
    pub(crate) fn entries(&self, list: &str) -> Option<u64> {
        let edition = self.in_force.load();
        let list = find(&edition.blocklist, list)?;
        let acting: usize = list.entries.iter().map(|(_, count)| count).sum();
        u64::try_from(
            acting
                .saturating_add(list.not_in_effect)
                .saturating_add(list.withdrawn),
        )
        .ok()
    }

    /// How many entries of a list are in force again, for their withdrawal has ended.
    #[must_use]
    pub(crate) fn lapsed(&self, list: &str) -> usize {
        let edition = self.in_force.load();
        find(&edition.blocklist, list).map_or(0, |list| list.lapsed)
    }

    /// Whether the last round of a list failed.
    #[must_use]
    pub(crate) fn has_failed(&self, list: &str) -> bool {
        self.updates
            .lists()
            .iter()
            .any(|updates| updates.list == list && updates.failure.is_some())
    }

    /// One line on a list for who asked for a round.
    #[must_use]
    pub(crate) fn sentence(&self, list: &str) -> String {
        let edition = self.in_force.load();
        let in_force = find(&edition.blocklist, list).map_or_else(
            || "not in force".to_owned(),
            |list| {
                let entries: usize = list.entries.iter().map(|(_, count)| count).sum();
                match list.provenance.seq() {
                    Some(seq) => format!("serial {seq} in force, {entries} entries"),
                    None => format!("in force, unsigned, {entries} entries"),
                }
            },
        );
        let mut known = self.updates.lists().into_iter();
        let known = known.find(|updates| updates.list == list);
        let decided = known.as_ref().and_then(decided);
        let decided = decided.map_or_else(String::new, |decided| format!("; {decided}"));
        match known.and_then(|known| known.failure) {
            Some(failure) => format!(
                "{list}: {in_force}{decided}; the last round failed ({}): {}",
                failure.name, failure.sentence
            ),
            None => format!("{list}: {in_force}{decided}"),
        }
    }
}

/// How long it was from one moment to another, by two clocks: where they disagree, no time.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    let took = to.as_millisecond().saturating_sub(from.as_millisecond());
    Duration::from_millis(u64::try_from(took).unwrap_or(0))
}

/// A list of a blocklist.
fn find<'a>(blocklist: &'a Blocklist, list: &str) -> Option<&'a CompiledList> {
    let mut lists = blocklist.lists().iter();
    lists.find(|compiled| compiled.settings.name == list)
}
