//! [`Repositories`]: the repositories of a configuration, and when each is asked next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::compile::{self, Reserved};
use crate::config::{Config, Repository};
use crate::control::clock;
use crate::control::rounds::puller::Puller;
use crate::control::rounds::pulling::Step;
use crate::verify::Subscription;

/// The repositories of a configuration, each with what was pulled from it.
#[derive(Debug, Default)]
pub(crate) struct Repositories {
    pulled: Vec<Pulled>,
}

/// One repository and when it is asked next.
#[derive(Debug)]
pub(crate) struct Pulled {
    /// How it is configured.
    pub(crate) repository: Repository,
    /// Its trust and state.
    pub(crate) puller: Puller,
    due: Instant,
    failures: u32,
    /// When the last round began, and for which lists.
    began: (Timestamp, Vec<Subscription>),
    /// Its names that no list may block, ready to be asked.
    never_block: Arc<Reserved>,
}

impl Repositories {
    /// Opens those repositories of a configuration that are not among `old` as they are; these
    /// stay what they were, for the configuration may not be taken.
    ///
    /// # Errors
    /// A sentence where a pinned root is none, or a state folder cannot be used.
    pub(crate) fn open(config: &Config, old: &Self) -> Result<Self, String> {
        let old = &old.pulled;
        let mut pulled = Vec::new();
        for repository in &config.repositories {
            if old.iter().any(|pulled| pulled.repository == *repository) {
                continue;
            }
            let mut puller = Puller::open(&config.state, &repository.source, &repository.verify)
                .map_err(|error| format!("repository {}: {error}", repository.name))?;
            for aside in puller.mend() {
                tracing::error!(repository = repository.name, error = %aside.error, "a stored file was damaged and is set aside as {}.damaged", aside.file);
            }
            let mut before = old.iter();
            if let Some(before) = before.find(|before| before.repository.name == repository.name) {
                puller.succeed(&before.puller);
            }
            if let Some(replacement) = puller.replacement() {
                tracing::warn!(
                    repository = repository.name,
                    by = replacement.by,
                    reason = replacement.reason,
                    "the pinned root was put by hand in another's place"
                );
            }
            let never_block = Reserved::new(Arc::clone(puller.never_block()));
            pulled.push(Pulled {
                repository: repository.clone(),
                puller,
                due: clock::instant(),
                failures: 0,
                began: <(Timestamp, Vec<Subscription>)>::default(),
                never_block: Arc::new(never_block),
            });
        }
        Ok(Self { pulled })
    }

    /// Takes over those that were opened for a configuration; what it does not have any more
    /// goes.
    pub(crate) fn take(&mut self, config: &Config, opened: Self) {
        let is_configured = |pulled: &Pulled| config.repositories.contains(&pulled.repository);
        self.pulled.retain(is_configured);
        self.pulled.extend(opened.pulled);
    }

    /// The one of that name.
    pub(crate) fn pulled(&mut self, repository: &str) -> Option<&mut Pulled> {
        let mut pulled = self.pulled.iter_mut();
        pulled.find(|pulled| pulled.repository.name == repository)
    }

    /// Whether a round of the one of that name goes on.
    #[must_use]
    pub(crate) fn is_out(&self, repository: &str) -> bool {
        let mut pulled = self.pulled.iter();
        pulled.any(|pulled| pulled.repository.name == repository && pulled.puller.is_out())
    }

    /// Gives up the rounds for other lists than `config` has.
    pub(crate) fn give_up_others(&mut self, config: &Config) {
        for pulled in &mut self.pulled {
            if pulled.began.1 != subscriptions(config, &pulled.repository.name) {
                pulled.puller.give_up_round();
            }
        }
    }

    /// The names of those that are due, and not out already.
    #[must_use]
    pub(crate) fn due(&self, now: Instant) -> Vec<String> {
        let home = self.pulled.iter().filter(|pulled| !pulled.puller.is_out());
        home.filter(|pulled| pulled.due <= now)
            .map(|pulled| pulled.repository.name.clone())
            .collect()
    }

    /// How long none is due; nothing where all are out.
    #[must_use]
    pub(crate) fn until_due(&self, now: Instant) -> Option<Duration> {
        let home = self.pulled.iter().filter(|pulled| !pulled.puller.is_out());
        home.map(|pulled| pulled.due.saturating_duration_since(now))
            .min()
    }

    /// When each publisher signed what is trusted now, by its own clock.
    pub(crate) fn issued(&self) -> impl Iterator<Item = Timestamp> {
        let pulled = self.pulled.iter();
        pulled.filter_map(|pulled| pulled.puller.summary().issued_at)
    }

    /// When the newest timestamp of each repository was accepted, with its name; what a round
    /// that goes on has accepted says nothing of the lists yet.
    pub(crate) fn accepted_at(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        let home = self.pulled.iter().filter(|pulled| !pulled.puller.is_out());
        home.filter_map(|pulled| {
            let at = pulled.puller.summary().accepted_at?;
            Some((pulled.repository.name.as_str(), at))
        })
    }

    /// The trust of the repository that a list comes from; nothing for a local list.
    #[must_use]
    pub(crate) fn of(&self, settings: &compile::Settings) -> Option<&Puller> {
        Some(&self.pulled_of(settings)?.puller)
    }

    /// The names that the repository of a list lets no list block; none for a local list.
    #[must_use]
    pub(crate) fn never_block(&self, settings: &compile::Settings) -> Arc<Reserved> {
        let pulled = self.pulled_of(settings);
        pulled.map_or_else(Arc::default, |pulled| Arc::clone(&pulled.never_block))
    }

    fn pulled_of(&self, settings: &compile::Settings) -> Option<&Pulled> {
        let compile::From::Repository { repository, .. } = &settings.from else {
            return None;
        };
        let mut pulled = self.pulled.iter();
        pulled.find(|pulled| pulled.repository.name == *repository)
    }

    /// The same by the repository's name, to read what is stored.
    pub(crate) fn puller(&mut self, repository: &str) -> Option<&mut Puller> {
        Some(&mut self.pulled(repository)?.puller)
    }
}

impl Pulled {
    /// Begins a round at `now`; nothing where one goes on.
    pub(crate) fn begin(
        &mut self,
        subscriptions: Vec<Subscription>,
        now: Timestamp,
    ) -> Option<Step> {
        let step = self.puller.begin(&subscriptions, now)?;
        self.began = (now, subscriptions);
        Some(step)
    }

    /// When the last round began, and for which lists.
    pub(crate) fn began(&self) -> (Timestamp, Vec<Subscription>) {
        self.began.clone()
    }

    /// Has it asked as soon as it can be.
    pub(crate) fn hurry(&mut self) {
        self.due = clock::instant();
    }

    /// Takes up what a round brought, and sets when the repository is asked next, after one
    /// that failed or did not; says in how long.
    pub(crate) fn schedule(&mut self, failed: bool) -> Duration {
        let never_block = self.puller.never_block();
        if self.never_block.names() != &**never_block {
            self.never_block = Arc::new(Reserved::new(Arc::clone(never_block)));
        }
        self.failures = if failed {
            self.failures.saturating_add(1)
        } else {
            0
        };
        let pause = pause(self.repository.poll, self.failures);
        self.due = clock::instant() + pause;
        pause
    }
}

/// The lists of a configuration that come from a repository.
pub(crate) fn subscriptions(config: &Config, repository: &str) -> Vec<Subscription> {
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

/// The longest pause after failures, unless the interval is longer.
const BACK_OFF_MAX: Duration = Duration::from_secs(15 * 60);

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
}
