//! [`Question`]: what is asked of the resolver.

use super::wire::RecordType;
use crate::policy::Name;

/// What is asked of the resolver, always in class IN. Equal questions have equal answers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Question {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: RecordType,
    /// How it is asked.
    pub flags: Flags,
}

/// The flags of a question that change its answer.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flags {
    /// DO: the asker wants DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
    /// CD: the asker checks for itself (RFC 4035 section 3.2.2).
    pub checking_disabled: bool,
    /// RD is clear: only what the upstream has at hand. Such answers are not remembered, but
    /// what is remembered answers them.
    pub no_recursion: bool,
}

impl Question {
    /// A plain question, for our own use.
    #[must_use]
    pub fn new(name: Name, rtype: RecordType) -> Self {
        Self {
            name,
            rtype,
            flags: Flags::default(),
        }
    }

    /// The question under which its answer is remembered.
    pub(super) const fn remembered(mut self) -> Self {
        self.flags.no_recursion = false;
        self
    }
}
