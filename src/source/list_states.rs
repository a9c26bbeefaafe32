//! [`ListStates`]: the last versions of one list on disk (trust.md section 7.10).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::SourceError;
use super::durable::{self, failed};

/// `state/lists/NAME/`: `SEQ.state` with the plaintext and `SEQ.proof` with the files that
/// prove it, of the last [`STATES_KEPT_MAX`] versions, and `current`, which names the one in
/// force; a newer one may be held.
#[derive(Debug)]
pub struct ListStates {
    folder: PathBuf,
}

/// One version on disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredState {
    /// The serial.
    pub seq: u64,
    /// The plaintext.
    pub plaintext: Vec<u8>,
    /// The files that prove it.
    pub proof: Vec<u8>,
}

impl ListStates {
    /// Opens the folder of a list below the state folder, and makes it where it is not.
    ///
    /// # Errors
    /// [`SourceError::Io`].
    pub fn open(state: &Path, list: &str) -> Result<Self, SourceError> {
        let folder = state.join("lists").join(list);
        fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
        Ok(Self { folder })
    }

    /// Where the files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The serials on disk: the current one first, then the last written first.
    #[must_use]
    pub fn serials(&self) -> Vec<u64> {
        let current = self.current();
        let mut found: Vec<(bool, SystemTime, u64)> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let seq = name.to_str()?.strip_suffix(".state")?.parse().ok()?;
                let modified = entry.metadata().ok()?.modified().ok()?;
                Some((current == Some(seq), modified, seq))
            })
            .collect();
        found.sort_unstable();
        found.into_iter().rev().map(|(.., seq)| seq).collect()
    }

    /// One version.
    ///
    /// # Errors
    /// [`SourceError::Io`].
    pub fn load(&self, seq: u64) -> Result<StoredState, SourceError> {
        let read = |path: PathBuf| fs::read(&path).map_err(|error| failed(&path, error));
        Ok(StoredState {
            seq,
            plaintext: read(self.path(&format!("{seq}.state")))?,
            proof: read(self.path(&format!("{seq}.proof")))?,
        })
    }

    /// Stores a version, which does not become the current one by that; then what is too old
    /// goes. The versions in `keep`, as those in force, held or pinned, never go, and neither
    /// do the current one and this one.
    ///
    /// # Errors
    /// [`SourceError::Io`]; every version that was there still is then.
    pub fn save(
        &self,
        seq: u64,
        plaintext: &[u8],
        proof: &[u8],
        keep: &[u64],
    ) -> Result<(), SourceError> {
        durable::replace(&self.path(&format!("{seq}.proof")), proof)?;
        durable::replace(&self.path(&format!("{seq}.state")), plaintext)?;
        let current = self.current();
        let must_stay =
            |other: &u64| *other == seq || Some(*other) == current || keep.contains(other);
        let (mut kept, others): (Vec<u64>, Vec<u64>) =
            self.serials().into_iter().partition(must_stay);
        let room = STATES_KEPT_MAX.saturating_sub(kept.len());
        kept.extend(others.into_iter().take(room));
        let entries = fs::read_dir(&self.folder).map_err(|error| failed(&self.folder, error))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let seq = path.file_stem().and_then(|stem| stem.to_str());
            let seq = seq.and_then(|stem| stem.parse::<u64>().ok());
            if seq.is_some_and(|seq| !kept.contains(&seq)) {
                durable::remove(&path)?;
            }
        }
        Ok(())
    }

    /// Makes a version the current one: it is what the next start begins with.
    ///
    /// # Errors
    /// [`SourceError::Io`]; the version that was current still is then.
    pub fn set_current(&self, seq: u64) -> Result<(), SourceError> {
        durable::replace(&self.path(CURRENT), format!("{seq}\n").as_bytes())
    }

    /// The serial that was made current last; nothing before the first.
    #[must_use]
    pub fn current(&self) -> Option<u64> {
        let text = fs::read_to_string(self.path(CURRENT)).ok()?;
        text.trim().parse().ok()
    }

    /// A file in the folder.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// How many versions of a list are kept; more where more must be.
pub const STATES_KEPT_MAX: usize = 5;
/// The file that names the version in force.
const CURRENT: &str = "current";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_five_are_kept_and_current_comes_first() {
        let state = tempfile::tempdir().unwrap();
        let states = ListStates::open(state.path(), "list").unwrap();
        assert!(states.serials().is_empty());
        for seq in 1..=7 {
            save(&states, seq, &[]);
            states.set_current(seq).unwrap();
        }
        fs::write(states.folder().join("7.index"), "").unwrap();
        assert_eq!(states.serials().first(), Some(&7));
        let mut serials = states.serials();
        serials.sort_unstable();
        assert_eq!(serials, [3, 4, 5, 6, 7]);
        assert_eq!(states.load(4).unwrap().plaintext, b"state 4");
        assert_eq!(states.load(2).unwrap_err().outcome(), "io");
        assert!(!states.folder().join("2.proof").exists());
        assert!(states.folder().join("7.index").exists());
        fs::write(states.folder().join("current"), "5\n").unwrap();
        assert_eq!(states.serials().first(), Some(&5));
        fs::remove_file(states.folder().join("current")).unwrap();
        assert_eq!(states.serials().len(), 5);
    }

    fn save(states: &ListStates, seq: u64, keep: &[u64]) {
        let plaintext = format!("state {seq}");
        states
            .save(seq, plaintext.as_bytes(), b"proof", keep)
            .unwrap();
    }

    #[test]
    fn what_is_in_force_or_pinned_is_never_evicted() {
        let state = tempfile::tempdir().unwrap();
        let states = ListStates::open(state.path(), "list").unwrap();
        save(&states, 1, &[]);
        save(&states, 2, &[]);
        states.set_current(1).unwrap();
        for seq in 3..=20 {
            save(&states, seq, &[2]);
        }
        let mut serials = states.serials();
        assert_eq!(serials.first(), Some(&1), "stored is not yet in force");
        serials.sort_unstable();
        assert_eq!(serials, [1, 2, 18, 19, 20]);
        let all: Vec<u64> = serials;
        save(&states, 21, &all);
        assert_eq!(states.serials().len(), 6, "whatever must stay stays");
    }
}
