//! [`CompiledList`]: one list of a blocklist, and what became of its rows.

use std::collections::BTreeMap;

use super::parse::native;
use super::{Border, DnsOptions, Reject, Settings};
use crate::policy::{Entry, Kind, LocalRecord, Name, Provenance, Reach, Trigger};

/// One list of a blocklist.
#[derive(Clone, Debug)]
pub struct CompiledList {
    /// How it was read and what it may do.
    pub settings: Settings,
    /// Where it came from.
    pub provenance: Provenance,
    /// What its rows had to be within.
    pub border: Border,
    /// What answers say by which list they were made.
    pub soa: ZoneSoa,
    /// Its entries in force by kind, without the canary.
    pub entries: Vec<(Kind, usize)>,
    /// The rows that were left out, the first [`REJECTS_KEPT_MAX`] of them.
    pub rejects: Vec<Reject>,
    /// How many rows were left out.
    pub rejected: usize,
    /// Rows that were taken and are strange, the first [`REJECTS_KEPT_MAX`] of them.
    pub warnings: Vec<Reject>,
    /// How many of those there are.
    pub warned: usize,
    /// Of the rows that were left out, those that would block what may never be blocked; counted when the list is
    /// compiled whole and when rows come, not when they go.
    pub never_blocked: usize,
    /// Entries that are not in effect now: not yet, no longer, or outside their windows.
    pub not_in_effect: usize,
    /// Entries that are withdrawn and would be in effect.
    pub withdrawn: usize,
    /// Entries in force whose withdrawal has ended: the list never confirmed it.
    pub lapsed: usize,
    /// Entries whose review is overdue.
    pub overdue: usize,
    /// Entries above a name that stays open all the same, such as a protected one: in force,
    /// but for that name.
    pub holes: Vec<(String, String)>,
    /// What its entries look at beside the name that is asked for.
    pub triggers: Triggers,
}

/// The SOA record of a policy zone, or what stands for it: the tag of its answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ZoneSoa {
    /// The apex of the zone; the list's name where there is none.
    pub owner: Name,
    /// How long it may be remembered, in seconds: not longer than its minimum (RFC 2308
    /// section 3).
    pub ttl: u32,
    /// Its data in wire form.
    pub data: Box<[u8]>,
}

impl ZoneSoa {
    /// One made of the list's name and the serial of its version.
    #[must_use]
    pub fn of(list: &str, serial: u64) -> Self {
        let owner = Name::from_text(list).unwrap_or(Name::ROOT);
        // The serial of DNS has half the bits.
        let serial = u32::try_from(serial & u64::from(u32::MAX)).unwrap_or_default();
        let mut data = Vec::new();
        for server in ["localhost", "nobody.invalid"] {
            let server = Name::from_text(server).unwrap_or(Name::ROOT);
            data.extend(server.as_wire());
        }
        for field in [serial, SOA_TTL, SOA_TTL, SOA_TTL, SOA_TTL] {
            data.extend(field.to_be_bytes());
        }
        Self {
            owner,
            ttl: SOA_TTL,
            data: data.into(),
        }
    }

    /// That of a zone: its apex, and its record as received.
    #[must_use]
    pub fn of_zone(owner: Name, record: &LocalRecord) -> Self {
        let minimum = record
            .data
            .last_chunk()
            .map_or(0, |last| u32::from_be_bytes(*last));
        Self {
            owner,
            ttl: record.ttl.min(minimum),
            data: record.data.clone(),
        }
    }
}

/// How many entries of a list look at something else than the name that is asked for; counted
/// when they come, not when they go.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Triggers {
    /// At the names it is an alias of, too.
    pub chains: usize,
    /// At the addresses in the answer.
    pub addresses: usize,
    /// At the names of name servers.
    pub ns_names: usize,
    /// At the addresses of name servers.
    pub ns_addresses: usize,
}

