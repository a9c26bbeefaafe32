//! [`Floors`]: versions below which nothing is accepted again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::VerifyError;

/// The versions that were accepted, apart from the files that had them, so that damaged or
/// dropped files do not open the way back (trust.md sections 7.5 and 7.10).
///
/// The floors of timestamp, snapshot and targets roles fall when the online keys are
/// rotated, as TUF has it; those of the root, of the policy and of each list's serial never fall.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Floors {
    /// The format of this file.
    format: u64,
    /// Of the root.
    pub(super) root: u64,
    /// Of the timestamp.
    pub(super) timestamp: u64,
    /// Of the snapshot, as a timestamp named it.
    pub(super) snapshot: u64,
    /// Of the targets roles by name, as a snapshot named them.
    pub(super) roles: BTreeMap<String, u64>,
    /// Of each list's serial, by the name the repository gives it.
    pub(super) lists: BTreeMap<String, ListVersion>,
    /// Whether a policy was ever accepted; a repository without one is refused from then on.
    #[serde(default)]
    pub(super) policy: bool,
    /// Whether names never to block were accepted, and hold.
    #[serde(default)]
    pub(super) never_block: bool,
    /// When the newest withdrawals of each list were made, by the name the repository gives
    /// it.
    #[serde(default)]
    pub(super) withdrawn: BTreeMap<String, Timestamp>,
    /// SHA-256 of the pinned root, where it was ever replaced by hand.
    #[serde(default)]
    pub(super) pinned: String,
    /// The generation and serial of each list that were accepted last under the root before.
    #[serde(default)]
    before: BTreeMap<String, (u64, u64)>,
}

/// Which version of a list.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListVersion {
    /// Rises only by an offline decision; counts before `seq`.
    pub generation: u64,
    /// The serial.
    pub seq: u64,
    /// SHA-256 of the whole plaintext, in hex.
    pub state: String,
}

impl ListVersion {
    /// Generation and serial, by which versions are ordered.
    #[must_use]
    pub const fn rank(&self) -> (u64, u64) {
        (self.generation, self.seq)
    }

    /// Whether its serial is one that a publisher counts to: a thief's that is out of reach
    /// would lock the list.
    ///
    /// # Errors
    /// [`VerifyError::Malformed`] above [`SEQ_MAX`], or more than [`SEQ_JUMP_MAX`] above the
    /// floor within a generation.
    pub(super) fn check_serial(&self, list: &str, floor: Option<&Self>) -> Result<(), VerifyError> {
        let floor = floor.filter(|floor| floor.generation == self.generation);
        let jump = floor.map_or(0, |floor| self.seq.saturating_sub(floor.seq));
        if self.seq <= SEQ_MAX && jump <= SEQ_JUMP_MAX {
            return Ok(());
        }
        Err(VerifyError::Malformed {
            file: format!("list {list}"),
            reason: format!("counts up to serial {}, which no publisher does", self.seq),
        })
    }
}

impl Floors {
    /// Reads the file; damaged is as absent, for what verifies of the kept files sets floors
    /// too.
    ///
    /// # Errors
    /// [`VerifyError::Unsupported`] for a newer format: going back must not open the floors.
    pub(super) fn read(file: &str, bytes: Option<&[u8]>) -> Result<Self, VerifyError> {
        read_own(file, bytes, FORMAT)
    }

    /// The file.
    pub(super) fn write(&self) -> Vec<u8> {
        let file = Self {
            format: FORMAT,
            ..self.clone()
        };
        serde_json::to_vec(&file).unwrap_or_default()
    }

    /// What the replacement of the pinned root takes back: all but the serials of lists.
    pub(super) fn replace_root(&mut self, pinned: String) {
        let lists = std::mem::take(&mut self.lists);
        let ranks = lists
            .iter()
            .map(|(list, floor)| (list.clone(), floor.rank()));
        *self = Self {
            before: ranks.collect(),
            lists,
            pinned,
            ..Self::default()
        };
    }

    /// What an online key rotation takes back: a thief may have raised these out of reach.
    pub(super) fn drop_online(&mut self) {
        self.timestamp = 0;
        self.snapshot = 0;
        self.roles.clear();
    }

