//! [`Bounds`] and [`Latency`]: what a list must be within, and how long things took.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use crate::compile::Border;
use crate::report::LatencyFigures;

/// What bounds a list: the stricter of the signed policy and the configuration.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Bounds {
    /// Whether the signed policy of its repository speaks of it.
    pub(super) signed: bool,
    growth_percent: Option<u32>,
    shrink_percent: Option<u32>,
    growth_per_day_percent: Option<u32>,
    shrink_per_day_percent: Option<u32>,
    min_entries: Option<u64>,
    max_entries: Option<u64>,
    pub(super) add_within_seconds: Option<u64>,
    pub(super) withdraw_within_seconds: Option<u64>,
}

/// How long things took, in seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Latency {
    count: usize,
    p50: f64,
    p95: f64,
    max: f64,
    within_percent: Option<f64>,
}

impl Bounds {
    /// The bounds of a list with that border.
    pub(super) fn of(border: &Border) -> Self {
        let (guard, bounds) = (&border.bounds.guard, &border.bounds);
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        Self {
            signed: border.signed_guard().is_some(),
            growth_percent: guard.growth,
            shrink_percent: guard.shrink,
            growth_per_day_percent: guard.growth_per_day,
            shrink_per_day_percent: guard.shrink_per_day,
            min_entries: guard.min_entries,
            max_entries: guard.max_entries,
            add_within_seconds: seconds(bounds.add_within),
            withdraw_within_seconds: seconds(bounds.withdraw_within),
        }
    }
}

impl Latency {
    /// The latency by its figures.
    pub(super) fn of(figures: LatencyFigures) -> Self {
        Self {
            count: figures.count,
            p50: figures.p50,
            p95: figures.p95,
            max: figures.max,
            within_percent: figures.within_percent,
        }
    }
    /// A line on what took so long.
    pub(super) fn write(&self, what: &str, text: &mut String) {
        let within = self.within_percent.map_or_else(String::new, |percent| {
            format!(", {percent:.0} % within the deadline")
        });
        let _ = writeln!(
            text,
            "  {what} {:.1} s (half of {}), {:.1} s (95 %), {:.1} s (the longest){within}",
            self.p50, self.count, self.p95, self.max
        );
    }
}
