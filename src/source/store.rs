//! [`Store`]: the durable files of one repository (trust.md section 7.10).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::SourceError;
use super::durable::{self, failed};

/// `state/repositories/NAME/`: the metadata that was accepted, by name. What it means is
/// not known here.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
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
        Ok(Self { folder })
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

    /// Replaces a file, durably.
    ///
    /// # Errors
    /// [`SourceError::Io`]; the old file is still there then.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), SourceError> {
        durable::replace(&self.folder.join(name), bytes)
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
const HISTORY: &str = "root_history";
/// The most octets of a file; the longest keep names never to block, with their proof.
const OCTETS_MAX: u64 = 16 << 20;
