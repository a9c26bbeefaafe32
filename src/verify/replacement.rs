//! [`Replacement`]: the word of a person that another root is pinned from now on.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{VerifyError, floors, hex};

/// `replaced.json` in the repository's state folder, as `cordon trust replace` writes it.
/// Without it another pinned root makes nothing of the stored floors, and is refused as long
/// as they are higher: a node puts them aside, and another repository begins.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Replacement {
    /// The format of this file.
    format: u64,
    /// SHA-256 of the new pinned root, in hex.
    root: String,
    /// Who replaced it.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Replacement {
    /// Of the pinned root by `root`.
    #[must_use]
    pub fn new(root: &[u8], by: &str, reason: &str) -> Self {
        Self {
            format: FORMAT,
            root: hex(&Sha256::digest(root)),
            by: by.to_owned(),
            reason: reason.to_owned(),
        }
    }

    /// The file.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the file; a damaged one is as absent.
    ///
    /// # Errors
    /// [`VerifyError::Unsupported`] for a newer format.
    pub(super) fn read(bytes: Option<&[u8]>) -> Result<Self, VerifyError> {
        floors::read_own(REPLACED, bytes, FORMAT)
    }

    /// Whether it speaks of that root.
    pub(super) fn is_of(&self, root: &[u8]) -> bool {
        self.root == hex(&Sha256::digest(root))
    }

    /// The digest of its root.
    pub(super) fn root(&self) -> &str {
        &self.root
    }
}

/// The file's name in the repository's state folder.
pub const REPLACED: &str = "replaced.json";
/// The format that is written.
const FORMAT: u64 = 1;
