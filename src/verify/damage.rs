//! What is damaged among the stored files of a repository, and how it is made good
//! (trust.md section 7.8).

use std::collections::BTreeMap;

use super::floors::{Floors, is_damaged};
use super::trusted::{ACCEPTED, AcceptedFile, FLOORS};
use super::{ListVersion, TrustedMetadata, VerifyError, Write};

/// A stored file that is damaged: it is not used, and fetched or made again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetAside {
    /// Its name below the repository's state folder.
    pub file: String,
    /// What is wrong with it.
    pub error: VerifyError,
}

impl TrustedMetadata {
    /// What was found damaged, once.
    pub fn take_set_aside(&mut self) -> Vec<SetAside> {
        std::mem::take(&mut self.set_aside)
    }

    /// The files of ours as they are now: the floors, the times of acceptance, and the
    /// newest root; none where those that are stored are of another root.
    #[must_use]
    pub fn own_files(&self) -> Vec<Write> {
        if self.is_foreign {
            return Vec::new();
        }
        let root = self.roots.last().cloned().unwrap_or_default();
        vec![
            self.write_floors(),
            self.write_accepted(),
            Write::Put("root.json".to_owned(), root),
        ]
    }

    /// The version of a list below which nothing is accepted, by the list's name in the
    /// repository.
    #[must_use]
    pub fn floor_of(&self, list: &str) -> Option<&ListVersion> {
        self.floors.lists.get(list)
    }

    /// Sets aside those of our own files that cannot be read.
    pub(super) fn check_own_files(&mut self, files: &BTreeMap<String, Vec<u8>>) {
        let damaged = |name: &str, judge: fn(&[u8]) -> bool| {
            files.get(name).is_some_and(|bytes| judge(bytes))
        };
        if damaged(FLOORS, is_damaged::<Floors>) {
            self.set_aside(
                FLOORS,
                "is damaged; the floors are rebuilt from what verifies",
            );
        }
        if damaged(ACCEPTED, is_damaged::<AcceptedFile>) {
            self.set_aside(ACCEPTED, "is damaged; the metadata is fetched again");
        }
    }

    /// Sets aside those of the held files that are not what the role above them names, and
    /// claim to be.
    pub(super) fn check_held_files(&mut self) {
        let pinned = |name: &String| {
            let role = name.strip_suffix(".json").unwrap_or(name);
            match role {
                "timestamp" => None,
                "snapshot" => self.chain.snapshot_pin(),
                role => self.chain.role_pin(role),
            }
        };
        let damaged: Vec<String> = self
            .held
            .iter()
            .filter(|(name, held)| {
                serde_json::from_slice::<serde::de::IgnoredAny>(&held.bytes).is_err()
                    || pinned(name).is_some_and(|pin| !super::chain::is_as_named(&held.bytes, pin))
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in damaged {
            self.held.remove(&name);
            self.set_aside(&name, "is damaged; it is fetched again");
        }
    }

    /// Raises the floors to what verified, so that damaged floors are no way back.
    pub(super) fn rebuild_floors(&mut self) {
        let set = self.chain.set();
        let floors = &mut self.floors;
        floors.root = floors.root.max(set.root().version);
        let timestamp = set.timestamp().map_or(0, |file| file.version);
        floors.timestamp = floors.timestamp.max(timestamp);
        let snapshot = self.chain.snapshot_pin().map_or(0, |pin| pin.version);
        floors.snapshot = floors.snapshot.max(snapshot);
        for (role, pin) in set.snapshot().iter().flat_map(|snapshot| &snapshot.meta) {
            let floor = floors.roles.entry(role.clone()).or_default();
            *floor = (*floor).max(pin.version);
        }
    }

    /// Notes a stored file as set aside that did not verify; one that others signed than the
    /// present root names is left as it is: it is foreign to that root, and no damage.
    pub(super) fn set_damaged_aside(&mut self, file: String, error: VerifyError) {
        if !matches!(error, VerifyError::ThresholdNotMet { .. }) {
            self.set_aside.push(SetAside { file, error });
        }
    }

    /// Notes a file as set aside.
    fn set_aside(&mut self, file: &str, reason: &str) {
        self.set_aside.push(SetAside {
            file: file.to_owned(),
            error: VerifyError::Malformed {
                file: file.to_owned(),
                reason: reason.to_owned(),
            },
        });
    }
}
