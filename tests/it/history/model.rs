//! [`Model`]: what was published when, said as simply as can be, and what the node may still
//! know of it.

use std::collections::{BTreeMap, BTreeSet};

use cordon::policy::{Name, Withdrawal};
use cordon::verify::SignedPolicy;
use jiff::Timestamp;

/// What the authority published.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) lists: BTreeMap<&'static str, List>,
    /// Every policy, the newest last.
    pub(super) policies: Vec<SignedPolicy>,
    /// Every set of names never to block, the newest last.
    pub(super) never_block: Vec<Vec<Name>>,
    /// When the role that withdraws got other keys: what the old ones signed holds no longer.
    pub(super) withdraw_rotated: Option<Timestamp>,
    /// Whether a thief of the online keys signed anew what was published once.
    pub(super) is_replayed: bool,
}

impl Model {
    /// Whether withdrawals of `now` may come after those of `before`. None may come after
    /// such as have all ended: whether an old role or the newest says so is the same. With new
    /// online keys a thief of these can bring back whom the role was delegated to once, which
    /// TUF leaves open: then nobody's withdrawals count, and the lists act whole.
    pub(super) fn may_follow(
        &self,
        list: &str,
        before: Option<Timestamp>,
        now: Option<Timestamp>,
        clock: Timestamp,
    ) -> bool {
        let made = self.lists[list].withdrawn.iter();
        let mut made = made.filter(|(at, _)| Some(*at) == before);
        let have_ended = made.all(|(_, items)| items.iter().all(|item| item.until <= clock));
        let is_delegated_back = self.is_replayed && self.withdraw_rotated.is_some();
        let may_end = before <= self.withdraw_rotated || have_ended || is_delegated_back;
        now >= before || (now.is_none() && may_end)
    }
}

/// What it published of one list.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    /// Every version, by its serial.
    pub(super) versions: BTreeMap<u64, Version>,
    /// What it withdrew, and when; the newest last.
    pub(super) withdrawn: Vec<(Timestamp, Vec<Withdrawal>)>,
    /// Which of the legal texts it has.
    pub(super) legal: usize,
}

/// One version.
#[derive(Clone, Debug)]
pub(super) struct Version {
    /// SHA-256 of the plaintext, as the role that was published names it.
    pub(super) digest: String,
    pub(super) names: BTreeSet<String>,
}

impl List {
    pub(super) fn newest(&self) -> (u64, &Version) {
        let (seq, version) = self.versions.last_key_value().unwrap();
        (*seq, version)
    }

    /// What is withdrawn now.
    pub(super) fn items(&self) -> &[Withdrawal] {
        self.withdrawn
            .last()
            .map_or(&[], |(_, items)| items.as_slice())
    }
}

/// How far a node got with one list, now and for certain.
#[derive(Clone, Debug, Default)]
pub(super) struct Reached {
    /// The highest serial that it accepted.
    pub(super) highest: u64,
    /// The highest of which a round ended with a disk that works.
    pub(super) durable: u64,
    /// When the withdrawals were made that it accepted last.
    pub(super) withdrawn: Option<Timestamp>,
    /// The same, of which a round ended with a disk that works.
    pub(super) withdrawn_durable: Option<Timestamp>,
}
