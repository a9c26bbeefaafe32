//! [`Verified`]: the proof that something passed; it can only be made here.

use sha2::{Digest, Sha256};

use super::Text;
use crate::policy::{Origin, Provenance};

/// Something that may be compiled and enforced: it was verified, or it is expressly marked
/// as what nobody signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified<T>(T);

/// The text of a list, and where it came from. Signed lists and drafts are in the
/// native format; a local file is in the format that the configuration names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListFile {
    /// Where it came from.
    pub provenance: Provenance,
    /// The text.
    pub text: Text,
}

impl<T> Verified<T> {
    /// What passed.
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// What passed, without the proof.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// The proof; only the verifier makes it.
    pub(super) const fn new(value: T) -> Self {
        Self(value)
    }
}

impl Verified<ListFile> {
    /// A local file that nobody signed, as the configuration's `unsigned: true` allows. Its
    /// provenance says so wherever the list is shown.
    #[must_use]
    pub fn unsigned(list: &str, path: &str, bytes: Vec<u8>) -> Self {
        let provenance = Provenance {
            list: list.to_owned(),
            title: list.to_owned(),
            issuer: None,
            origin: Origin::Unsigned {
                path: path.to_owned(),
                digest: hex(&Sha256::digest(&bytes)),
            },
        };
        let text = Text::plain(bytes);
        Self(ListFile { provenance, text })
    }

    /// An authority's own list before it is signed, so that the same code judges it that
    /// runs on the nodes. It is never in force anywhere.
    #[must_use]
    pub fn draft(list: &str, bytes: Vec<u8>) -> Self {
        Self::unsigned(list, "draft", bytes)
    }
}

/// Octets as lower-case hex.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The SHA-256 of octets, in lower-case hex.
#[must_use]
pub fn digest(octets: &[u8]) -> String {
    hex(&Sha256::digest(octets))
}
