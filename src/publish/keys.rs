//! [`Keyring`]: the keys at hand, each in a file of its own.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ed25519_dalek::SigningKey;
use pkcs8::der::zeroize::Zeroizing;

use super::key_file::{self, KeyFile};
use super::named_key::NamedKey;
use super::public_key::pem;
use super::{Passphrases, PublicKey, PublishError};

/// The keys in one folder: `NAME.pem`, PKCS#8, readable by their owner alone, with the
/// public half beside it as `NAME.pub`. The names are for people; roles know keys by id. An
/// encrypted key is known by its public half, and opened only when it is to sign.
#[derive(Debug, Default)]
pub struct Keyring {
    folder: PathBuf,
    /// The keys that can sign, by id.
    pub(super) keys: BTreeMap<String, NamedKey>,
    /// The names of other keepers' keys whose public halves are in the folder, by id.
    others: BTreeMap<String, String>,
    /// The files that should be keys and cannot be used, by name, each with the reason.
    pub(super) passed_over: BTreeMap<String, String>,
    pub(super) passphrases: Passphrases,
}

impl Keyring {
    /// Opens the keys of a folder; a folder that is not there has none. Encrypted keys stay
    /// closed. A file that cannot be used is passed over ([`Keyring::warnings`]).
    ///
    /// # Errors
    /// [`PublishError::Io`] for a folder that cannot be read.
    pub fn open(folder: &Path) -> Result<Self, PublishError> {
        Self::open_with(folder, Passphrases::Absent)
    }

