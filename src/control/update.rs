//! [`Updater`]: one round after the other: pull, compile, put in force, and when the next is
//! due.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::editions::Editions;
use super::round::{ListOutcome, Puller, Round};
use super::{ExitError, clock};
use crate::compile;
use crate::config::{Config, Repository};
use crate::source::{self, ListStates};
use crate::verify::{ListFile, Subscription, Verified};

/// What the updater is asked for.
#[derive(Debug)]
pub(super) enum Order {
    /// A round now, of one list's repository or of all; the answer has a line a list.
    Round(Option<String>, oneshot::Sender<Result<String, String>>),
    /// Another configuration, or the same with changed local lists.
    Configuration(Arc<Config>, oneshot::Sender<Result<(), String>>),
    /// End.
    Stop,
}

/// Keeps the lists of the configuration up to date. It lives on a thread of its own with a
/// runtime of its own: compiling is heavy, and nothing of it may delay an answer.
#[derive(Debug)]
pub(super) struct Updater {
    config: Arc<Config>,
    pulled: Vec<Pulled>,
    editions: Editions,
    /// Plaintexts that were just verified and are not in force yet.
    fresh: BTreeMap<String, Verified<ListFile>>,
}

/// One repository and when it is asked next.
#[derive(Debug)]
struct Pulled {
    repository: Repository,
    puller: Puller,
    due: Instant,
    failures: u32,
}

impl Updater {
    /// Opens every repository's state and verifies it again from the pinned roots.
    ///
    /// # Errors
    /// A sentence where a pinned root is none, or a state folder cannot be used.
    pub(super) fn open(config: Arc<Config>, editions: Editions) -> Result<Self, ExitError> {
        let pulled = open_repositories(&config, Vec::new()).map_err(ExitError::system)?;
        Ok(Self {
            config,
            pulled,
            editions,
            fresh: BTreeMap::new(),
        })
    }

    /// Puts in force what is on disk, before the network is asked.
    pub(super) fn start(&mut self) {
        self.put_in_force();
    }

