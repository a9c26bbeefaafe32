//! The one signature verifier: ed25519-dalek's `verify_strict`, put under the TUF rules.

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256, Sha384, Sha512};
use sigstore_crypto::{
    CryptoProvider, Error, HashContext, Result, SigningScheme, install_default_provider,
    try_default_provider,
};
use sigstore_types::HashAlgorithm;

/// Puts [`Strict`] under the TUF library, once for the process.
///
/// # Errors
/// When other verification code was put there first; nothing may be trusted then.
pub(super) fn install() -> std::result::Result<(), &'static str> {
    // The second and later calls find the slot taken, by ourselves as the check shows.
    let _ = install_default_provider(&Strict);
    match try_default_provider() {
        Some(provider) if format!("{provider:?}") == NAME => Ok(()),
        _ => Err("the process already has another signature verifier"),
    }
}

/// Whether these are the octets of a usable public key: on the curve and not of small
/// order, under which anything would verify.
pub(super) fn is_sound_key(octets: &[u8]) -> bool {
    <[u8; 32]>::try_from(octets)
        .ok()
        .and_then(|octets| VerifyingKey::from_bytes(&octets).ok())
        .is_some_and(|key| !key.is_weak())
}

/// Verifies ed25519 strictly, and nothing else.
struct Strict;

/// What [`Strict`] calls itself, by which [`install`] knows it again.
const NAME: &str = "cordon: ed25519-dalek verify_strict";

impl std::fmt::Debug for Strict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(NAME)
    }
}

impl CryptoProvider for Strict {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>> {
        Ok(match algorithm {
            HashAlgorithm::Sha2256 => Box::new(Running(Sha256::new())),
            HashAlgorithm::Sha2384 => Box::new(Running(Sha384::new())),
            HashAlgorithm::Sha2512 => Box::new(Running(Sha512::new())),
            other => return Err(Error::UnsupportedAlgorithm(format!("{other:?}"))),
        })
    }

    fn verify_raw(
        &self,
        scheme: SigningScheme,
        public_key: &[u8],
        data: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        if scheme != SigningScheme::Ed25519 {
            return Err(unsupported(scheme));
        }
        let public_key: [u8; 32] = public_key
            .try_into()
            .map_err(|_| Error::InvalidKey("not 32 octets".to_owned()))?;
        let key = VerifyingKey::from_bytes(&public_key)
            .map_err(|error| Error::InvalidKey(error.to_string()))?;
        let signature = Signature::from_slice(signature)
            .map_err(|error| Error::Verification(error.to_string()))?;
        key.verify_strict(data, &signature)
            .map_err(|error| Error::Verification(error.to_string()))
    }

    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        _public_key: &[u8],
        _digest: &[u8],
        _signature: &[u8],
    ) -> Result<()> {
        Err(unsupported(scheme))
    }
}

/// A digest that is being computed.
struct Running<D>(D);

impl<D: Digest + Send> HashContext for Running<D> {
    fn update(&mut self, data: &[u8]) {
        Digest::update(&mut self.0, data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

/// The answer to every scheme but ed25519.
fn unsupported(scheme: SigningScheme) -> Error {
    Error::UnsupportedAlgorithm(format!("{} signatures are not accepted", scheme.name()))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    #[test]
    fn it_can_be_installed_again() {
        assert_eq!(install(), Ok(()));
        assert_eq!(install(), Ok(()));
    }

    #[test]
    fn only_the_right_signature_verifies() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        let mut signature = key.sign(b"message").to_bytes();
        let check = |data: &[u8], signature: &[u8]| {
            Strict
                .verify_raw(SigningScheme::Ed25519, &public, data, signature)
                .is_ok()
        };
        assert!(check(b"message", &signature));
        assert!(!check(b"massage", &signature));
        assert!(!check(b"message", &signature[..63]));
        signature[63] ^= 0x40;
        assert!(!check(b"message", &signature));
    }

    #[test]
    fn other_schemes_and_weak_keys_are_refused() {
        let none = [0; 64];
        for scheme in [SigningScheme::EcdsaP256Sha256, SigningScheme::RsaPssSha256] {
            assert!(Strict.verify_raw(scheme, &[0; 32], b"", &none).is_err());
            assert!(
                Strict
                    .verify_prehashed(scheme, &[0; 32], b"", &none)
                    .is_err()
            );
        }
        // The identity point: with it, R = identity and s = 0 pass the loose check for any text.
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut loose = [0; 64];
        loose[0] = 1;
        assert!(!is_sound_key(&identity));
        assert!(
            Strict
                .verify_raw(SigningScheme::Ed25519, &identity, b"anything", &loose)
                .is_err()
        );
        assert!(!is_sound_key(&[1, 2, 3]));
        assert!(is_sound_key(
            SigningKey::from_bytes(&[7; 32]).verifying_key().as_bytes()
        ));
    }
}
