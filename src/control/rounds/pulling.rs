//! One round of a [`Puller`], step by step: what is wanted of which mirror, and what becomes of
//! what it gives. Nothing here waits; whoever sends the [`Errand`]s does.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::control::clock::BUILT_AFTER;
use crate::control::rounds::errand::{Brought, Errand};
use crate::control::rounds::puller::{Puller, Seen};
use crate::control::rounds::round::{ListOutcome, Refusal, Round, RoundError};
use crate::policy::Withdrawal;
use crate::source::{Fetched, Source, StateRank};
use crate::verify::{Answer, Cost, Place, Subscription, Verdict, Wanted};

/// How long the mirrors of a repository may keep a round waiting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budgets {
    /// For what all its lists depend on, and for what is withdrawn.
    pub metadata: Duration,
    /// In all.
    pub round: Duration,
}

/// Where a round stands.
#[derive(Debug)]
pub(crate) enum Step {
    /// It wants a file of a mirror.
    Wanted(Box<Errand>),
    /// It is over.
    Over(Box<Round>),
    /// It was given up meanwhile.
    GivenUp,
}

/// A round that goes on.
#[derive(Debug)]
struct Going {
    begin: Instant,
    round: Round,
}

/// A file that a mirror is asked for, and the round that waits for it.
#[derive(Debug)]
pub(super) struct Asked {
    going: Going,
    wanted: Wanted,
    /// The mirror that was asked first.
    first: usize,
    /// How many were asked before.
    before: usize,
}

impl Puller {
    /// Begins a round at `now`, for the subscribed lists; nothing where one goes on.
    pub(crate) fn begin(&mut self, subscriptions: &[Subscription], now: Timestamp) -> Option<Step> {
        let source = self.source.take()?;
        let mut going = Going {
            begin: Instant::now(),
            round: Round::default(),
        };
        if let Err(error) = self.keeper.catch_up() {
            going.round.error = Some(Arc::new(RoundError::Store(error)));
            return Some(self.end(going, source));
        }
        if now < BUILT_AFTER {
            going.round.error = Some(Arc::new(RoundError::Clock { now }));
            return Some(self.end(going, source));
        }
        self.trusted.begin(now, subscriptions);
        Some(self.go_on(going, source))
    }

    /// Takes what the round's errand brought.
    pub(crate) fn take(&mut self, brought: Brought) -> Step {
        let Brought { source, fetched } = brought;
        let Some(mut asked) = self.asked.take() else {
            self.source = Some(source);
            return Step::GivenUp;
        };
        let mirror = asked.mirror(&source);
        let judged = match fetched {
            Ok(fetched) => self.judge(mirror, &asked.wanted, fetched),
            Err(error) => Err(error.into()),
        };
        let got = match judged {
            Ok(octets) => {
                asked.going.round.octets = asked.going.round.octets.saturating_add(octets);
                self.preferred = mirror;
                Ok(())
            }
            Err(error @ RoundError::Store(_)) => Err(Arc::new(error)),
            Err(error) => {
                let error = Arc::new(error);
                asked.refuse(source.address(mirror), Arc::clone(&error));
                asked.before += 1;
                if asked.before < source.mirror_count() {
                    return self.ask(asked, source);
                }
                Err(error)
            }
        };
        let Asked {
            mut going, wanted, ..
        } = asked;
        match self.settle(wanted, got, &mut going.round) {
            true => self.go_on(going, source),
            false => self.end(going, source),
        }
    }

    /// Gives up the round that goes on: what was accepted stays, and another can begin as soon
    /// as its errand is back.
    pub(crate) fn give_up_round(&mut self) {
        self.asked = None;
    }

    /// Whether a round goes on, or its errand is not back yet.
    pub(crate) const fn is_out(&self) -> bool {
        self.source.is_none()
    }

    /// The lists, by the names the repository gives them, of which something else is withdrawn
    /// since the last call (trust.md section 7.7: that waits for nothing else).
    pub(crate) fn take_withdrawn(&mut self) -> Vec<String> {
        std::mem::take(&mut self.withdrawn)
    }