impl Triggers {
    /// Counts an entry.
    pub(super) fn note(&mut self, entry: &Entry) {
        match entry.trigger {
            Trigger::Address(_) => self.addresses += 1,
            Trigger::NsName { .. } => self.ns_names += 1,
            Trigger::NsAddress(_) => self.ns_addresses += 1,
            _ if entry.reach != Reach::Asked => self.chains += 1,
            _ => {}
        }
    }

    /// Whether one of them can only be judged by what is really there.
    pub(super) const fn need_truth(&self, dns: &DnsOptions) -> bool {
        self.addresses > 0 || (dns.ns_lookup && self.ns_names + self.ns_addresses > 0)
    }

    /// Whether one of them looks at more than the name that is asked for.
    pub(super) const fn look_deeper(&self, dns: &DnsOptions) -> bool {
        self.chains > 0 || self.need_truth(dns)
    }
}

/// What of a list is needed to change it without reading it again.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldList {
    /// Its entries by kind, in effect or not, without the canary.
    pub(super) entries: BTreeMap<Kind, usize>,
    /// Its entries, the canary included.
    pub(super) rows: usize,
    /// The hash of its header line, and what it says.
    pub(super) header: Option<(u64, native::Header)>,
    /// The hashes of the rows that were left out, in the order of its `rejects`.
    pub(super) rejects: Vec<u64>,
    /// How many of these say what another row says, or stand behind too many of one value.
    pub(super) repeats: usize,
}

impl CompiledList {
    /// A list of which nothing is read yet.
    pub(super) fn new(settings: &Settings, border: &Border, provenance: &Provenance) -> Self {
        Self {
            settings: settings.clone(),
            provenance: provenance.clone(),
            border: border.clone(),
            soa: ZoneSoa::of(&settings.name, provenance.seq().unwrap_or_default()),
            entries: Vec::new(),
            rejects: Vec::new(),
            rejected: 0,
            warnings: Vec::new(),
            warned: 0,
            never_blocked: 0,
            not_in_effect: 0,
            withdrawn: 0,
            lapsed: 0,
            overdue: 0,
            holes: Vec::new(),
            triggers: Triggers::default(),
        }
    }

    /// Notes a row that is left out.
    pub(super) fn reject(&mut self, reject: Reject) {
        self.rejected += 1;
        if self.rejects.len() < REJECTS_KEPT_MAX {
            self.rejects.push(reject);
        }
    }

    /// Notes a row that is taken and strange.
    pub(super) fn warn(&mut self, warning: Reject) {
        self.warned += 1;
        if self.warnings.len() < REJECTS_KEPT_MAX {
            self.warnings.push(warning);
        }
    }

    /// How many of its rules are inactive, for no name servers are looked up: by the word of
    /// RPZ for their trigger (rpz.md T9).
    #[must_use]
    pub const fn inactive(&self) -> [(&'static str, usize); 2] {
        let (names, addresses) = match self.settings.dns.ns_lookup {
            true => (0, 0),
            false => (self.triggers.ns_names, self.triggers.ns_addresses),
        };
        [("nsdname", names), ("nsip", addresses)]
    }
}

impl HeldList {
    /// Counts an entry that came.
    pub(super) fn note(&mut self, entry: &Entry) {
        self.rows += 1;
        if !entry.canary {
            *self.entries.entry(entry.kind()).or_default() += 1;
        }
    }

    /// Counts an entry that went; nothing where there was none.
    pub(super) fn forget(&mut self, entry: &Entry) -> Option<()> {
        self.rows = self.rows.checked_sub(1)?;
        if !entry.canary {
            let count = self.entries.get_mut(&entry.kind())?;
            *count = count.checked_sub(1)?;
        }
        Some(())
    }
}

/// The times of a SOA record that is made, in seconds.
const SOA_TTL: u32 = 60;

/// How many rejected rows of a list are kept to be shown.
pub const REJECTS_KEPT_MAX: usize = 1000;
