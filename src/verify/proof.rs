//! [`Proof`]: the signed files by which one version of a list was accepted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::VerifyError;

/// What stands beside the text of a list on disk, so that it can be verified again
/// from the pinned root at any later start, whatever became of the repository's other
/// files: disk is not trusted more than the network.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Proof {
    /// The format of this file.
    pub(super) format: u64,
    /// When it was accepted; every expiry is judged by it.
    pub(super) accepted_at: Timestamp,
    /// The version of the root.
    pub(super) root: u64,
    /// The timestamp as received.
    pub(super) timestamp: String,
    /// The snapshot as received.
    pub(super) snapshot: String,
    /// The targets role as received.
    pub(super) targets: String,
    /// The list's role as received.
    pub(super) role: String,
}

impl Proof {
    /// Reads the file.
    ///
    /// # Errors
    /// [`VerifyError::Unsupported`] for a newer format; [`VerifyError::Malformed`] for a
    /// damaged one.
    pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Self, VerifyError> {
        let proof: Self = super::floors::read_own(file, Some(bytes), FORMAT)?;
        if proof.format == 0 {
            return Err(VerifyError::Malformed {
                file: file.to_owned(),
                reason: "is damaged".to_owned(),
            });
        }
        Ok(proof)
    }

    /// The file.
    pub(super) fn write(mut self) -> Vec<u8> {
        self.format = FORMAT;
        serde_json::to_vec(&self).unwrap_or_default()
    }
}

/// The format that is written.
const FORMAT: u64 = 1;
