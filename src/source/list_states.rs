//! [`ListStates`]: the last versions of one list on disk (trust.md section 7.10).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::SourceError;
use super::durable::{self, failed};

/// `state/lists/NAME/`: `SEQ.state` with the packed text and `SEQ.proof` with the files that
/// prove it (`GENERATION-SEQ` where the list was begun anew, so that no generation overwrites
/// another's), of the last [`STATES_KEPT_MAX`] versions, and `current`, which names the one in
/// force; a newer one may be held.
#[derive(Debug)]
pub struct ListStates {
    folder: PathBuf,
}

/// Generation and serial of a version; the first generation is 1.
pub type StateRank = (u64, u64);

/// One version on disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredState {
    /// Which.
    pub rank: StateRank,
    /// The text, as the verifier packs it.
    pub text: Vec<u8>,
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
    pub fn serials(&self) -> Vec<StateRank> {
        let current = self.current();
        let mut found: Vec<(bool, SystemTime, StateRank)> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let rank = rank_of(name.to_str()?.strip_suffix(".state")?)?;
                let modified = entry.metadata().ok()?.modified().ok()?;
                Some((current == Some(rank), modified, rank))
            })
            .collect();
        found.sort_unstable();
        found.into_iter().rev().map(|(.., rank)| rank).collect()
    }

    /// One version.
    ///
    /// # Errors
    /// [`SourceError::Io`].
    pub fn load(&self, rank: StateRank) -> Result<StoredState, SourceError> {
        let name = name_of(rank);
        let read = |path: PathBuf| fs::read(&path).map_err(|error| failed(&path, error));
        Ok(StoredState {
            rank,
            text: read(self.path(&format!("{name}.state")))?,
            proof: read(self.path(&format!("{name}.proof")))?,
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
        rank: StateRank,
        text: &[u8],
        proof: &[u8],
        keep: &[StateRank],
    ) -> Result<(), SourceError> {
        let name = name_of(rank);
        durable::replace(&self.path(&format!("{name}.proof")), proof)?;
        durable::replace(&self.path(&format!("{name}.state")), text)?;
        let current = self.current();
        let must_stay =
            |other: &StateRank| *other == rank || Some(*other) == current || keep.contains(other);
        let (mut kept, others): (Vec<StateRank>, Vec<StateRank>) =
            self.serials().into_iter().partition(must_stay);
        let room = STATES_KEPT_MAX.saturating_sub(kept.len());
        kept.extend(others.into_iter().take(room));
        let entries = fs::read_dir(&self.folder).map_err(|error| failed(&self.folder, error))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let rank = stem.and_then(rank_of);
            if rank.is_some_and(|rank| !kept.contains(&rank)) {
                durable::remove(&path)?;
            }
        }
        Ok(())
    }

    /// The error for a version that cannot be put into a form to be stored.
    #[must_use]
    pub fn unwritable(&self, rank: StateRank, reason: String) -> SourceError {
        let path = self.path(&format!("{}.state", name_of(rank)));
        failed(&path, std::io::Error::other(reason))
    }

    /// Makes a version the current one: it is what the next start begins with.
    ///
    /// # Errors
    /// [`SourceError::Io`]; the version that was current still is then.
    pub fn set_current(&self, rank: StateRank) -> Result<(), SourceError> {
        durable::replace(
            &self.path(CURRENT),
            format!("{}\n", name_of(rank)).as_bytes(),
        )
    }

    /// The version that was made current last; nothing before the first.
    #[must_use]
    pub fn current(&self) -> Option<StateRank> {
        let text = fs::read_to_string(self.path(CURRENT)).ok()?;
        rank_of(text.trim())
    }

    /// Sets a damaged version aside: its files become `SEQ.state.damaged` and
    /// `SEQ.proof.damaged`, and those set aside before go, so that one is kept at most.
    ///
    /// # Errors
    /// [`SourceError::Io`].
    pub fn set_aside(&self, rank: StateRank) -> Result<(), SourceError> {
        let name = name_of(rank);
        let entries = fs::read_dir(&self.folder).map_err(|error| failed(&self.folder, error))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path
                .extension()
                .is_some_and(|extension| extension == "damaged")
            {
                durable::remove(&path)?;
            }
        }
        durable::set_aside(&self.path(&format!("{name}.state")))?;
        durable::set_aside(&self.path(&format!("{name}.proof")))
    }

    /// What is wrong with `current`, where it names no version; the one written last stands
    /// in for it.
    #[must_use]
    pub fn damage_of_current(&self) -> Option<SourceError> {
        let path = self.path(CURRENT);
        let text = fs::read(&path).ok()?;
        let named = std::str::from_utf8(&text).ok();
        match named.and_then(|text| rank_of(text.trim())) {
            Some(_) => None,
            None => {
                let reason = "does not name a version; the one that was written last is taken";
                Some(failed(&path, std::io::Error::other(reason)))
            }
        }
    }

    /// A file in the folder.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// What a version is called on disk.
