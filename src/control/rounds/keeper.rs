//! [`Keeper`]: what of a repository must reach the disk, and waits in memory while the disk
//! takes nothing (trust.md section 7.8).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::source::{ListStates, Reserve, SourceError, StateRank, Store};
use crate::verify::{Evidence, ListFile, ListVersion, Subscription, Text, Verified, Write, digest};

/// Makes durable what was accepted, in its order. Metadata that cannot be stored stops the
/// next request; a list that cannot is kept in memory and stored as soon as there is room.
#[derive(Debug)]
pub(crate) struct Keeper {
    store: Store,
    state: PathBuf,
    reserve: Reserve,
    /// Metadata that is not durable yet.
    unwritten: Vec<Write>,
    /// The newest version of each list that is not durable yet, by its configured name.
    unsaved: BTreeMap<String, Unsaved>,
    /// The stored serials of each list that must stay, as those in force, held or pinned.
    kept: BTreeMap<String, Vec<StateRank>>,
    /// The digests of evidence that was told of since the start.
    met: BTreeSet<String>,
    /// Why the disk took nothing at the last try.
    error: Option<String>,
    /// Whether it may set files aside: others only read the state, as to explain.
    is_owner: bool,
}

/// A version of a list that is in memory alone.
#[derive(Debug)]
struct Unsaved {
    file: Verified<ListFile>,
    version: ListVersion,
    proof: Vec<u8>,
}

impl Keeper {
    /// Opens the state of a repository; changes nothing but for folders that are missing.
    ///
    /// # Errors
    /// [`SourceError::Io`].
    pub(crate) fn open(state: &Path, repository: &str) -> Result<Self, SourceError> {
        Ok(Self {
            store: Store::open(state, repository)?,
            state: state.to_owned(),
            reserve: Reserve::of(state),
            unwritten: Vec::new(),
            unsaved: BTreeMap::new(),
            kept: BTreeMap::new(),
            met: BTreeSet::new(),
            error: None,
            is_owner: false,
        })
    }

