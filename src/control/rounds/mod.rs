//! One round after the other: pull, judge, compile, put in force, and note what went wrong.

pub(crate) mod clock_judge;
pub(crate) mod configuring;
pub(crate) mod editions;
pub(crate) mod errand;
pub(crate) mod expiry;
pub(crate) mod inactive;
mod keeper;
pub(crate) mod lapsed;
pub(crate) mod noting;
pub(crate) mod ordered;
mod puller;
mod pulling;
pub(crate) mod repositories;
mod round;
pub(crate) mod standing;
pub(crate) mod trial;
pub(crate) mod update;
pub(crate) mod withdrawing;

pub use puller::Puller;
pub use pulling::Budgets;
pub use round::{ListOutcome, Refusal, RestoredList, Round, RoundError};
