//! [`Levers`]: what changes a blocklist at once, without any new list.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::policy::{Name, Withdrawal};

/// What is let through at a time, beside what the lists say: it can only remove.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Levers {
    /// The time by which entries begin, end, and keep their windows.
    pub now: Timestamp,
    /// Entries that are withdrawn, by the list's name in the configuration.
    pub withdrawn: BTreeMap<String, Vec<Withdrawal>>,
    /// Names that the operator lets through in an emergency, with all below them, and until
    /// when.
    pub allowed: Vec<(Name, Timestamp)>,
}