    /// One round at `now`, for the subscribed lists.
    pub async fn round(&mut self, subscriptions: &[Subscription], now: Timestamp) -> Round {
        self.round_telling(subscriptions, now, &mut |_, _| {}).await
    }

    /// The same; `withdrawn` is told at once, before anything else is fetched, when something
    /// else is withdrawn of a list than before.
    pub async fn round_telling(
        &mut self,
        subscriptions: &[Subscription],
        now: Timestamp,
        withdrawn: &mut (dyn FnMut(&str, &[Withdrawal]) + Send),
    ) -> Round {
        let mut step = self.begin(subscriptions, now);
        loop {
            for list in self.take_withdrawn() {
                withdrawn(&list, self.withdrawals(&list));
            }
            match step {
                Some(Step::Wanted(errand)) => step = Some(self.take(errand.run().await)),
                Some(Step::Over(round)) => return *round,
                Some(Step::GivenUp) | None => return Round::default(),
            }
        }
    }

    /// Goes on until a mirror has to be asked, or the round is over.
    fn go_on(&mut self, mut going: Going, source: Source) -> Step {
        while let Some(wanted) = self.trusted.next() {
            let Place::Store { list, rank } = &wanted.place else {
                let asked = Asked {
                    going,
                    wanted,
                    first: self.preferred,
                    before: 0,
                };
                return self.ask(asked, source);
            };
            let got = self.get_stored(list, *rank).map_err(Arc::new);
            if !self.settle(wanted, got, &mut going.round) {
                break;
            }
        }
        self.end(going, source)
    }

    /// Asks the next mirror; each has its share of the time that is left, so that a slow one
    /// does not take that of the next.
    fn ask(&mut self, mut asked: Asked, mut source: Source) -> Step {
        let most = match asked.wanted.cost {
            Cost::List(_) => self.budgets.round,
            Cost::Round | Cost::Nothing => self.budgets.metadata,
        };
        let now = Instant::now();
        let left = (asked.going.begin + most).saturating_duration_since(now);
        let others = source.mirror_count().saturating_sub(asked.before).max(1);
        source.bound(now + left / u32::try_from(others).unwrap_or(u32::MAX));
        asked.going.round.requests = asked.going.round.requests.saturating_add(1);
        let (mirror, wanted) = (asked.mirror(&source), &asked.wanted);
        let seen = self.seen.as_ref().filter(|seen| {
            seen.mirror == mirror && Some(seen.version) == wanted.unless_changed_since
        });
        let errand = Errand {
            source,
            mirror,
            path: wanted.path.clone(),
            octets_max: wanted.octets_max,
            validator: seen.map(|seen| seen.validator.clone()),
        };
        self.asked = Some(asked);
        Step::Wanted(Box::new(errand))
    }

    /// Ends a round.
    fn end(&mut self, going: Going, mut source: Source) -> Step {
        let mut round = going.round;
        self.collect(&mut round);
        if self.terms_before.is_some() && self.trusted.has_taken_terms() {
            self.terms_before = None;
            round.changes.policy = true;
            round.changes.never_block = true;
        }
        round.retries = source.take_retries();
        round.date = source.take_date();
        self.source = Some(source);
        Step::Over(Box::new(round))
    }

    /// Takes note of what became of a wanted file; says whether the round goes on.
    fn settle(
        &mut self,
        wanted: Wanted,
        got: Result<(), Arc<RoundError>>,
        round: &mut Round,
    ) -> bool {
        self.collect(round);
        round.error = match got {
            Ok(()) => None,
            Err(error) if matches!(*error, RoundError::Store(_)) => Some(error),
            Err(error) => self.give_up(wanted, error, round),
        };
        let changes = self.trusted.take_changes();
        round.changes.policy |= changes.policy;
        round.changes.never_block |= changes.never_block;
        self.withdrawn.extend(changes.withdrawn.iter().cloned());
        round.changes.withdrawn.extend(changes.withdrawn);
        round.error.is_none()
    }