    /// The same, with the passphrases of encrypted keys.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub fn open_with(folder: &Path, passphrases: Passphrases) -> Result<Self, PublishError> {
        let mut keyring = Self {
            folder: folder.to_owned(),
            passphrases,
            ..Self::default()
        };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(keyring),
            Err(source) => return Err(io(folder, source)),
        };
        for entry in entries {
            let path = entry.map_err(|source| io(folder, source))?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("pem") => {
                    if let Err(error) = keyring.take(&path) {
                        let name = path.file_stem().unwrap_or_default().to_string_lossy();
                        keyring
                            .passed_over
                            .insert(name.into_owned(), error.to_string());
                    }
                }
                // What is no public half of ours is somebody else's business.
                Some("pub") => {
                    if let Ok(public) = PublicKey::read(&path) {
                        keyring.others.insert(public.id, public.name);
                    }
                }
                _ => {}
            }
        }
        Ok(keyring)
    }

    /// The same, where the folder has to be there.
    ///
    /// # Errors
    /// [`PublishError::NoKeys`] where it is not; as [`Keyring::open`].
    pub fn open_existing(folder: &Path, passphrases: Passphrases) -> Result<Self, PublishError> {
        if !folder.is_dir() {
            let path = folder.to_owned();
            return Err(PublishError::NoKeys { path });
        }
        Self::open_with(folder, passphrases)
    }

    /// Writes the public halves that are missing beside the keys of a folder: of encrypted
    /// ones, too, which are opened for it.
    ///
    /// # Errors
    /// As [`Keyring::open`], and [`PublishError::Key`] where a passphrase is wrong.
    pub fn write_public_halves(
        folder: &Path,
        passphrases: &Passphrases,
    ) -> Result<Vec<PathBuf>, PublishError> {
        let mut written = Vec::new();
        for entry in fs::read_dir(folder).map_err(|source| io(folder, source))? {
            let path = entry.map_err(|source| io(folder, source))?.path();
            let beside = path.with_extension("pub");
            let is_key = path.extension().is_some_and(|extension| extension == "pem");
            if !is_key || beside.exists() {
                continue;
            }
            let key = match KeyFile::read(&path) {
                Ok(KeyFile::Plain(key)) => key,
                Ok(KeyFile::Encrypted(text)) => {
                    key_file::decrypt(&path, &text, &passphrases.of(&path)?)?
                }
                // Whoever opens the folder passes it over, and says so.
                Err(_) => continue,
            };
            write_public(&beside, &key)?;
            written.push(beside);
        }
        Ok(written)
    }

    /// Makes a key and its files: mode 0600, in PKCS#8, and its public half.
    ///
    /// # Errors
    /// [`PublishError::KeyExists`] where there is one of that name.
    pub fn make(&mut self, name: &str) -> Result<PublicKey, PublishError> {
        self.make_file(name, None)
    }

    /// Makes a key whose file opens with a passphrase only.
    ///
    /// # Errors
    /// [`PublishError::KeyExists`], and [`PublishError::Key`] for a passphrase that is too
    /// short to be one.
    pub fn make_encrypted(
        &mut self,
        name: &str,
        passphrase: &str,
    ) -> Result<PublicKey, PublishError> {
        if passphrase.chars().count() < PASSPHRASE_CHARS_MIN {
            return Err(PublishError::Key {
                path: self.path_of(name),
                reason: format!(
                    "is not made: a passphrase has at least {PASSPHRASE_CHARS_MIN} characters"
                ),
            });
        }
        self.make_file(name, Some(passphrase))
    }

    /// Refuses names that no key can have, and those of keys that are there already, before
    /// any is made.
    ///
    /// # Errors
    /// [`PublishError::KeyName`], [`PublishError::KeyExists`].
    pub fn check_free(&self, names: &[String]) -> Result<(), PublishError> {
        let is_bad = |name: &&String| {
            name.is_empty()
                || name.starts_with('.')
                || name.contains(|it: char| it == '/' || it.is_control())
        };
        if let Some(name) = names.iter().find(is_bad) {
            return Err(PublishError::KeyName(name.clone()));
        }
        let paths = names.iter().map(|name| self.path_of(name));
        let mut paths = paths.flat_map(|path| [path.with_extension("pub"), path]);
        match paths.find(|path| path.exists()) {
            Some(path) => Err(PublishError::KeyExists { path }),
            None => Ok(()),
        }
    }

    /// The public halves, by name.
    #[must_use]
    pub fn public_keys(&self) -> Vec<PublicKey> {
        let keys = self.keys.values();
        let mut keys: Vec<PublicKey> = keys.map(|named| named.public.clone()).collect();
        keys.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        keys
    }

    /// The files that were passed over, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let errors = self.passed_over.values();
        errors
            .map(|error| format!("{error}; until then it is passed over"))
            .collect()
    }

    /// The folder of the keys.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The name of the file of a key, when it is at hand.
    #[must_use]
    pub fn name_of(&self, id: &str) -> Option<&str> {
        self.keys.get(id).map(|named| named.public.name.as_str())
    }

    /// Whether the file of a key is encrypted.
    #[must_use]
    pub fn is_encrypted(&self, id: &str) -> bool {
        let named = self.keys.get(id);
        named.is_some_and(|named| named.encrypted.is_some())
    }

    /// How people know a key: by the name of a file in the folder, where there is one, and
    /// by the beginning of its id.
    #[must_use]
    pub fn label(&self, id: &str) -> String {
        let beginning = id.get(..ID_CHARS_SHOWN).unwrap_or(id);
        match self.known_name(id) {
            Some(name) => format!("{name} ({beginning})"),
            None => beginning.to_owned(),
        }
    }

    /// The same with its whole id, where it decides who may sign.
    pub(super) fn whole_label(&self, id: &str) -> String {
        match self.known_name(id) {
            Some(name) => format!("{id} {name}"),
            None => id.to_owned(),
        }
    }

    /// Keeps other keepers' public halves in the folder, so that their names are known.
    ///
    /// # Errors
    /// [`PublishError::Io`].
    pub(super) fn remember(&mut self, keys: &[PublicKey]) -> Result<(), PublishError> {
        for key in keys {
            let path = self.folder.join(format!("{}.pub", key.name));
            if self.known_name(&key.id).is_some()
                || key.name.is_empty()
                || path.exists()
                || path.with_extension("pem").exists()
            {
                continue;
            }
            if let Some(text) = key.pem() {
                self.make_folder()?;
                key_file::write_new(&path, text.as_bytes(), 0o644)?;
                self.others.insert(key.id.clone(), key.name.clone());
            }
        }
        Ok(())
    }

    /// The name of a key whose public half is in the folder.
    pub(super) fn known_name(&self, id: &str) -> Option<&str> {
        let other = self.others.get(id).map(String::as_str);
        self.name_of(id).or(other)
    }

    /// Takes the key in a file.
    fn take(&mut self, path: &Path) -> Result<(), PublishError> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        match KeyFile::read(path)? {
            KeyFile::Plain(key) => _ = self.insert(&name, key),
            KeyFile::Encrypted(text) => {
                let beside = path.with_extension("pub");
                if !beside.exists() {
                    return Err(PublishError::Key {
                        path: path.to_owned(),
                        reason: format!(
                            "is encrypted, and {name}.pub is not beside it, so that nobody knows \
                             which key it is; `cordon repo key --keys {}` opens it and writes that",
                            self.folder.display()
                        ),
                    });
                }
                let public = PublicKey::read(&beside)?;
                let id = public.id.clone();
                let named = NamedKey {
                    public,
                    encrypted: Some(text),
                    key: OnceLock::new(),
                };
                self.keys.insert(id, named);
            }
        }
        Ok(())
    }

    /// Makes a key and its files.
    fn make_file(
        &mut self,
        name: &str,
        passphrase: Option<&str>,
    ) -> Result<PublicKey, PublishError> {
        self.check_free(&[name.to_owned()])?;
        let mut secret_key = Zeroizing::new([0; 32]);
        key_file::fill(&mut *secret_key)?;
        let key = SigningKey::from_bytes(&secret_key);
        let path = self.path_of(name);
        self.make_folder()?;
        KeyFile::make(&path, &secret_key, passphrase)?;
        write_public(&path.with_extension("pub"), &key)?;
        Ok(self.insert(name, key))
    }

    /// Makes the folder, which its owner alone reads, where it is not there.
    fn make_folder(&self) -> Result<(), PublishError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(&self.folder)
            .map_err(|source| io(&self.folder, source))
    }

    /// The file of a key.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pem"))
    }

    /// Keeps an open key.
    fn insert(&mut self, name: &str, key: SigningKey) -> PublicKey {
        let public = PublicKey::new(name, &key.verifying_key());
        let named = NamedKey {
            public: public.clone(),
            encrypted: None,
            key: key.into(),
        };
        self.keys.insert(public.id.clone(), named);
        public
    }
}

