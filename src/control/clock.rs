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
