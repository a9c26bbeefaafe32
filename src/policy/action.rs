//! [`Action`]: what is done about a match.

/// What is done when a rule applies (interface.md, "Actions"; RPZ's policy actions).
///
/// Over HTTP and TLS every action but [`Action::Monitor`] and [`Action::PassThru`] blocks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    /// The stop page's addresses where they are configured, else NXDOMAIN.
    Block,
    /// The name does not exist.
    NxDomain,
    /// The name exists, without the asked type.
    NoData,
    /// The resolver declines to answer.
    Refused,
    /// No answer at all.
    Drop,
    /// An empty truncated answer over UDP; passes over TCP.
    TcpOnly,
    /// Counted, then the next best match is taken.
    Monitor,
    /// Passes.
    PassThru,
    /// What the rule itself says, as if it were all the data there is (RPZ's local data).
    LocalData,
}

impl Action {
    /// Every action, in the order of their numbers on disk.
    pub const ALL: [Self; 9] = [
        Self::Block,
        Self::NxDomain,
        Self::NoData,
        Self::Refused,
        Self::Drop,
        Self::TcpOnly,
        Self::Monitor,
        Self::PassThru,
        Self::LocalData,
    ];

    /// The word for it in lists, configuration, metrics and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::NxDomain => "nxdomain",
            Self::NoData => "nodata",
            Self::Refused => "refused",
            Self::Drop => "drop",
            Self::TcpOnly => "tcp_only",
            Self::Monitor => "monitor",
            Self::PassThru => "passthru",
            Self::LocalData => "local_data",
        }
    }

    /// The action of that word; nothing for a word that is none.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }
}
