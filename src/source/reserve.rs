//! [`Reserve`]: room on the disk set aside for the hour when it is full (trust.md section 7.8).

use std::fs;
use std::path::{Path, PathBuf};

use super::SourceError;
use super::durable;

/// `state/reserve`: a file of [`RESERVE_OCTETS`] that is given up when the disk is full, so
/// that metadata and floors can still be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reserve {
    state: PathBuf,
}

impl Reserve {
    /// The reserve of a state folder; nothing is made yet.
    #[must_use]
    pub fn of(state: &Path) -> Self {
        Self {
            state: state.to_owned(),
        }
    }

    /// Whether the room is set aside.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        fs::metadata(self.path()).is_ok_and(|metadata| metadata.len() == RESERVE_OCTETS as u64)
    }

    /// Sets the room aside where it is not.
    ///
    /// # Errors
    /// [`SourceError::Io`]; [`SourceError::is_disk_full`] where there is no such room.
    pub fn keep(&self) -> Result<(), SourceError> {
        if self.is_kept() {
            return Ok(());
        }
        // By chance, so that a file system that compresses sets as much aside.
        let mut octets = vec![0; RESERVE_OCTETS];
        getrandom::fill(&mut octets)
            .map_err(|error| durable::failed(&self.path(), std::io::Error::other(error)))?;
        durable::replace(&self.path(), &octets)
    }

    /// Gives the room up; says whether any came free. Temporary files that a crash left go
    /// first, wherever they are below the state folder.
    #[must_use]
    pub fn release(&self) -> bool {
        self.sweep();
        fs::remove_file(self.path()).is_ok()
    }

    /// Removes the temporary files that a crash left; to be called while nobody writes.
    pub fn sweep(&self) {
        durable::sweep(&self.state);
        for below in ["repositories", "lists"] {
            let folders = fs::read_dir(self.state.join(below));
            for folder in folders.into_iter().flatten().flatten() {
                durable::sweep(&folder.path());
                durable::sweep(&folder.path().join(super::store::HISTORY));
            }
        }
    }

    /// Where it is.
    fn path(&self) -> PathBuf {
        self.state.join("reserve")
    }
}

/// Octets that are set aside.
pub const RESERVE_OCTETS: usize = 1 << 20;
/// The reserve is given up for files shorter than this: metadata and floors, never a list.
pub const RESERVED_FOR_OCTETS_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_given_up_and_kept_again() {
        let state = tempfile::tempdir().unwrap();
        let reserve = Reserve::of(state.path());
        let history = state.path().join("repositories/r/root_history");
        fs::create_dir_all(&history).unwrap();
        fs::write(history.join(".2.root.json.tmp"), "half").unwrap();
        assert!(!reserve.is_kept());
        for _ in 0..2 {
            reserve.keep().unwrap();
            assert!(reserve.is_kept());
            assert!(reserve.release());
            assert!(!reserve.is_kept() && !reserve.release());
        }
        assert!(!history.join(".2.root.json.tmp").exists());
        fs::write(state.path().join("reserve"), "short").unwrap();
        reserve.keep().unwrap();
        assert!(reserve.is_kept(), "one that was cut short is made anew");
    }
}
