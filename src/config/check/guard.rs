//! Reads `guard` of a list: which changes are too large to be taken unasked.

use crate::compile::{Guard, OnTrip};
use crate::config::scalar::{count, share, word};
use crate::config::section::Section;
use crate::policy::GuardLimits;

/// Reads it; the defaults are [`Guard::USUAL`].
pub(super) fn read(s: &mut Section<'_, '_>) -> Option<Guard> {
    let growth = s.default(
        "growth",
        "20%",
        "By how much a version may grow upon the one in force.",
        share(GROWTH_MAX),
    );
    let shrink = s.default(
        "shrink",
        "20%",
        "By how much it may shrink; entries that were withdrawn before do not count.",
        share(100),
    );
    let growth_per_day = s.default(
        "growth_per_day",
        "50%",
        "By how much it may grow within 24 hours.",
        share(GROWTH_MAX),
    );
    let shrink_per_day = s.default(
        "shrink_per_day",
        "50%",
        "By how much it may shrink within 24 hours.",
        share(100),
    );
    let from_changes = s.default(
        "from_changes",
        "100",
        "Changes of fewer entries than this are neither growth nor shrink.",
        count(0..=ENTRIES_MAX),
    );
    let min_entries = s.default(
        "min_entries",
        "1",
        "The fewest entries it may have.",
        count(0..=ENTRIES_MAX),
    );
    let max_entries = s.default(
        "max_entries",
        "2000000",
        "The most entries it may have.",
        count(1..=ENTRIES_MAX),
    );
    let on_trip = s.default(
        "on_trip",
        "hold",
        "Whether the version before stays in force until somebody decides, or it is only said.",
        word(&[OnTrip::Hold, OnTrip::Warn].map(|on_trip| (on_trip.as_str(), on_trip))),
    );
    let (min_entries, max_entries) = (min_entries?, max_entries?);
    if min_entries > max_entries {
        return s.wrong(
            "min_entries",
            "`min_entries` is above `max_entries`, so that no version could be taken",
            "lower it, or raise `max_entries`",
        );
    }
    Some(Guard {
        limits: GuardLimits {
            growth: growth.map(Some)?,
            shrink: shrink.map(Some)?,
            growth_per_day: growth_per_day.map(Some)?,
            shrink_per_day: shrink_per_day.map(Some)?,
            from_changes: from_changes.map(Some)?,
            min_entries: Some(min_entries),
            max_entries: Some(max_entries),
        },
        on_trip: on_trip?,
    })
}

/// The largest growth that can be allowed, in per cent.
const GROWTH_MAX: u32 = 10_000;
/// The most entries that can be demanded or allowed.
const ENTRIES_MAX: u64 = 100_000_000;
