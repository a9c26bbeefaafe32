//! [`Trigger`]: what an entry matches.

use std::fmt::Write;

use super::{CanonicalUrl, Name, Prefix};

/// What an entry matches. A name always says its [`Scope`]: lists and resolvers differ
/// about subdomains, so it is never left open (field.md section 2.3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trigger {
    /// A domain name.
    Name {
        /// The name.
        name: Name,
        /// Which names at and below it.
        scope: Scope,
    },
    /// A URL, over plain HTTP.
    Url {
        /// The URL.
        url: CanonicalUrl,
        /// That URL, or all at and below its path.
        scope: UrlScope,
        /// Whether the query counts.
        query: QueryMatch,
    },
    /// Addresses in an answer (RPZ's response-IP).
    Address(Prefix),
    /// The client's address (RPZ's client-IP).
    Client(Prefix),
    /// A name server of one of the zones above an answer (RPZ's NSDNAME).
    NsName {
        /// The name.
        name: Name,
        /// Which names at and below it.
        scope: Scope,
    },
    /// The addresses of such a name server (RPZ's NSIP).
    NsAddress(Prefix),
}

impl Trigger {
    /// What it matches, in its one canonical spelling: the `value` of a native entry.
    #[must_use]
    pub fn value(&self) -> String {
        let mut text = String::new();
        self.write_value(&mut text);
        text
    }

    /// Writes [`Self::value`] behind a text.
    pub fn write_value(&self, text: &mut String) {
        // Writing to memory does not fail.
        let _ = match self {
            Self::Name { name, .. } | Self::NsName { name, .. } => write!(text, "{name}"),
            Self::Url { url, .. } => write!(text, "{url}"),
            Self::Address(range) | Self::Client(range) | Self::NsAddress(range) => {
                write!(text, "{range}")
            }
        };
    }

    /// How far it goes: the `match` of a native entry; nothing for addresses.
    #[must_use]
    pub const fn match_word(&self) -> Option<&'static str> {
        match self {
            Self::Name { scope, .. } | Self::NsName { scope, .. } => Some(scope.as_str()),
            Self::Url { scope, .. } => Some(scope.as_str()),
            Self::Address(_) | Self::Client(_) | Self::NsAddress(_) => None,
        }
    }
}

/// Which names a name trigger covers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scope {
    /// The name itself.
    Exact,
    /// The name and every name below it.
    Subtree,
    /// Every name below it, not the name itself.
    Children,
    /// As RPZ has its wildcards (RFC 4592): every name below it of which it is the closest
    /// encloser among the names of its policy zone.
    Wildcard,
}

/// Which names of a chain of aliases an entry judges.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Reach {
    /// The name that was asked for, alone.
    #[default]
    Asked,
    /// The names that it is an alias of, too.
    Chain,
    /// The same; and it is a rule of a policy zone, whose names wildcards stop at.
    PolicyZone,
}

/// Which paths a URL trigger covers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum UrlScope {
    /// That path.
    Exact,
    /// That path and all below it, by whole segments.
    Prefix,
}

/// Whether the query of a URL counts.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum QueryMatch {
    /// The query must be the same.
    Exact,
    /// Any query, and none.
    Ignore,
}

/// The kind of an entry, as the native list and `kinds` in the configuration name it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// A client's addresses.
    Client,
    /// A domain name.
    Domain,
    /// A name that passes.
    Exception,
    /// Addresses.
    Ip,
    /// A URL.
    Url,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Client,
        Self::Domain,
        Self::Exception,
        Self::Ip,
        Self::Url,
    ];

    /// The word for it in lists and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Domain => "domain",
            Self::Exception => "exception",
            Self::Ip => "ip",
            Self::Url => "url",
        }
    }
}

impl Scope {
    /// The scope of that word as a native entry gives it; nothing for a word that is none.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Exact, Self::Subtree, Self::Children]
            .into_iter()
            .find(|scope| scope.as_str() == word)
    }

    /// The word for it in lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Subtree => "subtree",
            Self::Children => "children",
            Self::Wildcard => "wildcard",
        }
    }
}

impl UrlScope {
    /// The scope of that word; nothing for a word that is none.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Exact, Self::Prefix]
            .into_iter()
            .find(|scope| scope.as_str() == word)
    }

    /// The word for it in lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
        }
    }
}
