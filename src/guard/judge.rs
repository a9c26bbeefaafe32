//! [`judge`]: which guards a version of a list trips.

use serde::{Deserialize, Serialize};

use crate::policy::GuardLimits;

/// How a version differs from another, in entries; the list's own test entry is left out.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Change {
    /// Entries of the version it is compared with; 0 where there is none.
    pub before: u64,
    /// Entries that it has and the other has not.
    pub added: u64,
    /// Entries that the other has and it has not.
    pub removed: u64,
    /// Of those, entries that the authority had withdrawn before: that they go is announced,
    /// and trips nothing.
    #[serde(default)]
    pub withdrawn: u64,
    /// Of the rows that came, those that may never be blocked: protected names, public
    /// suffixes, names of the never-block list.
    pub refused: u64,
}

/// A guard that was tripped.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Trip {
    /// Which.
    pub guard: Guard,
    /// What happened and what the limit is, as a sentence.
    pub sentence: String,
}

/// The guards (field.md section 3: what would have stopped the incidents).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Too many entries came at once.
    Growth,
    /// Too many went at once.
    Shrink,
    /// Too many came within a day.
    GrowthPerDay,
    /// Too many went within a day.
    ShrinkPerDay,
    /// Too many of the new rows are names that may never be blocked: this looks like the
    /// wrong file.
    Composition,
    /// More entries than the list may have.
    Ceiling,
    /// Fewer entries than the list must have.
    Floor,
    /// The node did not answer itself as it must once the version was in force.
    SelfTest,
}

impl Change {
    /// The entries after it.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.before
            .saturating_add(self.added)
            .saturating_sub(self.removed)
    }

    /// The entries that go without having been withdrawn before.
    const fn unannounced(&self) -> u64 {
        self.removed.saturating_sub(self.withdrawn)
    }
}

impl Guard {
    /// The word for it in files, metrics and `status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Growth => "growth",
            Self::Shrink => "shrink",
            Self::GrowthPerDay => "growth_per_day",
            Self::ShrinkPerDay => "shrink_per_day",
            Self::Composition => "composition",
            Self::Ceiling => "ceiling",
            Self::Floor => "floor",
            Self::SelfTest => "self_test",
        }
    }
}

/// Which guards a version trips that changes the one in force by `version`, and what was in
/// force 24 hours ago by `day`. Growth and shrink do not speak of a first version, shrink and
/// floor not of entries that had been withdrawn.
#[must_use]
pub fn judge(limits: &GuardLimits, version: &Change, day: &Change) -> Vec<Trip> {
    let mut trips = Vec::new();
    let mut trip = |guard, sentence: String| trips.push(Trip { guard, sentence });
    let entries = version.entries();
    if let Some(most) = limits.max_entries.filter(|most| entries > *most) {
        trip(
            Guard::Ceiling,
            format!("it has {entries} entries, and at most {most} are allowed"),
        );
    }
    let is_announced = version.removed > 0 && version.removed == version.withdrawn;
    if let Some(fewest) = limits
        .min_entries
        .filter(|fewest| entries < *fewest && !is_announced)
    {
        trip(
            Guard::Floor,
            format!("it has {entries} entries, and at least {fewest} are demanded"),
        );
    }
    let from = limits.from_changes.unwrap_or(0);
    for (guard, change, changed, limit, grows, span) in [
        (
            Guard::Growth,
            version,
            version.added,
            limits.growth,
            true,
            "",
        ),
        (
            Guard::Shrink,
            version,
            version.unannounced(),
            limits.shrink,
            false,
            "",
        ),
        (
            Guard::GrowthPerDay,
            day,
            day.added,
            limits.growth_per_day,
            true,
            " within 24 hours",
        ),
        (
            Guard::ShrinkPerDay,
            day,
            day.unannounced(),
            limits.shrink_per_day,
            false,
            " within 24 hours",
        ),
    ] {
        let Some(limit) = limit.filter(|_| change.before > 0 && changed >= from) else {
            continue;
        };
        if changed.saturating_mul(100) > change.before.saturating_mul(u64::from(limit)) {
            let before = change.before;
            let what = match grows {
                true => format!("{changed} entries are added to {before}"),
                false => format!("{changed} of {before} entries are removed"),
            };
            trip(guard, format!("{what}{span}, more than {limit} %"));
        }
    }
    let rows = version.added.saturating_add(version.refused);
    if version.refused >= REFUSED_FROM
        && version.refused.saturating_mul(100) > rows.saturating_mul(REFUSED_PERCENT)
    {
        let refused = version.refused;
        trip(
            Guard::Composition,
            format!(
                "{refused} of {rows} new rows are names that may never be blocked; this looks like the wrong file"
            ),
        );
    }
    trips
}

/// From how many refused rows on the composition is judged.
const REFUSED_FROM: u64 = 10;
/// The largest share of the new rows that may be refused, in per cent.
const REFUSED_PERCENT: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(version: (u64, u64, u64, u64), day: (u64, u64, u64), expected: &[Guard]) {
        let limits = GuardLimits {
            growth: Some(20),
            shrink: Some(20),
            growth_per_day: Some(30),
            shrink_per_day: Some(30),
            from_changes: Some(100),
            min_entries: Some(1),
            max_entries: Some(10_000),
        };
        let (before, added, removed, refused) = version;
        let version = Change {
            before,
            added,
            removed,
            refused,
            ..Change::default()
        };
        let (before, added, removed) = day;
        let day = Change {
            before,
            added,
            removed,
            ..Change::default()
        };
        let trips = judge(&limits, &version, &day);
        let tripped: Vec<Guard> = trips.iter().map(|trip| trip.guard).collect();
        assert_eq!(tripped, expected, "{trips:?}");
    }

    #[test]
    fn what_was_withdrawn_may_go() {
        let limits = GuardLimits {
            shrink: Some(20),
            shrink_per_day: Some(20),
            min_entries: Some(1),
            ..GuardLimits::default()
        };
        let change = |removed, withdrawn| Change {
            before: 10,
            removed,
            withdrawn,
            ..Change::default()
        };
        let guards = |change: &Change| -> Vec<Guard> {
            let trips = judge(&limits, change, change);
            trips.iter().map(|trip| trip.guard).collect()
        };
        assert_eq!(guards(&change(10, 10)), []);
        assert_eq!(guards(&change(5, 3)), []);
        assert_eq!(
            guards(&change(10, 9)),
            [Guard::Floor],
            "one more went than was withdrawn"
        );
        assert_eq!(guards(&change(5, 0)), [Guard::Shrink, Guard::ShrinkPerDay]);
    }

    #[test]
    fn each_guard_trips_beyond_its_limit_and_not_at_it() {
        let quiet = (1000, 0, 0);
        check((1000, 200, 200, 0), quiet, &[]);
        check((1000, 201, 0, 0), quiet, &[Guard::Growth]);
        check((1000, 0, 201, 0), quiet, &[Guard::Shrink]);
        check((100, 99, 0, 0), quiet, &[]);
        check((100, 100, 0, 0), quiet, &[Guard::Growth]);
        check(
            (1000, 100, 0, 0),
            (1000, 301, 301),
            &[Guard::GrowthPerDay, Guard::ShrinkPerDay],
        );
        check((0, 10_000, 0, 0), (0, 10_000, 0), &[]);
        check((0, 10_001, 0, 0), (0, 10_001, 0), &[Guard::Ceiling]);
        check((1000, 0, 1000, 0), quiet, &[Guard::Floor, Guard::Shrink]);
        check((1000, 100, 0, 9), quiet, &[]);
        check((1000, 100, 0, 10), quiet, &[Guard::Composition]);
    }
}
