//! [`Withdrawal`]: an entry that is let through now, before its list says so.

use jiff::Timestamp;

use super::EntryId;

/// An entry that an authority's duty officer lets through at once, until the list itself
/// confirms it (trust.md section 7.12). It can only remove.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Withdrawal {
    /// Which entry.
    pub what: Withdrawn,
    /// Why.
    pub reason: WithdrawalReason,
    /// From this on the entry is enforced again, unless the list has removed it.
    pub until: Timestamp,
}

/// Which entry of a list is withdrawn.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Withdrawn {
    /// The one with that id.
    Id(EntryId),
    /// Every one with that value, in its canonical spelling.
    Value(String),
}

/// Why an entry is withdrawn or removed; a closed vocabulary (field.md section 8.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WithdrawalReason {
    /// It never should have been there.
    Error,
    /// An appeal was upheld.
    Appeal,
    /// What it was about is gone.
    ContentGone,
    /// Another entry takes its place.
    Replaced,
    /// The decision behind it has ended.
    Expired,
}

impl WithdrawalReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::Error,
        Self::Appeal,
        Self::ContentGone,
        Self::Replaced,
        Self::Expired,
    ];

    /// The word for it in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Appeal => "appeal",
            Self::ContentGone => "content_gone",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
        }
    }

    /// The reason of that word; nothing for a word that is none.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}
