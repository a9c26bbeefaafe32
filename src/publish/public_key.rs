//! [`PublicKey`]: the public half of a key, which people compare and send to each other.

use std::path::Path;

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::{DecodePublicKey, EncodePublicKey};
use pkcs8::LineEnding;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::key_file::{read_text, what_it_is};
use super::{PublishError, canonical};
use crate::verify::{hex, octets_of_hex};

/// The public half of a key, as people compare it. Its file `NAME.pub` is an
/// SubjectPublicKeyInfo in PEM (RFC 8410), as `openssl pkey -pubin` reads it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicKey {
    /// The name of its file, without its ending; empty where only the key itself is known.
    pub name: String,
    /// Its id: SHA-256 of the key object in canonical JSON, in hex.
    pub id: String,
    /// The key itself, in hex.
    pub public: String,
}

impl PublicKey {
    /// Reads a file `NAME.pub`.
    ///
    /// # Errors
    /// [`PublishError::Io`], and [`PublishError::Key`] for a file that is no public key of
    /// ed25519.
    pub fn read(path: &Path) -> Result<Self, PublishError> {
        let text = read_text(path)?;
        let key = VerifyingKey::from_public_key_pem(&text).map_err(|_| PublishError::Key {
            path: path.to_owned(),
            reason: format!(
                "{}; a public half is the file NAME.pub that `cordon repo key --new NAME` makes",
                what_it_is(&text, "PUBLIC KEY")
            ),
        })?;
        if key.is_weak() {
            return Err(PublishError::Key {
                path: path.to_owned(),
                reason: "is a key under which anything verifies; have its keeper make another"
                    .to_owned(),
            });
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self::new(&name, &key))
    }

    /// The public half of a key.
    pub(super) fn new(name: &str, key: &VerifyingKey) -> Self {
        let public = hex(key.as_bytes());
        let octets = canonical::signed_octets(&key_object(&public)).unwrap_or_default();
        Self {
            name: name.to_owned(),
            id: hex(&Sha256::digest(&octets)),
            public,
        }
    }

    /// What its file holds.
    pub(super) fn pem(&self) -> Option<String> {
        let octets = <[u8; 32]>::try_from(octets_of_hex(&self.public)?).ok()?;
        pem(&VerifyingKey::from_bytes(&octets).ok()?)
    }

    /// The key as metadata has it.
    pub(super) fn object(&self) -> Value {
        key_object(&self.public)
    }
}

/// What a file `NAME.pub` holds.
pub(super) fn pem(key: &VerifyingKey) -> Option<String> {
    key.to_public_key_pem(LineEnding::LF).ok()
}

/// The key object of TUF.
fn key_object(public: &str) -> Value {
    json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}})
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    #[test]
    fn a_public_half_reads_back_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anna.pub");
        let key = SigningKey::from_bytes(&[7; 32]).verifying_key();
        std::fs::write(&path, pem(&key).unwrap()).unwrap();
        assert_eq!(
            PublicKey::read(&path).unwrap(),
            PublicKey::new("anna", &key)
        );
        let weak = {
            let mut identity = [0; 32];
            identity[0] = 1;
            VerifyingKey::from_bytes(&identity).unwrap()
        };
        for (text, complaint) in [
            (String::new(), "is empty"),
            (pem(&weak).unwrap(), "anything verifies"),
            ("ssh-ed25519 AAAA anna".to_owned(), "OpenSSH"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = PublicKey::read(&path).unwrap_err().to_string();
            assert!(
                error.contains("anna.pub") && error.contains(complaint),
                "{error}"
            );
        }
    }
}
