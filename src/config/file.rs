//! [`open`] and [`read`]: files that the configuration is in or names; files only, and within a
//! limit.

use std::fs::{self, File};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Opens a file. Anything else is refused unopened: a pipe would wait for ever.
pub(super) fn open(path: &Path) -> Result<File> {
    if fs::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(Error::other("it is not a file"))
    }
}

/// The octets of a file, `octets_max` at most.
pub(super) fn read(path: &Path, octets_max: u64) -> Result<Vec<u8>> {
    let mut octets = Vec::new();
    let limit = octets_max.saturating_add(1);
    open(path)?.take(limit).read_to_end(&mut octets)?;
    if octets.len() as u64 > octets_max {
        let message = format!("it is larger than {octets_max} octets");
        return Err(Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(octets)
}