    /// The stored files of the repository.
    ///
    /// # Errors
    /// [`SourceError::Io`].
    pub(crate) fn read(&self) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
        self.store.read()
    }

    /// Sets every file of the repository aside but those.
    ///
    /// # Errors
    /// [`SourceError::Io`].
    pub(crate) fn set_all_aside(&mut self, but: &[&str]) -> Result<(), SourceError> {
        self.store.set_all_aside(but)
    }

    /// Sets which stored serials of a list must stay.
    pub(crate) fn keep(&mut self, list: &str, serials: Vec<StateRank>) {
        self.kept.insert(list.to_owned(), serials);
    }

    /// Takes what is to be made durable before the next request.
    pub(crate) fn later(&mut self, writes: Vec<Write>) {
        self.unwritten.extend(writes);
    }

    /// Sets damaged files of the repository aside and writes our own anew at the next round. Temporary files
    /// that a crash left go. To be called once, by whoever alone writes to the state folder.
    pub(crate) fn mend(&mut self, damaged: &[&str], own: Vec<Write>) {
        self.is_owner = true;
        self.reserve.sweep();
        for file in damaged {
            if let Err(error) = self.store.set_aside(file) {
                self.error = Some(error.to_string());
            }
        }
        self.unwritten.extend(own);
    }

    /// Whether it alone writes to the state folder.
    pub(crate) const fn is_owner(&self) -> bool {
        self.is_owner
    }

    /// The states of a list on disk.
    ///
    /// # Errors
    /// [`SourceError::Io`].
    pub(crate) fn states(&self, subscription: &Subscription) -> Result<ListStates, SourceError> {
        ListStates::open(&self.state, &subscription.name)
    }

    /// The version of a list that waits in memory.
    pub(crate) fn unsaved(&self, list: &str) -> Option<(Verified<ListFile>, ListVersion)> {
        let unsaved = self.unsaved.get(list)?;
        Some((unsaved.file.clone(), unsaved.version.clone()))
    }

    /// The lists that would begin with an older version at the next start.
    pub(crate) fn unsaved_lists(&self) -> Vec<&str> {
        self.unsaved.keys().map(String::as_str).collect()
    }

    /// Why not everything is on disk, or why there is no reserve any more; nothing while all
    /// is well.
    pub(crate) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Tries again what could not be stored before; where everything is, the reserve is set
    /// aside again.
    ///
    /// # Errors
    /// [`SourceError::Io`] for metadata; nothing new may be fetched then.
    pub(crate) fn catch_up(&mut self) -> Result<(), SourceError> {
        self.error = None;
        self.flush()?;
        for (list, unsaved) in std::mem::take(&mut self.unsaved) {
            let Unsaved {
                file,
                version,
                proof,
            } = &unsaved;
            // Why it waits on is noted in `error`.
            if self.save(&list, file, version, proof).is_err() {
                self.unsaved.insert(list, unsaved);
            }
        }
        // The reserve comes last: it is worth less than what it is kept for.
        if self.error.is_none()
            && let Err(error) = self.reserve.keep()
        {
            self.error = Some(format!("the reserve cannot be set aside: {error}"));
        }
        Ok(())
    }

    /// Makes durable what was accepted.
    ///
    /// # Errors
    /// [`SourceError::Io`]; what is left is tried again.
    pub(crate) fn write(&mut self, writes: Vec<Write>) -> Result<(), SourceError> {
        self.unwritten.extend(writes);
        self.flush()
    }

    /// Stores a version of a list, or keeps it in memory; says why where it is not stored.
    pub(crate) fn save_version(
        &mut self,
        list: &str,
        file: &Verified<ListFile>,
        version: &ListVersion,
        proof: &[u8],
    ) -> Option<SourceError> {
        self.unsaved.remove(list);
        let error = self.save(list, file, version, proof).err()?;
        let unsaved = Unsaved {
            file: file.clone(),
            version: version.clone(),
            proof: proof.to_vec(),
        };
        self.unsaved.insert(list.to_owned(), unsaved);
        Some(error)
    }

    /// The text of a version, from memory or disk; nothing where it cannot be read.
    pub(crate) fn text(&self, list: &str, rank: StateRank) -> Option<Text> {
        match self
            .unsaved
            .get(list)
            .filter(|unsaved| unsaved.version.rank() == rank)
        {
            Some(unsaved) => Some(unsaved.file.get().text.clone()),
            None => {
                let states = ListStates::open(&self.state, list).ok()?;
                Text::read(&states.load(rank).ok()?.text).ok()
            }
        }
    }

    /// Keeps both files as evidence, where there is room; says whether any of it was never met
    /// before. What cannot be kept is still an event, but told of once.
    pub(crate) fn keep_evidence(&mut self, evidence: &Evidence) -> bool {
        let mut is_new = false;
        for (whose, bytes) in [
            ("ours", evidence.ours.as_deref()),
            ("other", Some(evidence.other.as_slice())),
        ] {
            let Some(bytes) = bytes else { continue };
            let digest = digest(bytes);
            let Evidence { version, file, .. } = evidence;
            let kept = self
                .store
                .keep_evidence(whose, *version, file, &digest, bytes);
            if self.met.len() >= MET_MAX {
                self.met.clear();
            }
            is_new |= self.met.insert(digest) && kept.unwrap_or(true);
        }
        is_new
    }

    /// Writes what is not written yet, in its order.
    fn flush(&mut self) -> Result<(), SourceError> {
        while let Some(write) = self.unwritten.first() {
            let written = match write {
                Write::Put(name, bytes) => self.store.put(name, bytes),
                Write::Remove(name) => self.store.remove(name),
            };
            written.inspect_err(|error| self.error = Some(error.to_string()))?;
            self.unwritten.remove(0);
        }
        Ok(())
    }

    /// Stores a version.
    fn save(
        &mut self,
        list: &str,
        file: &Verified<ListFile>,
        version: &ListVersion,
        proof: &[u8],
    ) -> Result<(), SourceError> {
        let kept = self.kept.get(list).map_or(&[][..], Vec::as_slice);
        let saved = ListStates::open(&self.state, list).and_then(|states| {
            let text = file.get().text.write();
            let text = text.map_err(|reason| states.unwritable(version.rank(), reason))?;
            states.save(version.rank(), &text, proof, kept)
        });
        saved.inspect_err(|error| self.error = Some(error.to_string()))
    }
}

/// So many files of evidence are remembered; then it begins anew, and may tell of one again.
const MET_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::EVIDENCE_FILES_MAX;

    #[test]
    fn the_same_evidence_is_told_of_once_also_where_there_is_no_room_for_it() {
        let state = tempfile::tempdir().unwrap();
        let mut keeper = Keeper::open(state.path(), "r").unwrap();
        let evidence = |number: usize| Evidence {
            file: "snapshot.json".to_owned(),
            version: 3,
            ours: Some(b"ours".to_vec()),
            other: number.to_string().into_bytes(),
        };
        for number in 0..2 * EVIDENCE_FILES_MAX {
            assert!(keeper.keep_evidence(&evidence(number)), "{number}");
            assert!(!keeper.keep_evidence(&evidence(number)), "{number}");
        }
        // After a restart what is kept is known.
        let mut keeper = Keeper::open(state.path(), "r").unwrap();
        assert!(!keeper.keep_evidence(&evidence(0)));
    }
}
