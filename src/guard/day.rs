//! [`Day`]: how a list changed within the last 24 hours.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Change;

/// The changes of a list within the last 24 hours, each with its time; part of what a node
/// keeps of a list. It holds counts, and no entry.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Day {
    steps: VecDeque<Step>,
}

/// One change, or several that were put together.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Step {
    at: Timestamp,
    #[serde(flatten)]
    change: Change,
}

impl Day {
    /// Notes a change that is now in force. A first version is none: what comes later is
    /// measured by it.
    pub fn note(&mut self, now: Timestamp, change: &Change) {
        self.forget(now);
        if change.before == 0 || (change.added == 0 && change.removed == 0) {
            return;
        }
        if self.steps.len() >= STEPS_MAX
            && let (Some(first), Some(second)) = (self.steps.pop_front(), self.steps.front_mut())
        {
            second.change = first.change.then(&second.change);
        }
        self.steps.push_back(Step {
            at: now,
            change: *change,
        });
    }

    /// How what is in force differs from what was in force 24 hours ago, and `next` besides,
    /// which is judged now. What came and went again counts both ways.
    #[must_use]
    pub fn with(&self, now: Timestamp, next: &Change) -> Change {
        let begin = begin(now);
        let steps = self.steps.iter().filter(|step| step.at > begin);
        let changes = steps.map(|step| step.change).chain([*next]);
        changes
            .reduce(|sum, change| sum.then(&change))
            .unwrap_or(*next)
    }

    /// Drops what is older than a day. What the future has, after the clock was set back,
    /// happened by now.
    fn forget(&mut self, now: Timestamp) {
        let begin = begin(now);
        self.steps.retain(|step| step.at > begin);
        for step in &mut self.steps {
            step.at = step.at.min(now);
        }
    }
}

impl Change {
    /// This change and then another.
    fn then(&self, next: &Self) -> Self {
        Self {
            before: self.before,
            added: self.added.saturating_add(next.added),
            removed: self.removed.saturating_add(next.removed),
            withdrawn: self.withdrawn.saturating_add(next.withdrawn),
            refused: self.refused.saturating_add(next.refused),
        }
    }
}

/// When the last 24 hours began.
fn begin(now: Timestamp) -> Timestamp {
    now.checked_sub(DAY).unwrap_or(Timestamp::MIN)
}

/// What is measured.
const DAY: Duration = Duration::from_secs(86_400);
/// The most steps that are kept apart: more in a day are put together, so that nothing of
/// them is lost.
const STEPS_MAX: usize = 288;

#[cfg(test)]
mod tests {
    use super::*;

    fn change(before: u64, added: u64, removed: u64) -> Change {
        Change {
            before,
            added,
            removed,
            ..Change::default()
        }
    }

    fn hour(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hour * 3600).unwrap()
    }

    /// Notes these changes, each with its hour; what the day then says at `at`.
    fn check(steps: &[(i64, Change)], at: i64, next: Change, expected: Change) {
        let mut day = Day::default();
        for (step, change) in steps {
            day.note(hour(*step), change);
        }
        let text = serde_json::to_string(&day).unwrap();
        assert_eq!(serde_json::from_str::<Day>(&text).unwrap(), day, "{text}");
        assert_eq!(day.with(hour(at), &next), expected);
    }

    #[test]
    fn small_steps_add_up_for_a_day() {
        let steps = [(0, change(1000, 150, 0)), (10, change(1150, 150, 10))];
        check(&steps, 20, change(1290, 100, 0), change(1000, 400, 10));
        check(&steps, 30, change(1290, 100, 0), change(1150, 250, 10));
        check(&steps, 50, change(1290, 100, 0), change(1290, 100, 0));
    }

    #[test]
    fn a_first_version_is_no_growth() {
        let steps = [(0, change(0, 1000, 0))];
        check(&steps, 1, change(1000, 10, 0), change(1000, 10, 0));
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_keep_a_day_for_a_year() {
        let steps = [
            (9600, change(1000, 100, 0)),
            (0, change(1100, 10, 0)),
            (30, change(1110, 10, 0)),
        ];
        check(&steps, 30, change(1120, 0, 0), change(1110, 10, 0));
    }

    #[test]
    fn more_steps_than_are_kept_lose_nothing() {
        let mut day = Day::default();
        for step in 0..1000 {
            day.note(hour(0), &change(1000 + step, 1, 0));
        }
        assert!(day.steps.len() <= STEPS_MAX);
        assert_eq!(
            day.with(hour(1), &change(2000, 0, 0)),
            change(1000, 1000, 0)
        );
    }
}
