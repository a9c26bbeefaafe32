//! [`Evidence`]: two signed files of one version that differ; somebody else may have a key
//! (trust.md section 7.8).

use sigstore_tuf::{Metadata, Role, Snapshot, Targets, Timestamp};

use super::{TrustedMetadata, VerifyError};

/// Two files that their role signed under one version, with different contents. Ours is kept
/// in use, both are kept as evidence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// The file's unversioned name.
    pub file: String,
    /// The version, or serial of a list, that both claim to be.
    pub version: u64,
    /// The one that was accepted; nothing where it is not at hand any more.
    pub ours: Option<Vec<u8>>,
    /// The other.
    pub other: Vec<u8>,
}

/// What two signed files say of each other.
struct Compared {
    version: u64,
    differ: bool,
}

impl TrustedMetadata {
    /// The evidence that came up since the last call.
    pub fn take_evidence(&mut self) -> Vec<Evidence> {
        std::mem::take(&mut self.evidence)
    }

    /// Compares a file that verifies with the one that is held: under the version of one
    /// that its role signed too, another content is noted as evidence and refused.
    ///
    /// # Errors
    /// [`VerifyError::SameVersion`].
    pub(super) fn check_other(&mut self, role: &str, bytes: &[u8]) -> Result<(), VerifyError> {
        let file = format!("{role}.json");
        let Some(held) = self.held.get(&file) else {
            return Ok(());
        };
        let compared = match role {
            "timestamp" => compare::<Timestamp>(&held.bytes, bytes),
            "snapshot" => compare::<Snapshot>(&held.bytes, bytes),
            _ => compare::<Targets>(&held.bytes, bytes),
        };
        let Some(Compared {
            version,
            differ: true,
        }) = compared
        else {
            return Ok(());
        };
        // What is held may come from a disk, and no round may have looked at it yet.
        if !self.chain.is_signed(role, &held.bytes) {
            return Ok(());
        }
        let ours = Some(held.bytes.clone());
        self.note_evidence(&file, version, ours, bytes);
        Err(VerifyError::SameVersion { file, version })
    }

    /// Notes evidence.
    pub(super) fn note_evidence(
        &mut self,
        file: &str,
        version: u64,
        ours: Option<Vec<u8>>,
        other: &[u8],
    ) {
        self.evidence.push(Evidence {
            file: file.to_owned(),
            version,
            ours,
            other: other.to_vec(),
        });
    }
}

/// Compares what is signed in two files of one version; nothing where they are none, or of
/// two versions.
fn compare<T: Role>(ours: &[u8], other: &[u8]) -> Option<Compared> {
    let ours = Metadata::<T>::from_slice(ours).ok()?;
    let other = Metadata::<T>::from_slice(other).ok()?;
    let version = |file: &Metadata<T>| {
        let signed = serde_json::from_slice::<serde_json::Value>(file.signed_canonical());
        signed.ok()?.get("version")?.as_u64()
    };
    let of_ours = version(&ours)?;
    (version(&other) == Some(of_ours)).then(|| Compared {
        version: of_ours,
        differ: ours.signed_canonical() != other.signed_canonical(),
    })
}