    /// Whether a version of a list may be accepted; says whether it is the one accepted last.
    ///
    /// # Errors
    /// [`VerifyError::Rollback`] below the floor, [`VerifyError::Equivocation`] for another
    /// content at it, [`VerifyError::TakenBefore`] where that was accepted under another root.
    pub(super) fn judge(&self, list: &str, offered: &ListVersion) -> Result<bool, VerifyError> {
        let Some(floor) = self.lists.get(list) else {
            return Ok(false);
        };
        let (low, new) = (floor.rank(), offered.rank());
        if new < low {
            return Err(VerifyError::Rollback {
                file: format!("list {list}"),
                trusted: floor.seq,
                offered: offered.seq,
            });
        }
        if new == low && floor.state != offered.state && self.before.get(list) == Some(&low) {
            return Err(VerifyError::TakenBefore {
                list: list.to_owned(),
                seq: offered.seq,
            });
        }
        if new == low && floor.state != offered.state {
            return Err(VerifyError::Equivocation {
                list: list.to_owned(),
                seq: offered.seq,
            });
        }
        Ok(new == low)
    }
}

/// Reads a file of our own format: damaged or older is as absent, newer is refused.
pub(super) fn read_own<T: Default + for<'de> Deserialize<'de>>(
    file: &str,
    bytes: Option<&[u8]>,
    format: u64,
) -> Result<T, VerifyError> {
    let Some(bytes) = bytes else {
        return Ok(T::default());
    };
    let found = serde_json::from_slice::<Format>(bytes).unwrap_or_default();
    if found.format > format {
        return Err(VerifyError::Unsupported {
            file: file.to_owned(),
            reason: format!("is of format {}, written by a newer version", found.format),
        });
    }
    Ok(serde_json::from_slice(bytes).unwrap_or_default())
}

/// Whether a file of our own cannot be read.
pub(super) fn is_damaged<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> bool {
    serde_json::from_slice::<T>(bytes).is_err()
}

/// The member that every file of ours has.
#[derive(Default, Deserialize)]
struct Format {
    format: u64,
}

/// The format that is written.
const FORMAT: u64 = 1;
/// The highest serial of a list: the last that every JSON reader keeps whole.
const SEQ_MAX: u64 = 1 << 53;
/// So far a serial may rise at once.
const SEQ_JUMP_MAX: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn version(generation: u64, seq: u64, state: &str) -> ListVersion {
        ListVersion {
            generation,
            seq,
            state: state.to_owned(),
        }
    }

    fn check(offered: &ListVersion, expected: Result<bool, &str>) {
        let mut floors = Floors::default();
        floors.lists.insert("a".to_owned(), version(2, 10, "x"));
        floors.timestamp = 7;
        floors.drop_online();
        assert_eq!(floors.timestamp, 0);
        let read = Floors::read("floors.json", Some(&floors.write())).unwrap();
        let judged = read.judge("a", offered).map_err(|error| error.outcome());
        assert_eq!(judged, expected);
        assert_eq!(read.judge("other", offered), Ok(false));
    }

    #[test]
    fn a_list_never_goes_back_even_when_online_keys_rotate() {
        check(&version(2, 10, "x"), Ok(true));
        check(&version(2, 11, "y"), Ok(false));
        check(&version(3, 1, "y"), Ok(false));
        check(&version(2, 9, "y"), Err("rollback"));
        check(&version(1, 99, "y"), Err("rollback"));
        check(&version(2, 10, "y"), Err("equivocation"));
        let mut floors = Floors::default();
        floors.lists.insert("a".to_owned(), version(1, 1000, "x"));
        let refused = floors.judge("a", &version(1, 3, "y")).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("`min_generation`"), "{said}");
    }

    #[test]
    fn a_serial_out_of_reach_is_malformed() {
        let floor = version(1, 10, "x");
        let check = |generation, seq, expected| {
            let judged = version(generation, seq, "y").check_serial("a", Some(&floor));
            assert_eq!(judged.is_ok(), expected, "{generation} {seq}");
        };
        check(1, 11, true);
        check(1, 10 + (1 << 32), true);
        check(1, 11 + (1 << 32), false);
        check(2, 1 << 53, true);
        check(2, (1 << 53) + 1, false);
        assert!(version(1, u64::MAX, "y").check_serial("a", None).is_err());
    }

    #[test]
    fn damaged_is_absent_and_newer_is_refused() {
        assert_eq!(Floors::read("f", None), Ok(Floors::default()));
        assert_eq!(Floors::read("f", Some(b"{\"for")), Ok(Floors::default()));
        let newer = Floors::read("f", Some(b"{\"format\":2}")).unwrap_err();
        assert_eq!(newer.outcome(), "unsupported");
    }
}
