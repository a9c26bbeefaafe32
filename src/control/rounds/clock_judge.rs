//! [`ClockJudge`]: whether the clock of this machine can be right (trust.md section 7.8).

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use crate::control::clock::BUILT_AFTER;
use crate::control::rounds::round::{Round, RoundError};
use crate::report::Severity;
use crate::verify::VerifyError;

/// Watches the clock from round to round. What a mirror says of the time is a hint: it makes
/// a sentence better, and nothing is accepted or refused by it.
#[derive(Debug, Default)]
pub(crate) struct ClockJudge {
    /// What the clock, and the one that only goes forward, said at the last look.
    last: Option<(Timestamp, Instant)>,
}

/// What is wrong with the clock, or with the publisher's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ClockAlarm {
    /// How urgent it is.
    pub(crate) severity: Severity,
    /// What happened and what to do.
    pub(crate) sentence: String,
}

impl ClockJudge {
    /// Looks at the clock; says by how much it stepped back since the last look, where that
    /// is more than [`STEP_MAX`].
    pub(crate) fn step_back(&mut self, now: Timestamp, at: Instant) -> Option<SignedDuration> {
        let (then, begin) = self.last.replace((now, at))?;
        let passed = SignedDuration::try_from(at.duration_since(begin)).unwrap_or_default();
        let back = then.duration_since(now).saturating_add(passed);
        (back > STEP_MAX).then_some(back)
    }
}

impl ClockAlarm {
    /// What a round at `now` says of the clock; `issued` is when the publisher signed what is
    /// trusted now, by its own clock. Nothing while all is well.
    pub(crate) fn of(round: &Round, issued: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        match round.error.as_deref() {
            Some(error @ RoundError::Clock { .. }) => {
                return Some(Self::alarm(error.to_string()));
            }
            Some(RoundError::Verify(VerifyError::Expired { file, expires })) => {
                return Some(Self::alarm(expired(file, *expires, round.date, now)));
            }
            Some(RoundError::Verify(error @ VerifyError::FromTheFuture { .. })) => {
                return Some(Self::alarm(format!(
                    "clock or publisher? {error}. Lists stay enforced{}",
                    hint(round.date, now)
                )));
            }
            _ => {}
        }
        let behind = issued.map(|issued| issued.duration_since(now))?;
        (behind > STEP_MAX).then(|| Self {
            severity: Severity::Warning,
            sentence: format!(
                "the clock of this machine is {} min behind the publisher's; expiry is judged by the later of the two. Does NTP run?{}",
                behind.as_mins(),
                hint(round.date, now)
            ),
        })
    }

    fn alarm(sentence: String) -> Self {
        Self {
            severity: Severity::Alarm,
            sentence,
        }
    }
}

/// The time by which entries begin and end: the clock's, unless it cannot be right; then the
/// latest that a publisher signed, so that no entry is lost to a clock that was reset.
pub(crate) fn plausible(now: Timestamp, issued: impl Iterator<Item = Timestamp>) -> Timestamp {
    if now >= BUILT_AFTER {
        return now;
    }
    issued.max().unwrap_or(now).max(BUILT_AFTER)
}

/// The sentence where all of a repository looks expired.
fn expired(file: &str, expires: Timestamp, date: Option<Timestamp>, now: Timestamp) -> String {
    format!(
        "clock or publisher? {file} expired at {expires}, and it is {now} here; nothing new is accepted and lists stay enforced{}",
        hint(date, now)
    )
}

/// What the mirror's own clock says to that.
fn hint(date: Option<Timestamp>, now: Timestamp) -> String {
    let Some(date) = date else {
        return ". No mirror says what time it is there".to_owned();
    };
    let ahead = now.duration_since(date);
    if ahead.abs() <= STEP_MAX {
        return ". The mirror's clock agrees with this one: ask the publisher".to_owned();
    }
    let word = if ahead.is_positive() {
        "ahead"
    } else {
        "behind"
    };
    format!(
        ". The mirror says that it is {date}: the clock of this machine seems to be {} min {word}. Does NTP run?",
        ahead.abs().as_mins()
    )
}

/// Steps and differences up to this are tolerated without a word.
const STEP_MAX: SignedDuration = SignedDuration::from_mins(10);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        let begin: Timestamp = "2026-11-24T06:00:00Z".parse().unwrap();
        begin + SignedDuration::from_mins(minutes)
    }

    #[test]
    fn steps_back_above_ten_minutes_are_told() {
        let begin = crate::control::clock::instant();
        let check = |after: i64, expected: Option<i64>| {
            let mut judge = ClockJudge::default();
            assert_eq!(judge.step_back(at(0), begin), None);
            let later = begin + Duration::from_secs(60);
            let back = judge.step_back(at(after), later);
            assert_eq!(back.map(|back| back.as_mins()), expected, "{after}");
        };
        check(1, None);
        check(500, None);
        check(-8, None);
        check(-10, Some(11));
        check(-600, Some(601));
    }

    fn check(error: Option<RoundError>, date: Option<i64>, issued: Option<i64>, said: &[&str]) {
        let round = Round {
            error: error.map(Arc::new),
            date: date.map(at),
            ..Round::default()
        };
        let alarm = ClockAlarm::of(&round, issued.map(at), at(0));
        let sentence = alarm.map(|alarm| alarm.sentence).unwrap_or_default();
        assert_eq!(sentence.is_empty(), said.is_empty(), "{sentence}");
        for part in said {
            assert!(sentence.contains(part), "{part}: {sentence}");
        }
    }

    #[test]
    fn a_mirrors_date_says_whose_clock_is_wrong_and_no_more() {
        let expired = || {
            Some(RoundError::Verify(VerifyError::Expired {
                file: "timestamp.json".into(),
                expires: at(-5),
            }))
        };
        check(None, Some(-600), Some(-600), &[]);
        check(None, None, Some(9), &[]);
        check(None, None, Some(11), &["11 min behind the publisher's"]);
        check(expired(), None, None, &["clock or publisher?", "No mirror"]);
        check(expired(), Some(-1), None, &["ask the publisher"]);
        check(expired(), Some(-600), None, &["600 min ahead", "NTP"]);
        let unknown = RoundError::Clock { now: at(0) };
        check(Some(unknown), None, None, &["stored lists stay enforced"]);
    }

    #[test]
    fn a_clock_that_was_reset_loses_no_entry() {
        let reset: Timestamp = "1970-01-01T00:00:10Z".parse().unwrap();
        assert_eq!(plausible(at(3), [at(9)].into_iter()), at(3));
        assert_eq!(plausible(reset, [at(9), at(2)].into_iter()), at(9));
        assert_eq!(plausible(reset, std::iter::empty()), BUILT_AFTER);
    }
}
