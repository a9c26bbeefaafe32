//! Replaces a file so that a crash at any point leaves the old or the new one, whole.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::SourceError;

/// Replaces the file: temporary file, fsync, rename, fsync of the folder.
///
/// # Errors
/// [`SourceError::Io`]; the old file is still there then.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), SourceError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default();
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".tmp");
    let temporary = folder.join(hidden);
    let written = File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(source) = written {
        // What is left of it would only take space; the error is about the file itself.
        let _ = fs::remove_file(&temporary);
        return Err(failed(path, source));
    }
    sync_folder(folder)
}

/// Removes the file; one that is not there is removed already.
///
/// # Errors
/// [`SourceError::Io`].
pub fn remove(path: &Path) -> Result<(), SourceError> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path.parent().unwrap_or(Path::new("."))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(path, error)),
    }
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> Result<(), SourceError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| failed(folder, source))
}

/// The error for a file.
pub(super) fn failed(path: &Path, source: std::io::Error) -> SourceError {
    SourceError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let nowhere = folder.path().join("none/file");
        assert_eq!(replace(&nowhere, b"x").unwrap_err().outcome(), "io");
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }
}