    /// Works until it is told to stop.
    pub(super) fn run(&mut self, orders: &Receiver<Order>) {
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "no update round can run: the system gives no runtime; restart cordon");
                return;
            }
        };
        loop {
            match orders.recv_timeout(self.until_due()) {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Order::Round(list, reply)) => {
                    let done = self.round_by_order(&runtime, list.as_deref());
                    // Who asked may have hung up.
                    let _ = reply.send(done);
                }
                Ok(Order::Configuration(config, reply)) => {
                    let _ = reply.send(self.take(config));
                }
                Err(RecvTimeoutError::Timeout) => self.work(&runtime),
            }
        }
    }

    /// How long nothing is due.
    fn until_due(&self) -> Duration {
        let now = clock::instant();
        let rounds = self
            .pulled
            .iter()
            .map(|pulled| pulled.due.saturating_duration_since(now));
        let change = self.editions.next_change().map(|change| {
            let seconds = change
                .as_second()
                .saturating_sub(clock::timestamp().as_second());
            Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
        });
        rounds.chain(change).min().unwrap_or(IDLE_MAX).min(IDLE_MAX)
    }

    /// Does what is due.
    fn work(&mut self, runtime: &tokio::runtime::Runtime) {
        self.editions.free_retired();
        let now = clock::instant();
        let due: Vec<usize> = (0..)
            .zip(&self.pulled)
            .filter(|(_, pulled)| pulled.due <= now)
            .map(|(place, _)| place)
            .collect();
        let mut changed = self
            .editions
            .next_change()
            .is_some_and(|change| change <= clock::timestamp());
        for place in due {
            changed |= self.round(runtime, place);
        }
        if changed {
            self.put_in_force();
        }
    }

    /// A round of one repository or all of them, at once; says what became of each list.
    fn round_by_order(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        only: Option<&str>,
    ) -> Result<String, String> {
        let wanted = |settings: &compile::Settings| only.is_none_or(|only| only == settings.name);
        let asked: Vec<compile::Settings> = self
            .config
            .lists
            .iter()
            .filter(|list| wanted(list))
            .cloned()
            .collect();
        if asked.is_empty() {
            return Err(only.map_or_else(
                || "no list is configured".to_owned(),
                |only| format!("no list is called {only}; `cordon status` names them"),
            ));
        }
        let mut changed = false;
        for place in 0..self.pulled.len() {
            let name = self
                .pulled
                .get(place)
                .map(|pulled| pulled.repository.name.clone())
                .unwrap_or_default();
            let concerned = asked.iter().any(|list| {
                matches!(&list.from, compile::From::Repository { repository, .. } if *repository == name)
            });
            if concerned {
                changed |= self.round(runtime, place);
            }
        }
        let local = asked
            .iter()
            .any(|list| matches!(list.from, compile::From::File { .. }));
        if changed || local {
            self.put_in_force();
        }
        let lines: Vec<String> = asked
            .iter()
            .map(|list| self.editions.sentence(&list.name))
            .collect();
        let failed = asked
            .iter()
            .any(|list| self.editions.has_failed(&list.name));
        if failed {
            Err(lines.join("\n"))
        } else {
            Ok(lines.join("\n"))
        }
    }

    /// One round of one repository; says whether it brought anything new.
    fn round(&mut self, runtime: &tokio::runtime::Runtime, place: usize) -> bool {
        let Some(pulled) = self.pulled.get_mut(place) else {
            return false;
        };
        let subscriptions = subscriptions(&self.config, &pulled.repository.name);
        let now = clock::timestamp();
        let round = runtime.block_on(pulled.puller.round(&subscriptions, now));
        for error in &round.noted {
            tracing::error!(repository = pulled.repository.name, %error, "something beside the lists was not taken; what was accepted last holds");
        }
        let failed = round.error.is_some() || !round.refusals.is_empty();
        pulled.failures = if failed {
            pulled.failures.saturating_add(1)
        } else {
            0
        };
        let pause = pause(pulled.repository.poll, pulled.failures);
        pulled.due = clock::instant() + pause;
        self.editions
            .note_round(&pulled.repository.name, &subscriptions, &round, now, pause);
        self.keep_fresh(round)
    }

    fn keep_fresh(&mut self, round: Round) -> bool {
        let mut brought = false;
        for (list, outcome) in round.lists {
            if let ListOutcome::New {
                file,
                version,
                not_stored,
                ..
            } = outcome
            {
                let current = match not_stored {
                    None => ListStates::open(&self.config.state, &list)
                        .and_then(|states| states.set_current(version.seq)),
                    Some(error) => Err(error),
                };
                if let Err(error) = current {
                    tracing::error!(list, %error, "the new version is enforced but cannot be stored; the next start would begin with an older one");
                }
                self.fresh.insert(list, file);
                brought = true;
            }
        }
        brought
    }

    /// Takes another configuration; where it cannot, the old one stays in force.
    fn take(&mut self, config: Arc<Config>) -> Result<(), String> {
        let old = std::mem::take(&mut self.pulled);
        let opened = open_repositories(&config, old).and_then(|mut pulled| {
            let fresh = self.still_there(&config, &mut pulled)?;
            Ok((pulled, fresh))
        });
        match opened {
            Ok((pulled, fresh)) => (self.pulled, self.fresh) = (pulled, fresh),
            Err(message) => {
                // The repositories that the old configuration names opened before.
                self.pulled = open_repositories(&self.config, Vec::new()).unwrap_or_default();
                return Err(message);
            }
        }
        self.config = config;
        self.put_in_force();
        Ok(())
    }

    /// The texts of the lists that are in force and that `config` gets in another way, as by
    /// another pinned root or under another name.
    ///
    /// # Errors
    /// Where such a list has no version that verifies in the new way: a slip of the pen must
    /// not drop what is in force.
    fn still_there(
        &self,
        config: &Config,
        pulled: &mut [Pulled],
    ) -> Result<BTreeMap<String, Verified<ListFile>>, String> {
        let mut fresh = BTreeMap::new();
        for settings in &config.lists {
            let before = self
                .config
                .lists
                .iter()
                .find(|before| before.name == settings.name);
            let compile::From::Repository { repository, list } = &settings.from else {
                continue;
            };
            let of = |config: &Config| {
                let found = config.repositories.iter().find(|of| of.name == *repository);
                found.map(|repository| repository.verify.clone())
            };
            let is_same = before.is_some_and(|before| before.from == settings.from)
                && of(&self.config) == of(config);
            if is_same || before.is_none() || !self.editions.is_in_force(&settings.name) {
                continue;
            }
            let file = text_of(config, settings, |name| puller_of(pulled, name));
            let file = file.ok_or_else(|| {
                format!(
                    "list {} is in force, and no version of it verifies as list {list} of repository {repository} under the new configuration. Look at `from` and `trust`; to begin anew on purpose, remove the list, reload, and add it again",
                    settings.name
                )
            })?;
            fresh.insert(settings.name.clone(), file);
        }
        Ok(fresh)
    }

    /// Compiles the current version of every list and puts them in force.
    fn put_in_force(&mut self) {
        let config = Arc::clone(&self.config);
        let Self {
            pulled,
            fresh,
            editions,
            ..
        } = self;
        editions.put_in_force(&config, |settings| match fresh.remove(&settings.name) {
            Some(file) => Some(file),
            None => text_of(&config, settings, |name| puller_of(pulled, name)),
        });
        self.fresh.clear();
    }
}

