//! A mirror that is a folder on this machine.

use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use super::{Fetched, SourceError, Validator};

/// Reads the file at `path` below `folder`, as [`Source::fetch`](super::Source::fetch) has it.
pub(super) fn fetch(
    folder: &Path,
    path: &str,
    octets_max: u64,
    validator: Option<&Validator>,
) -> Result<Fetched, SourceError> {
    let full = folder.join(path);
    let failed = |source| SourceError::Io {
        path: full.clone(),
        source,
    };
    let too_long = || SourceError::TooLong {
        address: full.display().to_string(),
        octets_max,
    };
    let metadata = match fs::metadata(&full) {
        Ok(metadata) => metadata,
        // A folder that is gone, as when it is not mounted, says nothing about its files.
        Err(error) if is_absent(&error) && folder.is_dir() => return Ok(Fetched::Absent),
        Err(error) => return Err(failed(error)),
    };
    if !metadata.is_file() {
        return Err(failed(ErrorKind::InvalidInput.into()));
    }
    let current = validator_of(&metadata);
    if validator == Some(&current) {
        return Ok(Fetched::Unchanged);
    }
    if metadata.len() > octets_max {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    File::open(&full)
        .and_then(|file| {
            file.take(octets_max.saturating_add(1))
                .read_to_end(&mut bytes)
        })
        .map_err(failed)?;
    if bytes.len() as u64 > octets_max {
        return Err(too_long());
    }
    Ok(Fetched::File(bytes, Some(current)))
}

/// Whether the error says that there is no such file.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// By what this version of the file is known again.
fn validator_of(metadata: &Metadata) -> Validator {
    Validator::Stat {
        modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        octets: metadata.len(),
        inode: metadata.ino(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(folder: &Path, path: &str, validator: Option<&Validator>) -> String {
        match fetch(folder, path, 10, validator) {
            Ok(Fetched::File(bytes, _)) => String::from_utf8(bytes).unwrap(),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.outcome().to_owned(),
        }
    }

    #[test]
    fn files_are_read_within_limits() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("short"), "text").unwrap();
        fs::write(folder.path().join("long"), "eleven octets").unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        let check = |path, expected| assert_eq!(outcome(folder.path(), path, None), expected);
        check("short", "text");
        check("long", "too_long");
        check("folder", "io");
        check("none", "Absent");
        check("short/none", "Absent");
    }

    #[test]
    fn an_unchanged_file_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let Ok(Fetched::File(_, validator)) = fetch(folder.path(), "file", 10, None) else {
            panic!("the file is there");
        };
        assert_eq!(
            outcome(folder.path(), "file", validator.as_ref()),
            "Unchanged"
        );
        fs::write(folder.path().join("new"), "two").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        assert_eq!(outcome(folder.path(), "file", validator.as_ref()), "two");
    }

    #[test]
    fn a_folder_that_is_gone_is_not_an_absent_file() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        assert_eq!(outcome(&gone, "file", None), "io");
    }
}
