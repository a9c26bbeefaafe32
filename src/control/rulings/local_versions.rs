//! [`LocalVersions`]: the last versions of a local list, which nobody signed, on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::control::rulings::version::Version;
use crate::source::{self, STATES_KEPT_MAX};
use crate::verify::hex;

/// `state/lists/NAME/DIGEST.local`: the texts that a local file had, so that one can stay in
/// force while another is held, when the file is gone, or when a person goes back to it.
#[derive(Debug)]
pub(crate) struct LocalVersions {
    folder: PathBuf,
}

impl LocalVersions {
    /// Those of a list; makes nothing.
    #[must_use]
    pub(crate) fn new(state: &Path, list: &str) -> Self {
        Self {
            folder: state.join("lists").join(list),
        }
    }

    /// Keeps a text; the oldest beyond [`STATES_KEPT_MAX`] go, but none that is `needed`.
    ///
    /// # Errors
    /// A sentence where the disk does not take it.
    pub(crate) fn save(&self, text: &[u8], needed: &[Version]) -> Result<(), String> {
        let digest = hex(&Sha256::digest(text));
        let path = self.path(&digest);
        if fs::metadata(&path).is_ok_and(|there| there.len() == text.len() as u64) {
            return Ok(());
        }
        fs::create_dir_all(&self.folder).map_err(|error| error.to_string())?;
        source::replace(&path, text).map_err(|error| error.to_string())?;
        let is_needed = |digest: &String| needed.iter().any(|version| version.digest() == digest);
        let (needed, others): (Vec<String>, Vec<String>) =
            self.digests().into_iter().partition(is_needed);
        let room = STATES_KEPT_MAX.saturating_sub(needed.len()).max(1);
        for digest in others.into_iter().skip(room) {
            // What cannot be removed now is tried again with the next version.
            let _ = fs::remove_file(self.path(&digest));
        }
        Ok(())
    }

    /// A text; nothing where it is not there or no longer what it was.
    #[must_use]
    pub(crate) fn load(&self, digest: &str) -> Option<Vec<u8>> {
        let text = fs::read(self.path(digest)).ok()?;
        (hex(&Sha256::digest(&text)) == digest).then_some(text)
    }

    /// The digests of what is kept, the last written first.
    #[must_use]
    pub(crate) fn digests(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut found: Vec<(SystemTime, String)> = entries
            .filter_map(|entry| {
                let name = entry.file_name();
                let digest = name.to_str()?.strip_suffix(SUFFIX)?.to_owned();
                let modified = entry.metadata().ok()?.modified().ok()?;
                (digest.len() == DIGEST_CHARS).then_some((modified, digest))
            })
            .collect();
        found.sort_unstable();
        found.into_iter().rev().map(|(_, digest)| digest).collect()
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}{SUFFIX}"))
    }
}

/// What follows the digest in a file's name.
const SUFFIX: &str = ".local";
/// The characters of a SHA-256 in hex.
const DIGEST_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Verified;

    #[test]
    fn the_last_texts_are_kept_and_what_is_needed_longer() {
        let state = tempfile::tempdir().unwrap();
        let versions = LocalVersions::new(state.path(), "house");
        assert_eq!(versions.digests(), Vec::<String>::new());
        let text = |number: u32| format!("n{number}.test\n").into_bytes();
        let version = |number| {
            Version::of(
                &Verified::unsigned("house", "x", text(number))
                    .get()
                    .provenance,
            )
        };
        for number in 0..9 {
            versions.save(&text(number), &[version(0)]).unwrap();
        }
        assert_eq!(versions.digests().len(), STATES_KEPT_MAX);
        assert_eq!(versions.load(version(0).digest()), Some(text(0)));
        assert_eq!(versions.load(version(8).digest()), Some(text(8)));
        assert_eq!(versions.load(version(1).digest()), None);
        fs::write(versions.path(version(8).digest()), "other").unwrap();
        assert_eq!(versions.load(version(8).digest()), None);
    }
}
