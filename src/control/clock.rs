//! The only place that asks what time it is; everyone else is told.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that may ask"
)]

/// The wall clock.
#[must_use]
pub fn timestamp() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The clock that only goes forward.
#[must_use]
pub fn instant() -> std::time::Instant {
    std::time::Instant::now()
}

/// No clock can be right that stands before this: the year in which this version was made
/// had not begun. Written by hand when the year of a release is another.
pub const BUILT_AFTER: jiff::Timestamp = jiff::Timestamp::constant(1_767_225_600, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_year_of_this_version_has_begun() {
        assert_eq!(BUILT_AFTER.to_string(), "2026-01-01T00:00:00Z");
        assert!(timestamp() > BUILT_AFTER);
    }
}
