//! [`LocalData`]: what a rule answers instead of the truth.

use super::Name;

/// The data of a rule, in place of all data at the name that it is about (rpz.md 2.3, A6 to
/// A10).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is behind an `Arc`, and an alias is read with one load less"
)]
pub enum LocalData {
    /// The name is an alias; what it is an alias of is resolved, and not judged again.
    Alias {
        /// What it is an alias of.
        target: Name,
        /// Whether the name itself is put in front of the target (`CNAME *.target`).
        is_wildcard: bool,
        /// How long it may be remembered, in seconds.
        ttl: u32,
    },
    /// These records, and none of other types; none of them is an alias.
    Records(Box<[LocalRecord]>),
}

/// One record of local data.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct LocalRecord {
    /// Its type, by number.
    pub rtype: u16,
    /// How long it may be remembered, in seconds.
    pub ttl: u32,
    /// Its data in wire form; no name in it is compressed.
    pub data: Box<[u8]>,
}

/// The most records of one rule.
pub const LOCAL_RECORDS_MAX: usize = 64;
