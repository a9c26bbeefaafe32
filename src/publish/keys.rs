//! [`Keyring`]: the keys at hand, each in a file of its own.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{PublishError, canonical};
use crate::verify::hex;

/// The keys in one folder: `NAME.pem`, PKCS#8, readable by their owner alone. The names are
/// for people; roles know keys by id.
#[derive(Debug)]
pub struct Keyring {
    folder: PathBuf,
    keys: BTreeMap<String, NamedKey>,
}

/// A key that can sign.
#[derive(Debug)]
struct NamedKey {
    name: String,
    key: SigningKey,
}

/// The public half of a key, as people compare it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicKey {
    /// The name of its file, without `.pem`; empty where only the public half is known.
    pub name: String,
    /// Its id: SHA-256 of the key object in canonical JSON, in hex.
    pub id: String,
    /// The key itself, in hex.
    pub public: String,
}

impl Keyring {
    /// Opens the keys of a folder; a folder that is not there has none.
    ///
    /// # Errors
    /// [`PublishError::Io`], and [`PublishError::Key`] for a `.pem` file that is no key.
    pub fn open(folder: &Path) -> Result<Self, PublishError> {
        let mut keyring = Self {
            folder: folder.to_owned(),
            keys: BTreeMap::new(),
        };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(keyring),
            Err(source) => return Err(io(folder, source)),
        };
        for entry in entries {
            let path = entry.map_err(|source| io(folder, source))?.path();
            if path.extension().is_some_and(|extension| extension == "pem") {
                keyring.take(&path)?;
            }
        }
        Ok(keyring)
    }

    /// Makes a key and its file, mode 0600.
    ///
    /// # Errors
    /// [`PublishError::KeyExists`] where there is one of that name.
    pub fn make(&mut self, name: &str) -> Result<PublicKey, PublishError> {
        let mut secret_key = [0; 32];
        getrandom::fill(&mut secret_key)
            .map_err(|error| PublishError::Random(error.to_string()))?;
        let key = SigningKey::from_bytes(&secret_key);
        // Without the public half, so that every reader of PKCS#8 takes it (RFC 5958: v1).
        let pair = KeypairBytes {
            secret_key,
            public_key: None,
        };
        let path = self.path_of(name);
        let pem = pair.to_pkcs8_pem(LineEnding::LF).map_err(|error| {
            let reason = error.to_string();
            let path = path.clone();
            PublishError::Key { path, reason }
        })?;
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(&self.folder)
            .map_err(|source| io(&self.folder, source))?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let mut file = match file {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(PublishError::KeyExists { path });
            }
            Err(source) => return Err(io(&path, source)),
        };
        file.write_all(pem.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|source| io(&path, source))?;
        Ok(self.insert(name, key))
    }

    /// Refuses names of keys that are there already, before any is made.
    ///
    /// # Errors
    /// [`PublishError::KeyExists`].
    pub(super) fn check_free(&self, names: &[String]) -> Result<(), PublishError> {
        let mut paths = names.iter().map(|name| self.path_of(name));
        match paths.find(|path| path.exists()) {
            Some(path) => Err(PublishError::KeyExists { path }),
            None => Ok(()),
        }
    }

    /// The public halves, by name.
    #[must_use]
    pub fn public_keys(&self) -> Vec<PublicKey> {
        let mut keys: Vec<PublicKey> = self
            .keys
            .values()
            .map(|named| public_key(&named.name, &named.key))
            .collect();
        keys.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        keys
    }

    /// The name of the file of a key, when it is at hand.
    #[must_use]
    pub fn name_of(&self, id: &str) -> Option<&str> {
        self.keys.get(id).map(|named| named.name.as_str())
    }

    /// A signed file: signatures by every key at hand of those that may sign.
    ///
    /// # Errors
    /// [`PublishError::KeysMissing`] below the threshold.
    pub(super) fn sign(
        &self,
        role: &str,
        keyids: &[String],
        threshold: usize,
        signed: &Value,
    ) -> Result<Vec<u8>, PublishError> {
        self.check_at_hand(role, keyids, threshold)?;
        let octets = canonical::signed_octets(signed)
            .ok_or_else(|| PublishError::Canonical(role.to_owned()))?;
        let signatures: Vec<Value> = keyids
            .iter()
            .filter_map(|id| Some((id, self.keys.get(id)?)))
            .map(|(id, named)| {
                let signature = named.key.sign(&octets);
                json!({"keyid": id, "sig": hex(&signature.to_bytes())})
            })
            .collect();
        let file = json!({"signatures": signatures, "signed": signed});
        canonical::text(&file)
            .map(String::into_bytes)
            .ok_or_else(|| PublishError::Canonical(role.to_owned()))
    }

    /// Whether enough of these keys are at hand.
    ///
    /// # Errors
    /// [`PublishError::KeysMissing`].
    pub(super) fn check_at_hand(
        &self,
        role: &str,
        keyids: &[String],
        threshold: usize,
    ) -> Result<(), PublishError> {
        let (at_hand, missing): (Vec<&String>, Vec<&String>) =
            keyids.iter().partition(|id| self.keys.contains_key(*id));
        if at_hand.len() >= threshold {
            return Ok(());
        }
        let missing: Vec<&str> = missing.into_iter().map(String::as_str).collect();
        Err(PublishError::KeysMissing {
            role: role.to_owned(),
            threshold,
            have: at_hand.len(),
            missing: missing.join(", "),
        })
    }

    /// Takes the key in a file.
    fn take(&mut self, path: &Path) -> Result<(), PublishError> {
        let pem = fs::read_to_string(path).map_err(|source| io(path, source))?;
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(|error| PublishError::Key {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        self.insert(&name, key);
        Ok(())
    }

    /// The file of a key.
    fn path_of(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pem"))
    }

    /// Keeps a key.
    fn insert(&mut self, name: &str, key: SigningKey) -> PublicKey {
        let public = public_key(name, &key);
        let name = name.to_owned();
        self.keys.insert(public.id.clone(), NamedKey { name, key });
        public
    }
}

impl PublicKey {
    /// The key as metadata has it.
    pub(super) fn object(&self) -> Value {
        key_object(&self.public)
    }
}

/// The public half of a key.
fn public_key(name: &str, key: &SigningKey) -> PublicKey {
    let public = hex(key.verifying_key().as_bytes());
    let octets = canonical::signed_octets(&key_object(&public)).unwrap_or_default();
    PublicKey {
        name: name.to_owned(),
        id: hex(&Sha256::digest(&octets)),
        public,
    }
}

/// The key object of TUF.
fn key_object(public: &str) -> Value {
    json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}})
}

