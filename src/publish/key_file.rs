//! [`KeyFile`]: a private key as it stands in its file, plain or encrypted.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use pkcs8::der::Decode;
use pkcs8::der::zeroize::Zeroizing;
use pkcs8::pkcs5::pbes2::Parameters;
use pkcs8::pkcs5::scrypt;
use pkcs8::{
    EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument,
    SubjectPublicKeyInfoRef,
};

use super::PublishError;

/// A private key as it stands in its file: PKCS#8 in PEM (RFC 5958), plain or encrypted
/// with a passphrase: PBES2 (RFC 8018) with scrypt (RFC 7914) and AES-256-CBC.
#[derive(Debug)]
pub(super) enum KeyFile {
    /// It can sign at once.
    Plain(SigningKey),
    /// It needs its passphrase: the PEM text.
    Encrypted(String),
}

impl KeyFile {
    /// Reads a key file.
    ///
    /// # Errors
    /// [`PublishError::Io`], and [`PublishError::Key`] for a file that is no key of ours.
    pub(super) fn read(path: &Path) -> Result<Self, PublishError> {
        let text = read_text(path)?;
        if label(&text) == Some(ENCRYPTED) {
            return Ok(Self::Encrypted(text.to_string()));
        }
        match SigningKey::from_pkcs8_pem(&text) {
            Ok(key) => Ok(Self::Plain(key)),
            Err(_) => Err(PublishError::Key {
                path: path.to_owned(),
                reason: format!(
                    "{}; the keys folder holds ed25519 keys in PKCS#8 PEM, as \
                     `cordon repo key --new NAME` makes them: move this file out of it",
                    what_it_is(&text, PLAIN)
                ),
            }),
        }
    }

    /// Makes the file of a new key, mode 0600, encrypted where there is a passphrase.
    ///
    /// # Errors
    /// [`PublishError::KeyExists`] where there is one already.
    pub(super) fn make(
        path: &Path,
        secret_key: &[u8; 32],
        passphrase: Option<&str>,
    ) -> Result<(), PublishError> {
        // Without the public half, so that every reader of PKCS#8 takes it (RFC 5958: v1).
        let pair = KeypairBytes {
            secret_key: *secret_key,
            public_key: None,
        };
        let failed = |reason: String| PublishError::Key {
            path: path.to_owned(),
            reason: format!("cannot be made: {reason}"),
        };
        let pem = match passphrase {
            None => pair.to_pkcs8_pem(LineEnding::LF),
            Some(passphrase) => {
                let (mut salt, mut iv) = ([0; 16], [0; 16]);
                fill(&mut salt)?;
                fill(&mut iv)?;
                encrypt(&pair, passphrase, &salt, iv)
                    .and_then(|document| Ok(document.to_pem(ENCRYPTED, LineEnding::LF)?))
            }
        };
        let pem = pem.map_err(|error| failed(error.to_string()))?;
        write_new(path, pem.as_bytes(), 0o600)
    }
}

/// Opens an encrypted key.
///
/// # Errors
/// [`PublishError::Key`]: the passphrase is wrong, or what is within is no key of ours.
pub(super) fn decrypt(
    path: &Path,
    pem: &str,
    passphrase: &str,
) -> Result<SigningKey, PublishError> {
    let refused = |reason: &str| PublishError::Key {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let (_, document) = SecretDocument::from_pem(pem)
        .map_err(|_| refused("is damaged: it is no PEM text; restore it from a copy"))?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|_| refused("is damaged: it is no encrypted PKCS#8; restore it from a copy"))?;
    if let Some(params) = encrypted
        .encryption_algorithm
        .pbes2()
        .and_then(|parameters| parameters.kdf.scrypt())
        && !is_affordable(
            params.cost_parameter,
            params.block_size,
            params.parallelization,
        )
    {
        return Err(refused(
            "asks for more memory than any key of ours; encrypt it again with \
             `openssl pkcs8 -topk8 -scrypt`",
        ));
    }
    let decrypted = encrypted
        .decrypt(passphrase)
        .map_err(|_| refused("does not open with this passphrase"))?;
    SigningKey::from_pkcs8_der(decrypted.as_bytes()).map_err(|_| {
        refused("opens, but is no ed25519 key; make one with `cordon repo key --new NAME`")
    })
}