    /// Gives up a file, and notes what that costs.
    ///
    /// # Errors
    /// Says why the round ends here, where it does.
    fn give_up(
        &mut self,
        wanted: Wanted,
        error: Arc<RoundError>,
        round: &mut Round,
    ) -> Option<Arc<RoundError>> {
        let writes = self.trusted.skip();
        match wanted.cost {
            Cost::List(list) => round.lists.push((list, ListOutcome::Refused(error))),
            Cost::Nothing => round.noted.push(error),
            Cost::Round => return Some(error),
        }
        let written = self.keeper.write(writes);
        written
            .err()
            .map(|error| Arc::new(RoundError::Store(error)))
    }

    /// Has a mirror's answer judged; says how many octets it has.
    fn judge(
        &mut self,
        mirror: usize,
        wanted: &Wanted,
        fetched: Fetched,
    ) -> Result<u64, RoundError> {
        let answer = match &fetched {
            Fetched::File(bytes, _) => Answer::File(bytes),
            Fetched::Absent => Answer::Absent,
            Fetched::Unchanged => Answer::Unchanged,
        };
        let octets = match answer {
            Answer::File(bytes) => bytes.len() as u64,
            Answer::Absent | Answer::Unchanged | Answer::Stored(_) => 0,
        };
        let writes = self.trusted.feed(answer)?;
        if let Fetched::File(_, Some(validator)) = fetched
            && wanted.path == TIMESTAMP
            && let Some(version) = self.trusted.timestamp_version()
        {
            self.seen = Some(Seen {
                mirror,
                validator,
                version,
            });
        }
        self.keeper.write(writes).map_err(RoundError::Store)?;
        Ok(octets)
    }

    /// Gets the stored text of a list and has steps applied to it; where it cannot be
    /// read, there is another way.
    fn get_stored(&mut self, list: &str, rank: StateRank) -> Result<(), RoundError> {
        let stored = self.keeper.text(list, rank);
        let answer = stored.as_ref().map_or(Answer::Absent, Answer::Stored);
        let writes = self.trusted.feed(answer)?;
        self.keeper.write(writes).map_err(RoundError::Store)
    }

    /// Takes what the round brought so far, and stores new versions.
    fn collect(&mut self, round: &mut Round) {
        for (list, verdict) in self.trusted.take_verdicts() {
            let outcome = match verdict {
                Verdict::New {
                    file,
                    version,
                    proof,
                    change,
                } => {
                    let not_stored = self.keeper.save_version(&list, &file, &version, &proof);
                    ListOutcome::New {
                        file,
                        version,
                        change,
                        not_stored,
                    }
                }
                Verdict::Unchanged => ListOutcome::Unchanged,
                Verdict::Refused(error) => ListOutcome::Refused(Arc::new(error.into())),
            };
            round.lists.push((list, outcome));
        }
        let notes = self.trusted.take_notes().into_iter();
        round.noted.extend(notes.map(|note| Arc::new(note.into())));
        for evidence in self.trusted.take_evidence() {
            if self.keeper.keep_evidence(&evidence) {
                round.evidence.push(evidence);
            }
        }
    }
}

impl Asked {
    /// The mirror that is asked now.
    fn mirror(&self, source: &Source) -> usize {
        (self.first + self.before) % source.mirror_count().max(1)
    }

    /// Notes that a mirror did not have it right.
    fn refuse(&mut self, mirror: String, error: Arc<RoundError>) {
        let list = match &self.wanted.cost {
            Cost::List(list) => Some(list.clone()),
            Cost::Round | Cost::Nothing => None,
        };
        self.going.round.refusals.push(Refusal {
            mirror,
            list,
            error,
        });
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            metadata: METADATA_MAX,
            round: ROUND_MAX,
        }
    }
}

/// How long the mirrors of a repository may take in a round for what all its lists depend on,
/// and for what is withdrawn.
const METADATA_MAX: Duration = Duration::from_secs(60);
/// How long a round may take in all.
const ROUND_MAX: Duration = Duration::from_secs(5 * 60);
/// The one file that is asked for with a condition.
const TIMESTAMP: &str = "metadata/timestamp.json";
