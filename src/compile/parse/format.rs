//! [`Format`]: how a list is written.

/// How a list is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Our own: a header, then one entry a line, canonical JSON (interface.md).
    Native,
    /// One name a line.
    Domains,
    /// `0.0.0.0 name …`, as in a hosts file.
    Hosts,
    /// One URL a line.
    Urls,
    /// An RPZ zone file.
    Rpz,
    /// One address or prefix a line.
    Addresses,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] = [
        Self::Native,
        Self::Domains,
        Self::Hosts,
        Self::Urls,
        Self::Rpz,
        Self::Addresses,
    ];

    /// The word for it on the command line and in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Domains => "domains",
            Self::Hosts => "hosts",
            Self::Urls => "urls",
            Self::Rpz => "rpz",
            Self::Addresses => "addresses",
        }
    }

    /// The format of that word; nothing for a word that is none.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }
}
