//! [`Bucket`]: an hour, UTC; the finest time that is stored about a hit.

use jiff::Timestamp;

/// An hour, UTC, as the number of whole hours since 1970. Nothing finer is kept about a hit
/// (field.md section 5.4).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Bucket(i64);

impl Bucket {
    /// The hour in which `at` lies.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(at.as_second().div_euclid(SECONDS))
    }

    /// The bucket of that number, as [`Self::number`] gives it.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Whole hours since 1970; what is written to disk.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// Its first second; the nearest one that a timestamp can hold.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp::from_second(self.0.saturating_mul(SECONDS)).unwrap_or(if self.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
    }

    /// The first hour of its day, UTC.
    #[must_use]
    pub const fn day(self) -> Self {
        Self(self.0.div_euclid(HOURS_PER_DAY) * HOURS_PER_DAY)
    }

    /// The bucket `hours` later; earlier where negative.
    #[must_use]
    pub const fn plus_hours(self, hours: i64) -> Self {
        Self(self.0.saturating_add(hours))
    }

    /// The bucket `days` later; earlier where negative.
    #[must_use]
    pub const fn plus_days(self, days: i64) -> Self {
        Self(self.0.saturating_add(days.saturating_mul(HOURS_PER_DAY)))
    }
}

/// Seconds of a bucket.
const SECONDS: i64 = 3600;
/// Buckets of a day.
const HOURS_PER_DAY: i64 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(at: &str, hour: &str, day: &str) {
        let bucket = Bucket::of(at.parse().unwrap());
        assert_eq!(bucket.start().to_string(), hour);
        assert_eq!(bucket.day().start().to_string(), day);
        assert_eq!(Bucket::from_number(bucket.number()), bucket);
    }

    #[test]
    fn hours_and_days_begin_in_utc() {
        check(
            "2026-11-24T08:59:59.999Z",
            "2026-11-24T08:00:00Z",
            "2026-11-24T00:00:00Z",
        );
        check(
            "2026-11-24T00:00:00Z",
            "2026-11-24T00:00:00Z",
            "2026-11-24T00:00:00Z",
        );
        check(
            "1969-12-31T23:30:00Z",
            "1969-12-31T23:00:00Z",
            "1969-12-31T00:00:00Z",
        );
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        assert_eq!(Bucket::from_number(i64::MAX).start(), Timestamp::MAX);
        assert_eq!(Bucket::from_number(i64::MIN).start(), Timestamp::MIN);
    }
}