fn puller_of<'a>(pulled: &'a mut [Pulled], repository: &str) -> Option<&'a mut Puller> {
    let pulled = pulled
        .iter_mut()
        .find(|pulled| pulled.repository.name == repository);
    pulled.map(|pulled| &mut pulled.puller)
}

/// The current version of a list, from disk; nothing where there is none that verifies.
/// `puller` gives the one of a repository.
pub(super) fn text_of<'a>(
    config: &Config,
    settings: &compile::Settings,
    puller: impl FnOnce(&str) -> Option<&'a mut Puller>,
) -> Option<Verified<ListFile>> {
    match &settings.from {
        compile::From::Repository { repository, list } => {
            let subscription = Subscription {
                name: settings.name.clone(),
                list: list.clone(),
            };
            let restored = puller(repository)?.restore(&subscription);
            for error in restored.damaged {
                tracing::error!(list = settings.name, %error, "a stored version of the list does not verify; it is passed over");
            }
            restored.file.map(|(file, _)| file)
        }
        compile::From::File { path, .. } => local(&config.state, &settings.name, path),
    }
}

/// A local list; where its file cannot be read, the last one that could.
fn local(state: &Path, list: &str, path: &Path) -> Option<Verified<ListFile>> {
    let kept = state.join("lists").join(list).join("local");
    let text = read_bounded(path);
    match text {
        Ok(text) => {
            if let Err(error) = keep(&kept, &text) {
                tracing::warn!(list, %error, "the local list cannot be kept for a time when its file is gone");
            }
            Some(Verified::unsigned(list, &path.display().to_string(), text))
        }
        Err(error) => {
            tracing::error!(list, file = %path.display(), %error, "the local list cannot be read; the last one that could stays in force");
            let text = read_bounded(&kept).ok()?;
            Some(Verified::unsigned(list, &path.display().to_string(), text))
        }
    }
}

