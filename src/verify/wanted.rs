//! [`Wanted`]: which file the round wants next, where from, and what giving it up costs.

use super::chain::{
    ROOT_OCTETS_MAX, SNAPSHOT_OCTETS_MAX, TARGETS_OCTETS_MAX, TIMESTAMP_OCTETS_MAX,
};
use super::delegated::{Scope, WITHDRAW};
use super::list_steps::Next;
use super::trusted::{Stage, TrustedMetadata};

/// A file that is wanted now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// Its path below the repository's address.
    pub path: String,
    /// The most octets it may have.
    pub octets_max: u64,
    /// The version that is trusted now, when "not changed since" is an answer too.
    pub unless_changed_since: Option<u64>,
    /// Where it is.
    pub place: Place,
    /// What it costs to do without.
    pub cost: Cost,
}

/// Where a wanted file is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// In the repository.
    Mirror,
    /// With the node: the stored text of a list. Where it is not, it is absent.
    Store {
        /// The list, by its configured name.
        list: String,
        /// Its generation and serial.
        rank: (u64, u64),
    },
}

/// What it costs to do without a wanted file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cost {
    /// The round: everything depends on it.
    Round,
    /// The list of that configured name.
    List(String),
    /// Nothing else: what was accepted last holds, or there is another way.
    Nothing,
}

impl TrustedMetadata {
    /// The file that is wanted; nothing when the round is done.
    #[must_use]
    pub fn next(&self) -> Option<Wanted> {
        let wanted = |path: String, octets_max, cost| Wanted {
            path,
            octets_max,
            unless_changed_since: None,
            place: Place::Mirror,
            cost,
        };
        let role_file = |role: &str, cost| {
            let pin = self.chain.role_pin(role);
            let version = pin.map_or(0, |pin| pin.version);
            let length = pin.and_then(|pin| pin.length).unwrap_or(u64::MAX);
            wanted(
                format!("metadata/{version}.{role}.json"),
                length.min(TARGETS_OCTETS_MAX),
                cost,
            )
        };
        match &self.round.stage {
            Stage::Root => {
                let version = self.chain.set().root().version.saturating_add(1);
                let path = format!("metadata/{version}.root.json");
                Some(wanted(path, ROOT_OCTETS_MAX, Cost::Round))
            }
            Stage::Timestamp => {
                let path = "metadata/timestamp.json".to_owned();
                Some(Wanted {
                    unless_changed_since: self.chain.set().timestamp().map(|file| file.version),
                    ..wanted(path, TIMESTAMP_OCTETS_MAX, Cost::Round)
                })
            }
            Stage::Snapshot => {
                let pin = self.chain.snapshot_pin()?;
                let path = format!("metadata/{}.snapshot.json", pin.version);
                let length = pin.length.unwrap_or(u64::MAX);
                Some(wanted(path, length.min(SNAPSHOT_OCTETS_MAX), Cost::Round))
            }
            Stage::Targets => Some(role_file("targets", Cost::Round)),
            Stage::WithdrawRole => Some(role_file(WITHDRAW, Cost::Nothing)),
            Stage::Term(_, target) => Some(wanted(target.file(), target.length, Cost::Nothing)),
            Stage::Role(index) => {
                let subscription = self.subscription(*index)?;
                let cost = Cost::List(subscription.name.clone());
                Some(role_file(&Scope::of_list(&subscription.list).role, cost))
            }
            Stage::Fetch(index, fetch) => {
                let list = &self.subscription(*index)?.name;
                let cost = if fetch.has_other_way() {
                    Cost::Nothing
                } else {
                    Cost::List(list.clone())
                };
                Some(match fetch.next() {
                    Next::File(target) => wanted(target.file(), target.length, cost),
                    Next::Stored(rank) => Wanted {
                        place: Place::Store {
                            list: list.clone(),
                            rank,
                        },
                        ..wanted(
                            format!("the stored state {} of {list}", rank.1),
                            u64::MAX,
                            cost,
                        )
                    },
                })
            }
            Stage::Settling(_) | Stage::Done => None,
        }
    }
}
