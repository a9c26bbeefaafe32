//! [`NamedKey`]: a key at hand, open or yet to be opened with its passphrase.

use std::path::Path;
use std::sync::OnceLock;

use ed25519_dalek::SigningKey;

use super::{Passphrases, PublicKey, PublishError, key_file};

/// A key that can sign, known by its public half.
#[derive(Debug)]
pub(super) struct NamedKey {
    pub(super) public: PublicKey,
    /// Its file's text, where it is encrypted.
    pub(super) encrypted: Option<String>,
    /// The key, once it is open.
    pub(super) key: OnceLock<SigningKey>,
}

impl NamedKey {
    /// The key itself, opened where it is not yet; `path` is that of its file.
    ///
    /// # Errors
    /// [`PublishError::Key`] where it does not open, or is not the key that it is known as.
    pub(super) fn unlocked(
        &self,
        path: &Path,
        passphrases: &Passphrases,
    ) -> Result<&SigningKey, PublishError> {
        let refused = |reason: &str| PublishError::Key {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        if let (None, Some(text)) = (self.key.get(), &self.encrypted) {
            let key = key_file::decrypt(path, text, &passphrases.of(path)?)?;
            if PublicKey::new(&self.public.name, &key.verifying_key()) != self.public {
                return Err(refused(
                    "is not the private half of the .pub file beside it; remove that, and \
                     `cordon repo key` writes it anew",
                ));
            }
            let _ = self.key.set(key);
        }
        self.key.get().ok_or_else(|| refused("is not open"))
    }
}