fn keep(kept: &Path, text: &[u8]) -> Result<(), String> {
    if std::fs::read(kept).is_ok_and(|before| before == text) {
        return Ok(());
    }
    if let Some(folder) = kept.parent() {
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    source::replace(kept, text).map_err(|error| error.to_string())
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut text = Vec::new();
    std::fs::File::open(path)?
        .take(LOCAL_OCTETS_MAX + 1)
        .read_to_end(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > LOCAL_OCTETS_MAX) {
        return Err(std::io::Error::other("the file is longer than 1 GiB"));
    }
    Ok(text)
}

/// Opens the repositories of a configuration; those that did not change are taken over.
fn open_repositories(config: &Config, mut old: Vec<Pulled>) -> Result<Vec<Pulled>, String> {
    let mut pulled = Vec::new();
    for repository in &config.repositories {
        if let Some(place) = old
            .iter()
            .position(|pulled| pulled.repository == *repository)
        {
            pulled.push(old.swap_remove(place));
            continue;
        }
        let mut puller = Puller::open(&config.state, &repository.source, &repository.verify)
            .map_err(|error| format!("repository {}: {error}", repository.name))?;
        for error in puller.take_set_aside() {
            tracing::error!(repository = repository.name, %error, "a stored file was damaged and is set aside; it is fetched again");
        }
        if let Some(place) = old
            .iter()
            .position(|pulled| pulled.repository.name == repository.name)
        {
            puller.succeed(old.swap_remove(place).puller);
        }
        if let Some(replacement) = puller.replacement() {
            tracing::warn!(
                repository = repository.name,
                by = replacement.by,
                reason = replacement.reason,
                "the pinned root was put by hand in another's place"
            );
        }
        pulled.push(Pulled {
            repository: repository.clone(),
            puller,
            due: clock::instant(),
            failures: 0,
        });
    }
    Ok(pulled)
}

fn subscriptions(config: &Config, repository: &str) -> Vec<Subscription> {
    let lists = config
        .lists
        .iter()
        .filter_map(|settings| match &settings.from {
            compile::From::Repository {
                repository: from,
                list,
            } if from == repository => Some(Subscription {
                name: settings.name.clone(),
                list: list.clone(),
            }),
            _ => None,
        });
    lists.collect()
}

/// The pause before the next round: the interval give or take 15 %, so that nodes do not
/// come all at once (field.md 2.1); after failures twice as long each time, up to 15
/// minutes or the interval.
fn pause(poll: Duration, failures: u32) -> Duration {
    let longest = poll.max(BACK_OFF_MAX);
    let pause = poll
        .saturating_mul(1 << failures.saturating_sub(1).min(8))
        .min(longest);
    let mut octets = [0; 2];
    // Without chance there is no jitter, and nothing else is lost.
    let _ = getrandom::fill(&mut octets);
    let share = f64::from(u16::from_le_bytes(octets)) / f64::from(u16::MAX);
    pause.mul_f64(0.85 + 0.3 * share)
}

/// A sender of orders that no slow updater can make grow.
pub(super) type Orders = SyncSender<Order>;

/// How many orders may wait.
pub(super) const ORDERS_MAX: usize = 16;

/// The longest pause after failures, unless the interval is longer.
const BACK_OFF_MAX: Duration = Duration::from_secs(15 * 60);

/// How long it sleeps at most; a clock that steps is seen by then.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The longest local list, in octets.
const LOCAL_OCTETS_MAX: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_vary_and_grow_after_failures() {
        let poll = Duration::from_secs(60);
        for _ in 0..100 {
            let usual = pause(poll, 0);
            assert!((51..=69).contains(&usual.as_secs()), "{usual:?}");
            let after_many = pause(poll, 40);
            assert!(
                (765..=1035).contains(&after_many.as_secs()),
                "{after_many:?}"
            );
        }
        assert!(
            pause(poll, 1) <= Duration::from_secs(69),
            "the first failure is tried again soon"
        );
    }

    #[test]
    fn a_local_list_outlives_its_file() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("house.txt");
        std::fs::write(&file, "one.test\n").unwrap();
        assert_eq!(
            local(state.path(), "house", &file).unwrap().get().bytes,
            b"one.test\n"
        );
        std::fs::remove_file(&file).unwrap();
        assert_eq!(
            local(state.path(), "house", &file).unwrap().get().bytes,
            b"one.test\n"
        );
    }
}