/// The error for a file.
fn io(path: &Path, source: std::io::Error) -> PublishError {
    PublishError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_files_of_their_owner_and_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        let mut keyring = Keyring::open(&keys).unwrap();
        let made = keyring.make("root").unwrap();
        let mode = fs::metadata(keys.join("root.pem")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        assert!(matches!(
            keyring.make("root"),
            Err(PublishError::KeyExists { .. })
        ));
        let opened = Keyring::open(&keys).unwrap();
        assert_eq!(opened.public_keys(), std::slice::from_ref(&made));
        assert_eq!(opened.name_of(&made.id), Some("root"));
    }

    #[test]
    fn what_is_no_key_is_said() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.pem"), "no key").unwrap();
        assert!(matches!(
            Keyring::open(folder.path()),
            Err(PublishError::Key { .. })
        ));
    }

    #[test]
    fn below_the_threshold_nothing_is_signed() {
        let folder = tempfile::tempdir().unwrap();
        let mut keyring = Keyring::open(folder.path()).unwrap();
        let ids = [keyring.make("one").unwrap().id, "absent".to_owned()];
        assert!(keyring.sign("role", &ids, 1, &json!({})).is_ok());
        let error = keyring.sign("role", &ids, 2, &json!({})).unwrap_err();
        assert!(error.to_string().contains("missing are absent"), "{error}");
    }
}
