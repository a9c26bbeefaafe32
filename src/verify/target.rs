//! [`Target`]: what a trusted role says of one target file.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256, Sha512};
use sigstore_tuf::TargetFile;

use super::client::quoted;
use super::{VerifyError, hex};

/// A target file: its path, length and digests, as its role signed them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    path: String,
    length: u64,
    /// Digests in hex by algorithm, of those that we can compute. Never empty.
    digests: BTreeMap<Algorithm, String>,
}

/// How a digest is computed; the first that a role names is the one in file names.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Algorithm {
    Sha256,
    Sha512,
}

impl Target {
    /// Reads what a role says of the file at `path`.
    ///
    /// # Errors
    /// [`VerifyError::Unsupported`] when no digest of it can be computed here,
    /// [`VerifyError::Malformed`] when one is not hex.
    pub(super) fn read(path: &str, file: &TargetFile) -> Result<Self, VerifyError> {
        let mut digests = BTreeMap::new();
        for (name, digest) in &file.hashes {
            let algorithm = match name.as_str() {
                "sha256" => Algorithm::Sha256,
                "sha512" => Algorithm::Sha512,
                _ => continue,
            };
            if digest.is_empty() || !digest.bytes().all(|octet| octet.is_ascii_hexdigit()) {
                return Err(VerifyError::Malformed {
                    file: path.to_owned(),
                    reason: format!("its {name} is not hex"),
                });
            }
            digests.insert(algorithm, digest.clone());
        }
        if digests.is_empty() {
            return Err(VerifyError::Unsupported {
                file: path.to_owned(),
                reason: "has neither a sha256 nor a sha512".to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            length: file.length,
            digests,
        })
    }

    /// Octets of the file.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Where it stands below the address of the targets: `dir/HASH.name` with consistent
    /// snapshots, its own path without.
    #[must_use]
    pub fn location(&self, has_consistent_snapshot: bool) -> String {
        let mut segments: Vec<String> = self.path.split('/').map(quoted).collect();
        if has_consistent_snapshot
            && let (Some(name), Some(digest)) = (segments.last_mut(), self.digests.values().next())
        {
            *name = format!("{digest}.{name}");
        }
        segments.join("/")
    }

    /// Whether these are the octets that were signed.
    ///
    /// # Errors
    /// [`VerifyError::HashMismatch`].
    pub fn check(&self, bytes: &[u8]) -> Result<(), VerifyError> {
        let differs = |expected: String, found: String| VerifyError::HashMismatch {
            file: self.path.clone(),
            expected,
            found,
        };
        if bytes.len() as u64 != self.length {
            let found = format!("{} octets", bytes.len());
            return Err(differs(format!("{} octets", self.length), found));
        }
        for (algorithm, expected) in &self.digests {
            let found = match algorithm {
                Algorithm::Sha256 => hex(&Sha256::digest(bytes)),
                Algorithm::Sha512 => hex(&Sha512::digest(bytes)),
            };
            if !found.eq_ignore_ascii_case(expected) {
                return Err(differs(expected.clone(), found));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TEXT: &[u8] = b"text\n";

    fn target(path: &str, hashes: Value) -> Result<Target, VerifyError> {
        let file = json!({"length": TEXT.len(), "hashes": hashes});
        Target::read(path, &serde_json::from_value(file).unwrap())
    }

    fn sha256() -> String {
        hex(&Sha256::digest(TEXT))
    }

    fn sha512() -> String {
        hex(&Sha512::digest(TEXT))
    }

    fn check(hashes: Value, bytes: &[u8], outcome: &str) {
        let checked = target("a", hashes).and_then(|target| target.check(bytes));
        assert_eq!(
            checked.map_or_else(|error| error.outcome(), |()| "ok"),
            outcome
        );
    }

    #[test]
    fn every_digest_that_is_known_counts_and_one_must_be() {
        check(json!({"sha256": sha256()}), TEXT, "ok");
        check(json!({"sha512": sha512()}), TEXT, "ok");
        check(json!({"sha512": sha512().to_uppercase()}), TEXT, "ok");
        check(json!({"sha256": sha256(), "blake2b-256": "00"}), TEXT, "ok");
        check(json!({"blake2b-256": "00"}), TEXT, "unsupported");
        check(json!({"sha256": "../../x"}), TEXT, "malformed");
        check(json!({"sha256": ""}), TEXT, "malformed");
        let mixed = json!({"sha256": sha256(), "sha512": "00".repeat(64)});
        check(mixed, TEXT, "hash_mismatch");
    }

    #[test]
    fn a_short_a_long_and_another_file_are_refused() {
        check(json!({"sha256": sha256()}), b"text", "hash_mismatch");
        check(json!({"sha256": sha256()}), b"text\n\n", "hash_mismatch");
        check(json!({"sha256": sha256()}), b"test\n", "hash_mismatch");
    }

    #[test]
    fn the_hash_stands_before_the_last_segment() {
        let place =
            |path: &str, hashes, consistent| target(path, hashes).unwrap().location(consistent);
        let both = json!({"sha256": sha256(), "sha512": sha512()});
        let expected = format!("dir/{}.a%20b", sha256());
        assert_eq!(place("dir/a b", both.clone(), true), expected);
        assert_eq!(place("dir/a b", both, false), "dir/a%20b");
        let expected = format!("{}.a", sha512());
        assert_eq!(place("a", json!({"sha512": sha512()}), true), expected);
    }
}
