//! [`Store`]: the durable files of one repository (trust.md section 7.10).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::durable::{self, failed};
use super::reserve::RESERVED_FOR_OCTETS_MAX;
use super::{Reserve, SourceError};

/// `state/repositories/NAME/`: the metadata that was accepted, by name. What it means is
/// not known here.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    reserve: Reserve,
}

impl Store {
    /// Opens the folder of a repository below the state folder, and makes it where it is not.
    ///
    /// # Errors
    /// [`SourceError::Io`].
    pub fn open(state: &Path, repository: &str) -> Result<Self, SourceError> {
        let folder = state.join("repositories").join(repository);
        let history = folder.join(HISTORY);
        fs::create_dir_all(&history).map_err(|error| failed(&history, error))?;
        Ok(Self {
            folder,
            reserve: Reserve::of(state),
        })
    }

    /// All files, by their names below the folder. A file longer than any of them may be is
    /// left out: it is not ours.
    ///
    /// # Errors
    /// [`SourceError::Io`].
    pub fn read(&self) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
        let mut files = BTreeMap::new();
        for (folder, prefix) in [
            (self.folder.clone(), String::new()),
            (self.folder.join(HISTORY), format!("{HISTORY}/")),
        ] {
            let entries = fs::read_dir(&folder).map_err(|error| failed(&folder, error))?;
            for entry in entries {
                let path = entry.map_err(|error| failed(&folder, error))?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                let Some(name) = name.filter(|name| is_ours(name, &path)) else {
                    continue;
                };
                let bytes = fs::read(&path).map_err(|error| failed(&path, error))?;
                files.insert(format!("{prefix}{name}"), bytes);
            }
        }
        Ok(files)
    }

    /// Replaces a file, durably; one that has this content already is left as it is, so that
    /// a full disk does not matter. Where the disk is full, what is shorter than
    /// [`RESERVED_FOR_OCTETS_MAX`] takes of the [`Reserve`].
    ///
    /// # Errors
    /// [`SourceError::Io`]; the old file is still there then.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), SourceError> {
        let path = self.folder.join(name);
        if fs::read(&path).is_ok_and(|before| before == bytes) {
            return Ok(());
        }
        match durable::replace(&path, bytes) {
            Err(error)
                if error.is_disk_full()
                    && bytes.len() < RESERVED_FOR_OCTETS_MAX
                    && self.reserve.release() =>
            {
                durable::replace(&path, bytes)
            }
            replaced => replaced,
        }
    }

    /// Sets a damaged file aside as `NAME.damaged`; there is one for each name at most.
    ///
    /// # Errors
    /// [`SourceError::Io`].
    pub fn set_aside(&self, name: &str) -> Result<(), SourceError> {
        durable::set_aside(&self.folder.join(name))
    }

    /// Keeps a file as evidence below `evidence/`, under a part of its digest, the word `whose`,
    /// the version and the name of its role's file; says whether it is new. Of one role no more
    /// than [`EVIDENCE_FILES_MAX`] are kept, so that one stolen key leaves room for what the
    /// others did: what came first says most, and what comes then is new each time.
    ///
    /// # Errors
    /// [`SourceError::Io`].
    pub fn keep_evidence(
        &self,
        whose: &str,
        version: u64,
        file: &str,
        digest: &str,
        bytes: &[u8],
    ) -> Result<bool, SourceError> {
        let folder = self.folder.join(EVIDENCE);
        fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
        let digest = digest.get(..EVIDENCE_DIGITS).unwrap_or(digest);
        let path = folder.join(format!("{digest}.{whose}.{version}.{file}"));
        if path.exists() {
            return Ok(false);
        }
        let kept = fs::read_dir(&folder).map_err(|error| failed(&folder, error))?;
        let of_role = kept.flatten().filter(|kept| {
            let name = kept.file_name();
            name.to_str().and_then(|name| name.splitn(4, '.').nth(3)) == Some(file)
        });
        if of_role.count() >= EVIDENCE_FILES_MAX {
            return Ok(true);
        }
        durable::replace(&path, bytes).map(|()| true)
    }

    /// Sets all files aside, but those of these names: they are below `replaced/` then, and
    /// what was there before is gone.
    ///
    /// # Errors
    /// [`SourceError::Io`]; it can be done again then.
    pub fn set_all_aside(&self, but: &[&str]) -> Result<(), SourceError> {
        let aside = self.folder.join(ASIDE);
        match fs::remove_dir_all(&aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(&aside, error));
            }
            _ => {}
        }
        for name in self
            .read()?
            .keys()
            .filter(|name| !but.contains(&name.as_str()))
        {
            let to = aside.join(name);
            let folder = to.parent().unwrap_or(&aside);
            fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
            fs::rename(self.folder.join(name), &to).map_err(|error| failed(&to, error))?;
        }
        Ok(())
    }

    /// Removes a file, durably.
    ///
    /// # Errors
    /// [`SourceError::Io`].
    pub fn remove(&self, name: &str) -> Result<(), SourceError> {
        durable::remove(&self.folder.join(name))
    }
}

/// Whether that is a file of the store.
fn is_ours(name: &str, path: &Path) -> bool {
    name.ends_with(".json")
        && !name.starts_with('.')
        && fs::metadata(path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= OCTETS_MAX)
}

/// The folder of what was set aside.
const ASIDE: &str = "replaced";
/// The folder of all roots.
pub(super) const HISTORY: &str = "root_history";
/// The folder of what may prove that a key is misused.
const EVIDENCE: &str = "evidence";
/// How much of a digest is in the name of such a file.
const EVIDENCE_DIGITS: usize = 16;
/// The most such files of one role.
pub const EVIDENCE_FILES_MAX: usize = 16;
/// The most octets of a file; the longest keep names never to block, with their proof.
const OCTETS_MAX: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_of_one_role_finds_no_more_room_than_its_own_and_is_still_an_event() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path(), "r").unwrap();
        let keep = |file: &str, digest: &str| {
            let kept = store.keep_evidence("other", 7, file, digest, b"x");
            kept.unwrap()
        };
        for number in 0..EVIDENCE_FILES_MAX {
            let digest = format!("{number:016}{}", "0".repeat(48));
            assert!(keep("snapshot.json", &digest));
            assert!(!keep("snapshot.json", &digest));
        }
        let kept = || fs::read_dir(store.folder.join(EVIDENCE)).unwrap().count();
        let more = "f".repeat(64);
        assert!(keep("snapshot.json", &more));
        assert_eq!(kept(), EVIDENCE_FILES_MAX);
        for (place, role) in ["targets.json", "list-a.json"].into_iter().enumerate() {
            assert!(keep(role, &more) && !keep(role, &more));
            assert_eq!(kept(), EVIDENCE_FILES_MAX + 1 + place);
        }
    }
}
