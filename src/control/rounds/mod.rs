//! One round after the other: pull, judge, compile, put in force, and note what went wrong.

pub(crate) mod clock_judge;
pub(crate) mod editions;
pub(crate) mod errand;
pub(crate) mod expiry;
pub(crate) mod keeper;
pub(crate) mod lapsed;
pub(crate) mod ordered;
pub mod pulling;
pub(crate) mod repositories;
pub mod round;
pub(crate) mod standing;
pub(crate) mod trial;
pub(crate) mod update;
pub(crate) mod withdrawing;