/// Octets that nobody can guess.
///
/// # Errors
/// [`PublishError::Random`].
pub(super) fn fill(octets: &mut [u8]) -> Result<(), PublishError> {
    getrandom::fill(octets).map_err(|error| PublishError::Random(error.to_string()))
}

/// Writes a file that was not there before.
///
/// # Errors
/// [`PublishError::KeyExists`] where it was, and [`PublishError::Io`].
pub(super) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), PublishError> {
    let io = |source| PublishError::Io {
        path: path.to_owned(),
        source,
    };
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let mut file = match file {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let path = path.to_owned();
            return Err(PublishError::KeyExists { path });
        }
        Err(source) => return Err(io(source)),
    };
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|source| {
        // Half a file would be in the way of the next attempt, and of every other key.
        let _ = std::fs::remove_file(path);
        io(source)
    })
}

/// The text of a key file; what is no text reads as one that holds no key.
///
/// # Errors
/// [`PublishError::Io`].
pub(super) fn read_text(path: &Path) -> Result<Zeroizing<String>, PublishError> {
    let mut octets = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| file.take(KEY_FILE_OCTETS_MAX).read_to_end(&mut octets))
        .map_err(|source| PublishError::Io {
            path: path.to_owned(),
            source,
        })?;
    Ok(Zeroizing::new(
        String::from_utf8_lossy(&octets).into_owned(),
    ))
}

/// What a file is that should have been a PEM with the label `wanted`.
pub(super) fn what_it_is(text: &str, wanted: &str) -> String {
    match label(text) {
        None if text.trim().is_empty() => "is empty".to_owned(),
        None if text.starts_with("ssh-") => "is a public key of OpenSSH".to_owned(),
        None => "is no PEM file and holds no key".to_owned(),
        Some(PLAIN) if wanted == PLAIN => match algorithm(text) {
            Some(algorithm) => format!("is a key of another kind ({algorithm})"),
            None => "is a damaged key".to_owned(),
        },
        Some(PUBLIC) if wanted == PUBLIC => match algorithm(text) {
            Some(algorithm) => format!("is a public key of another kind ({algorithm})"),
            None => "is a damaged public key".to_owned(),
        },
        Some(PUBLIC) => "is a public key, which cannot sign".to_owned(),
        Some(PLAIN | ENCRYPTED) => "is a private key, which nobody else may have".to_owned(),
        Some(other) => format!("is a PEM file of another kind ({})", other.escape_debug()),
    }
}

/// The label of the first PEM block in a text (RFC 7468).
fn label(text: &str) -> Option<&str> {
    let (_, begin) = text.split_once("-----BEGIN ")?;
    let (label, _) = begin.split_once("-----")?;
    Some(label)
}

/// The name of the algorithm of a key, where it can be told.
fn algorithm(text: &str) -> Option<String> {
    let (_, document) = SecretDocument::from_pem(text).ok()?;
    let private = PrivateKeyInfoRef::from_der(document.as_bytes());
    let public = SubjectPublicKeyInfoRef::from_der(document.as_bytes());
    let oid = private
        .map(|key| key.algorithm.oid)
        .or_else(|_| public.map(|key| key.algorithm.oid))
        .ok()?
        .to_string();
    let known = ALGORITHMS.iter().find(|(known, _)| *known == oid);
    Some(known.map_or(oid.clone(), |(_, name)| (*name).to_owned()))
}

/// Encrypts a key.
fn encrypt(
    pair: &KeypairBytes,
    passphrase: &str,
    salt: &[u8],
    iv: [u8; 16],
) -> pkcs8::Result<SecretDocument> {
    let params = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P)
        .map_err(|_| pkcs8::Error::ParametersMalformed)?;
    let parameters = Parameters::generate_scrypt_aes256cbc(params, salt, iv)?;
    let plain = pair.to_pkcs8_der()?;
    PrivateKeyInfoRef::try_from(plain.as_bytes())?.encrypt_with_params(parameters, passphrase)
}

/// Whether opening a key stays within what ours cost, four times over.
fn is_affordable(n: u64, r: u16, p: u16) -> bool {
    let cost = n.saturating_mul(u64::from(r)).saturating_mul(u64::from(p));
    let ours = (1 << SCRYPT_LOG_N) * u64::from(SCRYPT_R) * u64::from(SCRYPT_P);
    cost <= ours.saturating_mul(4)
}

