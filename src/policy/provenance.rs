//! [`Provenance`]: where a list in force came from, and who answers for it.

use jiff::Timestamp;

/// Where one list in force came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provenance {
    /// The list's name in the configuration.
    pub list: String,
    /// Its title in English, else in the first language it has, else its name.
    pub title: String,
    /// Who issues it.
    pub issuer: Option<String>,
    /// How it is known to be what it is.
    pub origin: Origin,
}

/// How a list is known to be what it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Verified under a pinned TUF root (trust.md section 7).
    Signed {
        /// The repository's name in the configuration.
        repository: String,
        /// Rises only by an offline decision.
        generation: u64,
        /// The list's serial.
        seq: u64,
        /// SHA-256 of the whole plaintext, in hex.
        state: String,
        /// The ids of the keys whose signatures on the list's role counted.
        signers: Vec<String>,
        /// How many of them were needed.
        threshold: usize,
        /// How many keys the role has.
        keys: usize,
        /// Why the authority signed it although its own guards said that nodes will hold it.
        accepted: Option<String>,
        /// When the authority issued it, by its own clock.
        issued_at: Option<Timestamp>,
        /// When the list's role expires.
        expires: Timestamp,
    },
    /// A local file that nobody signed; said wherever the list is shown.
    Unsigned {
        /// The file's path.
        path: String,
        /// SHA-256 of its content, in hex.
        digest: String,
    },
}

impl Provenance {
    /// The list's serial; an unsigned list has none.
    #[must_use]
    pub const fn seq(&self) -> Option<u64> {
        match self.origin {
            Origin::Signed { seq, .. } => Some(seq),
            Origin::Unsigned { .. } => None,
        }
    }
}