/// Writes the public half of a key.
fn write_public(path: &Path, key: &SigningKey) -> Result<(), PublishError> {
    let text = pem(&key.verifying_key()).unwrap_or_default();
    key_file::write_new(path, text.as_bytes(), 0o644)
}

/// The error for a file.
fn io(path: &Path, source: std::io::Error) -> PublishError {
    PublishError::Io {
        path: path.to_owned(),
        source,
    }
}

/// The least characters of a passphrase.
const PASSPHRASE_CHARS_MIN: usize = 8;
/// How much of an id is shown beside a name.
const ID_CHARS_SHOWN: usize = 16;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

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
    fn what_is_no_key_is_said_and_stops_only_who_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut keyring = Keyring::open(folder.path()).unwrap();
        let ids = ["one", "two"].map(|name| keyring.make(name).unwrap().id);
        fs::write(folder.path().join("x.pem"), "no key").unwrap();
        fs::write(folder.path().join("two.pem"), "").unwrap();
        let keyring = Keyring::open(folder.path()).unwrap();
        let warnings = keyring.warnings().join("\n");
        assert!(warnings.contains("x.pem: is no PEM file"), "{warnings}");
        assert!(warnings.contains("two.pem: is empty"), "{warnings}");
        assert!(keyring.check_at_hand("role", &ids, 1).is_ok());
        let error = keyring.check_at_hand("role", &ids, 2).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("missing are two ("), "{error}");
        assert!(error.contains("two.pem: is empty"), "{error}");
        assert!(!error.contains("x.pem"), "{error}");
    }

    #[test]
    fn below_the_threshold_the_missing_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut keyring = Keyring::open(folder.path()).unwrap();
        let ids = [keyring.make("one").unwrap().id, "absent".to_owned()];
        assert!(keyring.check_at_hand("role", &ids, 1).is_ok());
        let error = keyring.check_at_hand("role", &ids, 2).unwrap_err();
        assert!(error.to_string().contains("missing are absent"), "{error}");
        assert!(error.to_string().contains("--stage"), "{error}");
        let error = keyring.check_at_hand("timestamp", &ids, 2).unwrap_err();
        assert!(!error.to_string().contains("--stage"), "{error}");
    }

    #[test]
    fn an_encrypted_key_is_known_while_closed_and_signs_with_its_passphrase() {
        let folder = tempfile::tempdir().unwrap();
        let mut keyring = Keyring::open(folder.path()).unwrap();
        assert!(keyring.make_encrypted("anna", "short").is_err());
        let made = keyring.make_encrypted("anna", "correct horse").unwrap();
        let ids = [made.id.clone()];
        let sign = |passphrases| {
            let keyring = Keyring::open_with(folder.path(), passphrases).unwrap();
            assert_eq!(keyring.public_keys(), std::slice::from_ref(&made));
            assert!(keyring.is_encrypted(&made.id));
            keyring.sign("role", &ids, 1, &json!({"a": 1}))
        };
        let signed = sign(Passphrases::given("correct horse")).unwrap();
        assert_eq!(signed.len(), 1);
        let plain = keyring.sign("role", &ids, 1, &json!({"a": 1})).unwrap();
        assert_eq!(signed, plain);
        for (passphrases, complaint) in [
            (Passphrases::given("wrong horse"), "does not open"),
            (Passphrases::Absent, "--passphrase-file"),
        ] {
            let error = sign(passphrases).unwrap_err().to_string();
            assert!(
                error.contains("anna.pem") && error.contains(complaint),
                "{error}"
            );
        }
    }

    #[test]
    fn an_encrypted_key_without_its_public_half_says_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut keyring = Keyring::open(folder.path()).unwrap();
        let made = keyring.make_encrypted("anna", "correct horse").unwrap();
        let beside = folder.path().join("anna.pub");
        fs::remove_file(&beside).unwrap();
        let error = Keyring::open(folder.path()).unwrap().warnings().join("\n");
        assert!(error.contains("anna.pub is not beside it"), "{error}");
        let written =
            Keyring::write_public_halves(folder.path(), &Passphrases::given("correct horse"));
        assert_eq!(written.unwrap(), std::slice::from_ref(&beside));
        let opened = Keyring::open(folder.path()).unwrap();
        assert_eq!(opened.public_keys(), std::slice::from_ref(&made));
        // Somebody else's public half beside it does not make it another key.
        fs::remove_file(&beside).unwrap();
        let other = tempfile::tempdir().unwrap();
        let mut others = Keyring::open(other.path()).unwrap();
        let foreign = others.make("anna").unwrap();
        fs::copy(other.path().join("anna.pub"), &beside).unwrap();
        let opened =
            Keyring::open_with(folder.path(), Passphrases::given("correct horse")).unwrap();
        let error = opened
            .sign("role", &[foreign.id], 1, &json!({}))
            .unwrap_err();
        assert!(
            error.to_string().contains("not the private half"),
            "{error}"
        );
    }

    #[test]
    fn an_encrypted_key_is_asked_for_only_when_it_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let mut keyring = Keyring::open(folder.path()).unwrap();
        let ids = [
            keyring.make_encrypted("anna", "correct horse").unwrap().id,
            keyring.make("bert").unwrap().id,
        ];
        let keyring = Keyring::open(folder.path()).unwrap();
        let signed = keyring.sign("role", &ids, 1, &json!({})).unwrap();
        assert_eq!(signed[0].keyid, ids[1]);
        assert!(keyring.sign("role", &ids, 2, &json!({})).is_err());
    }
}
