//! [`read_local`]: a local list from its file, bounded, and kept for when the file is gone.

use std::path::Path;

use crate::control::rulings::local_versions::LocalVersions;
use crate::control::rulings::version::Version;
use crate::verify::{ListFile, Verified};

/// Reads a local list and keeps its text in the state folder; the versions in `needed` stay
/// there, too.
///
/// # Errors
/// A sentence where the file cannot be read, or is too long.
pub(crate) fn read_local(
    state: &Path,
    list: &str,
    path: &Path,
    needed: &[Version],
) -> Result<Verified<ListFile>, String> {
    let file = read_file(list, path)?;
    let text = file.get().text.whole().unwrap_or_default();
    if let Err(error) = LocalVersions::new(state, list).save(&text, needed) {
        tracing::warn!(list, %error, "the local list cannot be kept for a time when its file is gone");
    }
    Ok(file)
}

/// The same, and keeps nothing.
///
/// # Errors
/// The same.
pub(crate) fn read_file(list: &str, path: &Path) -> Result<Verified<ListFile>, String> {
    let text = read_bounded(path);
    let text = text.map_err(|error| format!("the local list cannot be read: {error}"))?;
    Ok(Verified::unsigned(list, &path.display().to_string(), text))
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut text = Vec::new();
    std::fs::File::open(path)?
        .take(LOCAL_OCTETS_MAX + 1)
        .read_to_end(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > LOCAL_OCTETS_MAX) {
        return Err(std::io::Error::other("the file is longer than 1 GiB"));
    }
    Ok(text)
}

/// The longest local list, in octets.
const LOCAL_OCTETS_MAX: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_list_outlives_its_file() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("house.txt");
        std::fs::write(&file, "one.test\n").unwrap();
        let read = read_local(state.path(), "house", &file, &[]).unwrap();
        let version = Version::of(&read.get().provenance);
        std::fs::remove_file(&file).unwrap();
        assert!(read_local(state.path(), "house", &file, &[]).is_err());
        let kept = LocalVersions::new(state.path(), "house").load(version.digest());
        assert_eq!(kept, Some(b"one.test\n".to_vec()));
    }
}
