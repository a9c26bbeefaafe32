//! [`Verdict`]: whether a version may be put in force unasked.

use std::fmt::Write;

use super::{Change, Difference, Trip, judge};
use crate::compile::{Border, OnTrip};

/// Whether a version may be put in force unasked, and why not.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verdict {
    /// The guards that it trips; none for a version that is as usual.
    pub trips: Vec<Trip>,
    /// Whether it is held until somebody decides; otherwise trips are logged and shown.
    pub is_held: bool,
    /// What it changes.
    pub difference: Difference,
}

impl Verdict {
    /// Judges a version of a list: `difference` is what it changes upon the one in force,
    /// `day` what it changes upon what was in force 24 hours ago ([`super::Day::with`]).
    /// Limits of the signed policy hold a version whatever `on_trip` says.
    #[must_use]
    pub fn of(border: &Border, difference: Difference, day: &Change) -> Self {
        let change = &difference.change;
        let trips = judge(&border.bounds.guard, change, day);
        let by_policy = |limits| !judge(limits, change, day).is_empty();
        let is_held = match border.on_trip {
            OnTrip::Hold => !trips.is_empty(),
            OnTrip::Warn => border.signed_guard().is_some_and(by_policy),
        };
        Self {
            trips,
            is_held,
            difference,
        }
    }

    /// The trips as one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let sentences: Vec<&str> = self
            .trips
            .iter()
            .map(|trip| trip.sentence.as_str())
            .collect();
        sentences.join("; ")
    }

    /// The trips and the difference for people; with `values` of entries only where the
    /// node's own operator reads it.
    #[must_use]
    pub fn to_text(&self, values: bool) -> String {
        let mut text = String::new();
        for trip in &self.trips {
            let _ = writeln!(text, "{}: {}", trip.guard.as_str(), trip.sentence);
        }
        text + &self.difference.to_text(values)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::{Bounds, GuardLimits};

    /// What becomes of growth by 30 % where configuration and policy allow these shares.
    fn check(local: u32, on_trip: OnTrip, signed: Option<u32>, expected: (usize, bool)) {
        let limits = |growth| GuardLimits {
            growth: Some(growth),
            ..GuardLimits::default()
        };
        let signed = signed.map(|growth| Bounds {
            guard: limits(growth),
            ..Bounds::default()
        });
        let mut border = Border::draft(signed.as_ref(), limits(local), Arc::default());
        border.on_trip = on_trip;
        let difference = Difference {
            change: Change {
                before: 1000,
                added: 300,
                ..Change::default()
            },
            ..Difference::default()
        };
        let verdict = Verdict::of(&border, difference, &Change::default());
        assert_eq!((verdict.trips.len(), verdict.is_held), expected);
    }

    #[test]
    fn the_stricter_of_signed_and_local_decides() {
        use OnTrip::{Hold, Warn};
        check(40, Hold, None, (0, false));
        check(20, Hold, None, (1, true));
        check(20, Warn, None, (1, false));
        check(40, Hold, Some(20), (1, true));
        check(20, Hold, Some(40), (1, true));
        check(20, Warn, Some(40), (1, false));
        check(40, Warn, Some(20), (1, true));
    }
}