fn name_of((generation, seq): StateRank) -> String {
    match generation {
        0 | 1 => seq.to_string(),
        _ => format!("{generation}-{seq}"),
    }
}

/// Which version has that name.
fn rank_of(name: &str) -> Option<StateRank> {
    match name.split_once('-') {
        None => Some((1, name.parse().ok()?)),
        Some((generation, seq)) => Some((generation.parse().ok()?, seq.parse().ok()?)),
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
            save(&states, (1, seq), &[]);
            states.set_current((1, seq)).unwrap();
        }
        fs::write(states.folder().join("7.index"), "").unwrap();
        assert_eq!(states.serials().first(), Some(&(1, 7)));
        let mut serials = states.serials();
        serials.sort_unstable();
        assert_eq!(serials, [3, 4, 5, 6, 7].map(|seq| (1, seq)));
        assert_eq!(states.load((1, 4)).unwrap().text, b"state 4");
        assert_eq!(states.load((1, 2)).unwrap_err().outcome(), "io");
        assert!(!states.folder().join("2.proof").exists());
        assert!(states.folder().join("7.index").exists());
        fs::write(states.folder().join("current"), "5\n").unwrap();
        assert_eq!(states.serials().first(), Some(&(1, 5)));
        fs::remove_file(states.folder().join("current")).unwrap();
        assert_eq!(states.serials().len(), 5);
    }

    fn save(states: &ListStates, rank: StateRank, keep: &[StateRank]) {
        let text = format!("state {}", rank.1);
        states.save(rank, text.as_bytes(), b"proof", keep).unwrap();
    }

    #[test]
    fn a_new_generation_never_overwrites_what_is_in_force() {
        let state = tempfile::tempdir().unwrap();
        let states = ListStates::open(state.path(), "list").unwrap();
        save(&states, (1, 1), &[]);
        states.set_current((1, 1)).unwrap();
        states.save((2, 1), b"another", b"proof", &[]).unwrap();
        assert_eq!(states.load((1, 1)).unwrap().text, b"state 1");
        assert_eq!(states.load((2, 1)).unwrap().text, b"another");
        assert_eq!(states.serials(), [(1, 1), (2, 1)]);
        states.set_current((2, 1)).unwrap();
        assert_eq!(states.current(), Some((2, 1)));
    }

    #[test]
    fn what_is_in_force_or_pinned_is_never_evicted() {
        let state = tempfile::tempdir().unwrap();
        let states = ListStates::open(state.path(), "list").unwrap();
        save(&states, (1, 1), &[]);
        save(&states, (1, 2), &[]);
        states.set_current((1, 1)).unwrap();
        for seq in 3..=20 {
            save(&states, (1, seq), &[(1, 2)]);
        }
        let mut serials = states.serials();
        assert_eq!(serials.first(), Some(&(1, 1)), "stored is not yet in force");
        serials.sort_unstable();
        assert_eq!(serials, [1, 2, 18, 19, 20].map(|seq| (1, seq)));
        save(&states, (1, 21), &serials);
        assert_eq!(states.serials().len(), 6, "whatever must stay stays");
    }
}