/// The label of a plain private key.
const PLAIN: &str = "PRIVATE KEY";
/// The label of an encrypted private key.
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
/// The label of a public key.
const PUBLIC: &str = "PUBLIC KEY";
/// scrypt's N is 2 to this. With r = 8 that is 16 MiB, the most that OpenSSL opens by
/// itself (its limit is 32 MiB); p = 5 makes up for it, as OWASP's password storage cheat
/// sheet weighs them.
const SCRYPT_LOG_N: u8 = 14;
/// scrypt's r.
const SCRYPT_R: u32 = 8;
/// scrypt's p.
const SCRYPT_P: u32 = 5;
/// The most octets that are read of a key file.
const KEY_FILE_OCTETS_MAX: u64 = 64 * 1024;
/// Algorithms that are met in key files.
const ALGORITHMS: [(&str, &str); 5] = [
    ("1.2.840.113549.1.1.1", "RSA"),
    ("1.2.840.10045.2.1", "elliptic curve, ECDSA"),
    ("1.3.101.110", "X25519"),
    ("1.3.101.113", "Ed448"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
];

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn openssl(arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl")
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("openssl cannot be run: {error}"));
        assert!(output.status.success(), "openssl {arguments:?}: {output:?}");
        output.stdout
    }

    #[test]
    fn openssl_opens_our_encrypted_keys_and_we_open_those_of_openssl() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (ours, plain, theirs) = (path("ours.pem"), path("plain.pem"), path("theirs.pem"));
        KeyFile::make(Path::new(&ours), &[7; 32], Some("correct horse")).unwrap();
        let opened = openssl(&["pkey", "-in", &ours, "-passin", "pass:correct horse"]);
        let opened = SigningKey::from_pkcs8_pem(std::str::from_utf8(&opened).unwrap()).unwrap();
        assert_eq!(opened.to_bytes(), [7; 32]);
        KeyFile::make(Path::new(&plain), &[8; 32], None).unwrap();
        for scheme in [&["-scrypt"][..], &["-v2", "aes-256-cbc"]] {
            let mut arguments = vec!["pkcs8", "-topk8", "-in", &plain, "-out", &theirs];
            arguments.extend(["-passout", "pass:battery staple"]);
            arguments.extend(scheme);
            openssl(&arguments);
            let KeyFile::Encrypted(text) = KeyFile::read(Path::new(&theirs)).unwrap() else {
                panic!("{scheme:?}: is not encrypted");
            };
            let key = decrypt(Path::new(&theirs), &text, "battery staple").unwrap();
            assert_eq!(key.to_bytes(), [8; 32]);
        }
    }

    /// `make` are the arguments of openssl that write the file.
    fn check(make: &[&str], complaint: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let mut arguments = make.to_vec();
        arguments.extend(["-out", path.to_str().unwrap()]);
        openssl(&arguments);
        let error = KeyFile::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("key.pem") && error.contains(complaint) && error.contains("move"),
            "{error}"
        );
    }

    #[test]
    fn keys_of_another_kind_are_named() {
        check(&["genpkey", "-algorithm", "RSA"], "(RSA)");
        check(
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ],
            "(elliptic curve, ECDSA)",
        );
        check(&["genpkey", "-algorithm", "X25519"], "(X25519)");
        check(&["genrsa", "-traditional"], "(RSA PRIVATE KEY)");
    }

    #[test]
    fn what_is_no_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let public = SigningKey::from_bytes(&[7; 32]).verifying_key();
        let public = super::super::public_key::pem(&public).unwrap();
        for (text, complaint) in [
            ("", "is empty"),
            ("a note", "holds no key"),
            (&public, "is a public key, which cannot sign"),
            (
                "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
                "(CERTIFICATE)",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
                "damaged",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = KeyFile::read(&path).unwrap_err().to_string();
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn a_file_that_costs_too_much_to_open_is_refused_unopened() {
        let params = scrypt::Params::new(20, 8, 1).unwrap();
        let parameters = Parameters::generate_scrypt_aes256cbc(params, &[0; 16], [0; 16]).unwrap();
        assert!(!is_affordable(1 << 20, 8, 1));
        let scrypt = parameters.kdf.scrypt().unwrap();
        assert!(!is_affordable(
            scrypt.cost_parameter,
            scrypt.block_size,
            scrypt.parallelization
        ));
        assert!(is_affordable(1 << SCRYPT_LOG_N, 8, 5));
    }
}
