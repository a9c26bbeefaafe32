//! Replaces a file so that a crash at any point leaves the old or the new one, whole.

use std::ffi::OsString;
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
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(TEMPORARY);
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

/// Sets a damaged file aside as `NAME.damaged`, in place of the one that was set aside there
/// before, so that there is never more than one for each name.
///
/// # Errors
/// [`SourceError::Io`].
pub(super) fn set_aside(path: &Path) -> Result<(), SourceError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(DAMAGED);
    match fs::rename(path, Path::new(&aside)) {
        Ok(()) => sync_folder(path.parent().unwrap_or(Path::new("."))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(path, error)),
    }
}

/// Removes the temporary files in a folder that a crash left; to be called while nobody
/// writes there.
pub(super) fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(TEMPORARY) {
            // One that stays takes room and does no other harm.
            let _ = fs::remove_file(entry.path());
        }
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

/// How the name of a temporary file ends; it begins with a dot.
const TEMPORARY: &str = ".tmp";
/// How the name of a file that was set aside ends.
const DAMAGED: &str = ".damaged";

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

    #[test]
    fn what_a_crash_left_is_swept_and_what_is_damaged_is_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in [".a.json.tmp", "a.json", "b.tmp", ".b"] {
            fs::write(path(name), name).unwrap();
        }
        sweep(folder.path());
        let left = ["a.json", "b.tmp", ".b"];
        assert!(!path(".a.json.tmp").exists() && left.iter().all(|name| path(name).exists()));
        for bytes in [b"one", b"two"] {
            fs::write(path("a.json"), bytes).unwrap();
            set_aside(&path("a.json")).unwrap();
        }
        assert_eq!(fs::read(path("a.json.damaged")).unwrap(), b"two");
        assert!(!path("a.json").exists());
        set_aside(&path("a.json")).unwrap();
    }
}
