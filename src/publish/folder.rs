//! [`Folder`]: the files of a repository; a reader never sees half of one.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::PublishError;

/// The static folder that any web server can serve.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Held while the folder is changed, so that two commands do not interleave.
    _lock: File,
}

impl Folder {
    /// Opens the folder, makes it where it is not, and waits for whoever is changing it.
    pub(super) fn open(path: &Path) -> Result<Self, PublishError> {
        let metadata = path.join("metadata");
        fs::create_dir_all(&metadata).map_err(|source| io(&metadata, source))?;
        let lock = File::open(&metadata)
            .and_then(|folder| folder.lock().map(|()| folder))
            .map_err(|source| io(&metadata, source))?;
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        folder.sweep_temporary()?;
        Ok(folder)
    }

    /// Where a file is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads a file. What is there and is none would be waited for, as a pipe is.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, PublishError> {
        let path = self.path(name);
        if path.exists() && !path.is_file() {
            return Err(PublishError::Repository {
                path,
                reason: "is not a file, where one is to be; move it away, and copy that file \
                         back from a mirror or a backup"
                    .to_owned(),
            });
        }
        fs::read(&path).map_err(|source| io(&path, source))
    }

    /// Replaces a file; a reader sees the one before, or this one.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), PublishError> {
        self.put_all(&[(name, bytes)])
    }

    /// Replaces files, each as [`Folder::put`] does, in this order. All of them are on disk
    /// before the first takes its place, so that where there is no room nothing changes.
    pub(super) fn put_all(&self, files: &[(&str, &[u8])]) -> Result<(), PublishError> {
        let written = files
            .iter()
            .try_for_each(|(name, bytes)| self.write_beside(name, bytes))
            .and_then(|()| {
                let mut names = files.iter().map(|(name, _)| name);
                names.try_for_each(|name| self.put_in_place(name))
            });
        if written.is_err() {
            for (name, _) in files {
                // What is left of it would be served; the error is about the file itself.
                let _ = fs::remove_file(temporary(&self.path(name)));
            }
        }
        written
    }

    /// Writes a file beside its place, durably.
    fn write_beside(&self, name: &str, bytes: &[u8]) -> Result<(), PublishError> {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap_or(&self.path))
            .and_then(|()| File::create(temporary(&path)))
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .map_err(|source| io(&path, source))
    }

    /// Puts a file that is written into its place, durably.
    fn put_in_place(&self, name: &str) -> Result<(), PublishError> {
        let path = self.path(name);
        let parent = path.parent().unwrap_or(&self.path);
        fs::rename(temporary(&path), &path)
            .and_then(|()| File::open(parent)?.sync_all())
            .map_err(|source| io(&path, source))
    }

    /// The names in a folder, sorted; one that is not there has none.
    pub(super) fn names(&self, folder: &str) -> Result<Vec<String>, PublishError> {
        let path = self.path(folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(io(&path, source)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| io(&path, source))?;
            names.extend(entry.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Makes a folder that its owner alone reads, where it is not there.
    pub(super) fn make_private(&self, folder: &str) -> Result<(), PublishError> {
        let path = self.path(folder);
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&path).map_err(|source| io(&path, source))
    }

    /// Removes a file; it may be gone already.
    pub(super) fn remove(&self, name: &str) -> Result<(), PublishError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(&path, error)),
            _ => Ok(()),
        }
    }

    /// Removes every file in a folder and in the folders in it that is not among `named`.
    pub(super) fn keep_only(&self, folder: &str, named: &[String]) -> Result<(), PublishError> {
        let path = self.path(folder);
        let mut folders = vec![folder.to_owned()];
        if path.is_dir() {
            for entry in fs::read_dir(&path).map_err(|source| io(&path, source))? {
                let entry = entry.map_err(|source| io(&path, source))?;
                if let (true, Ok(name)) = (entry.path().is_dir(), entry.file_name().into_string()) {
                    folders.push(format!("{folder}/{name}"));
                }
            }
        }
        for folder in folders {
            for name in self.names(&folder)? {
                let name = format!("{folder}/{name}");
                if !named.contains(&name) && !self.path(&name).is_dir() {
                    self.remove(&name)?;
                }
            }
        }
        Ok(())
    }

    /// Notes that a file is superseded at `now`; it is swept a day later.
    pub(super) fn supersede(&self, name: &str, now: Timestamp) -> Result<(), PublishError> {
        let path = self.path(name);
        if !path.is_file() {
            return Ok(());
        }
        let noted = File::options()
            .append(true)
            .open(&path)
            .and_then(|file| file.set_modified(SystemTime::from(now)));
        match noted {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(&path, error)),
            _ => Ok(()),
        }
    }

    /// Removes what is not in `named` and was superseded more than a day before `now`: the
    /// snapshot that named it last is out of use by then. Roots stay for ever.
    pub(super) fn sweep(
        &self,
        named: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<usize, PublishError> {
        let mut removed = 0;
        for folder in self.swept_folders()? {
            for entry in fs::read_dir(&folder).map_err(|source| io(&folder, source))? {
                let path = entry.map_err(|source| io(&folder, source))?.path();
                let name = path.strip_prefix(&self.path).unwrap_or(&path);
                let name = name.to_string_lossy();
                let is_ours = is_superseded_kind(&name);
                let is_ours = is_ours && path.is_file();
                if is_ours && !named.contains(&*name) && is_old(&path, now) {
                    fs::remove_file(&path).map_err(|source| io(&path, source))?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// Removes the temporary files that a crash left, which would be served for ever.
    fn sweep_temporary(&self) -> Result<(), PublishError> {
        for folder in self.swept_folders()? {
            for entry in fs::read_dir(&folder).map_err(|source| io(&folder, source))? {
                let path = entry.map_err(|source| io(&folder, source))?.path();
                if path.extension().is_some_and(|extension| extension == "tmp") {
                    fs::remove_file(&path).map_err(|source| io(&path, source))?;
                }
            }
        }
        Ok(())
    }

    /// The folders of metadata, of the target files, and of each list's.
    fn swept_folders(&self) -> Result<Vec<PathBuf>, PublishError> {
        let targets = self.path("targets");
        let mut folders = vec![self.path("metadata"), targets.clone()];
        let entries = match fs::read_dir(&targets) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(vec![self.path("metadata")]);
            }
            Err(source) => return Err(io(&targets, source)),
        };
        for entry in entries {
            let path = entry.map_err(|source| io(&targets, source))?.path();
            if path.is_dir() {
                folders.push(path);
            }
        }
        Ok(folders)
    }
}

/// Whether a file is of a kind that is superseded: metadata but roots, and target files,
/// whose names begin with their digests. Nobody else's file is ever removed.
fn is_superseded_kind(name: &str) -> bool {
    let Some((folder, file)) = name.rsplit_once('/') else {
        return false;
    };
    if folder == "metadata" {
        return file.ends_with(".json") && !file.ends_with(".root.json");
    }
    file.split_once('.').is_some_and(|(digest, _)| {
        digest.len() == 64 && digest.bytes().all(|octet| octet.is_ascii_hexdigit())
    })
}

/// Whether a file was last touched more than a day before `now`.
fn is_old(path: &Path, now: Timestamp) -> bool {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|modified| SystemTime::from(now).duration_since(modified).ok())
        .is_some_and(|age| age > KEPT)
}

/// Where a file is while it is written.
fn temporary(path: &Path) -> PathBuf {
    path.with_extension("tmp")
}

/// The error for a file.
fn io(path: &Path, source: std::io::Error) -> PublishError {
    PublishError::Io {
        path: path.to_owned(),
        source,
    }
}

/// How long a superseded file is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str =
        "targets/a/0000000000000000000000000000000000000000000000000000000000000000.full";

    #[test]
    fn superseded_files_go_after_a_day_and_roots_never() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let names = [
            "metadata/1.root.json",
            "metadata/1.snapshot.json",
            "metadata/2.snapshot.json",
            FULL,
            "targets/a/note.txt",
        ];
        let then: Timestamp = "2026-11-24T06:00:00Z".parse().unwrap();
        for name in names {
            folder.put(name, b"x").unwrap();
            folder.supersede(name, then).unwrap();
        }
        let named = BTreeSet::from(["metadata/2.snapshot.json".to_owned()]);
        let after = |hours: i64| then + jiff::SignedDuration::from_hours(hours);
        assert_eq!(folder.sweep(&named, after(23)).unwrap(), 0);
        assert_eq!(folder.sweep(&named, after(25)).unwrap(), 2);
        let left = |name: &&str| folder.path(name).exists();
        let left: Vec<&str> = names.into_iter().filter(left).collect();
        assert_eq!(
            left,
            [
                "metadata/1.root.json",
                "metadata/2.snapshot.json",
                "targets/a/note.txt"
            ]
        );
        folder.supersede("metadata/none.json", then).unwrap();
    }
}
