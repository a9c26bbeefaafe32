//! [`Entry`]: the regulator's line.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{Action, Kind, LegalRecord, Life, LocalData, Reach, Trigger};

/// One line of a list: what it matches, what is done, under which law, for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its id, unique in its list.
    pub id: EntryId,
    /// What it matches.
    pub trigger: Trigger,
    /// What is done.
    pub action: Action,
    /// What is answered, where the action is [`Action::LocalData`].
    pub data: Option<Arc<LocalData>>,
    /// Which names of a chain it judges.
    pub reach: Reach,
    /// The legal record; shared by the entries that have the same.
    pub record: Arc<LegalRecord>,
    /// When the authority added it.
    pub added_at: Option<Timestamp>,
    /// When it is in effect.
    pub life: Life,
    /// The list's own test entry: enforced, but left out of hits and reports.
    pub canary: bool,
    /// Whether the authority says that others share what it covers, that it has looked at
    /// that, and who answers for it (field.md section 8.3, `collateral`).
    pub is_shared_acknowledged: bool,
}

/// The stable, opaque id of an entry, unique in its list. It is what statistics, stop page
/// and receipts name; the value of an entry is not.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EntryId(Box<str>);

impl EntryId {
    /// An id as a list gives it.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The id of an entry whose list gives none: derived from list, kind and value, so that
    /// it is the same in every version.
    #[must_use]
    pub fn derive(list: &str, kind: Kind, value: &str) -> Self {
        let mut digest = Sha256::new();
        for part in [list, kind.as_str(), value] {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        let id: String = digest
            .finalize()
            .iter()
            .take(8)
            .map(|octet| format!("{octet:02x}"))
            .collect();
        Self(id.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Entry {
    /// An entry of a format that says no more than what is matched and what is done.
    #[must_use]
    pub fn plain(id: EntryId, trigger: Trigger, action: Action, record: Arc<LegalRecord>) -> Self {
        Self {
            id,
            trigger,
            action,
            data: None,
            reach: Reach::default(),
            record,
            added_at: None,
            life: Life::default(),
            canary: false,
            is_shared_acknowledged: false,
        }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match (&self.trigger, self.action) {
            (Trigger::Name { .. }, Action::PassThru) => Kind::Exception,
            (Trigger::Name { .. } | Trigger::NsName { .. }, _) => Kind::Domain,
            (Trigger::Url { .. }, _) => Kind::Url,
            (Trigger::Address(_) | Trigger::NsAddress(_), _) => Kind::Ip,
            (Trigger::Client(_), _) => Kind::Client,
        }
    }
}
