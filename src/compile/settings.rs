//! What this stage must be told: per list, how it is read and how far it goes.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Format;
use super::parse::Reading;
use super::row::local_record;
use crate::policy::{Action, GuardLimits, Kind, LocalData, Prefix, Scope, UrlScope};

/// How one list is read, and what it may do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Its name in the configuration.
    pub name: String,
    /// Where it comes from.
    pub from: From,
    /// Whether it acts or only watches.
    pub mode: Mode,
    /// The kinds of entries that are taken; others are quarantined. Exceptions count as
    /// domains.
    pub kinds: Vec<Kind>,
    /// What is done instead of what the entries say; nothing for `given`.
    pub action: Option<Action>,
    /// What is answered then, where that is local data.
    pub data: Option<Arc<LocalData>>,
    /// How it acts over DNS, and for whom.
    pub dns: DnsOptions,
    /// How far exceptions reach.
    pub passthru: PassThru,
    /// The Extended DNS Error of its answers.
    pub ede: Ede,
    /// `readyz` is false until every required list is in force; one that is dropped after that
    /// is an alarm.
    pub required: bool,
    /// Which changes are too large to be taken unasked.
    pub guard: Guard,
}

impl Settings {
    /// A list of which nothing else is said: it acts on names and URLs, nothing of it is
    /// overridden, and it has no guard. The exceptions of a signed list spare names from that
    /// list alone.
    #[must_use]
    pub fn new(name: &str, from: From) -> Self {
        Self {
            name: name.to_owned(),
            mode: Mode::Enforce,
            kinds: vec![Kind::Domain, Kind::Url],
            action: None,
            data: None,
            dns: DnsOptions::default(),
            passthru: match from {
                From::Repository { .. } => PassThru::List,
                From::File { .. } => PassThru::All,
            },
            from,
            ede: Ede::Blocked,
            required: true,
            guard: Guard::default(),
        }
    }

    /// How its text is to be read.
    #[must_use]
    pub fn reading(&self) -> Reading {
        let (format, scope) = match self.from {
            From::Repository { .. } => (Format::Native, None),
            From::File { format, scope, .. } => (format, scope),
        };
        Reading {
            list: self.name.clone(),
            format,
            scope,
            url_scope: UrlScope::Exact,
            record: local_record(self),
        }
    }
}

/// Where a list comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum From {
    /// A signed list of a repository.
    Repository {
        /// The repository's name in the configuration.
        repository: String,
        /// The list's name there.
        list: String,
    },
    /// A local file, which nobody signed.
    File {
        /// Its path.
        path: PathBuf,
        /// How it is written.
        format: Format,
        /// The scope of names where the format does not say it.
        scope: Option<Scope>,
    },
}

/// How a list acts over DNS, and for which clients: RPZ's options (rpz.md 2.9).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DnsOptions {
    /// Whether signed answers are rewritten for clients that want DNSSEC records, too (S4).
    pub break_dnssec: bool,
    /// Whether a name is resolved before a rule on it acts (S12).
    pub qname_wait_recurse: bool,
    /// Whether queries without RD are spared (S3).
    pub recursive_only: bool,
    /// The longest TTL of an answer; without one that of the rule, and `dns.ttl` for native
    /// entries.
    pub max_policy_ttl: Option<Duration>,
    /// Whether answers say by a SOA record in the additional section which list made them (R4).
    pub add_soa: bool,
    /// Names with fewer dots have their name servers not looked at (T6).
    pub min_ns_dots: u8,
    /// Whether name servers are looked up for NSDNAME and NSIP rules; without it these are
    /// inactive (T9).
    pub ns_lookup: bool,
    /// Whether RA is clear in NXDOMAIN answers (R9).
    pub signal_nxdomain_ra: bool,
    /// The networks of the clients that it is for; empty for all.
    pub clients: Vec<Prefix>,
}

impl DnsOptions {
    /// Whether the list is for this client.
    #[must_use]
    pub fn is_for(&self, client: IpAddr) -> bool {
        self.clients.is_empty() || self.clients.iter().any(|range| range.contains(client))
    }
}

impl Default for DnsOptions {
    fn default() -> Self {
        Self {
            break_dnssec: true,
            qname_wait_recurse: false,
            recursive_only: false,
            max_policy_ttl: None,
            add_soa: true,
            min_ns_dots: 1,
            ns_lookup: false,
            signal_nxdomain_ra: false,
            clients: Vec::new(),
        }
    }
}

/// Whether a list acts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Its entries act.
    Enforce,
    /// Its entries are counted, then the next best match is taken.
    Monitor,
}

/// How far the exceptions of a list reach.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PassThru {
    /// They spare names from this list only.
    List,
    /// They end the decision, as in RPZ.
    All,
}

/// The Extended DNS Error (RFC 8914) of a list's answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ede {
    /// 15: by the operator's own decision.
    Blocked,
    /// 16: because the law demands it.
    Censored,
    /// 17: because the client asked for it.
    Filtered,
    /// 18: the client may not ask.
    Prohibited,
    /// No such option in the answer.
    None,
}

impl Ede {
    /// The code on the wire; nothing for [`Self::None`].
    #[must_use]
    pub const fn code(self) -> Option<u16> {
        match self {
            Self::Blocked => Some(15),
            Self::Censored => Some(16),
            Self::Filtered => Some(17),
            Self::Prohibited => Some(18),
            Self::None => None,
        }
    }
}

/// How far a list may change at once, and what is done beyond that.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Guard {
    /// How far.
    pub limits: GuardLimits,
    /// What is done beyond it.
    pub on_trip: OnTrip,
}

/// What is done with a version that trips a guard.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnTrip {
    /// It is held: the version before stays in force until somebody decides.
    #[default]
    Hold,
    /// It is put in force, and the trip is logged and shown. Limits of a signed policy hold
    /// all the same.
    Warn,
}

impl OnTrip {
    /// The word for it in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Warn => "warn",
        }
    }
}

impl Guard {
    /// What holds where nothing else is said, on nodes and for who publishes.
    pub const USUAL: Self = Self {
        limits: GuardLimits {
            growth: Some(20),
            shrink: Some(20),
            growth_per_day: Some(50),
            shrink_per_day: Some(50),
            from_changes: Some(100),
            min_entries: Some(1),
            max_entries: Some(2_000_000),
        },
        on_trip: OnTrip::Hold,
    };
}
