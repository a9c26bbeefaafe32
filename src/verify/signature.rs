//! The one signature verifier: ed25519-dalek's `verify_strict`, put under the TUF rules; with
//! the build feature `all-key-types` also ECDSA P-256 and RSA-PSS.

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

/// Verifies ed25519 strictly; anything else only as `verify_other` has it.
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
            return verify_other(scheme, public_key, data, signature);
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

/// Verifies ECDSA P-256 and RSA-PSS, for `cordon tuf` alone: the lint at the border has no
/// such key (trust.md section 7.4).
#[cfg(feature = "all-key-types")]
fn verify_other(
    scheme: SigningScheme,
    public_key: &[u8],
    data: &[u8],
    signature: &[u8],
) -> Result<()> {
    match scheme {
        SigningScheme::EcdsaP256Sha256
        | SigningScheme::RsaPssSha256
        | SigningScheme::RsaPssSha384
        | SigningScheme::RsaPssSha512 => {
            sigstore_crypto::aws_lc_provider().verify_raw(scheme, public_key, data, signature)
        }
        _ => Err(unsupported(scheme)),
    }
}

/// Nothing but ed25519 is verified.
#[cfg(not(feature = "all-key-types"))]
fn verify_other(
    scheme: SigningScheme,
    _public_key: &[u8],
    _data: &[u8],
    _signature: &[u8],
) -> Result<()> {
    Err(unsupported(scheme))
}

/// The answer to a scheme that is not verified.
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

    #[test]
    fn other_keys_verify_with_the_feature_alone() {
        install().unwrap();
        let all = cfg!(feature = "all-key-types");
        for (scheme, public, signature) in [
            ("ecdsa-sha2-nistp256", ECDSA_KEY, ECDSA_SIGNATURE),
            ("rsassa-pss-sha256", RSA_KEY, RSA_SIGNATURE),
        ] {
            let key = serde_json::json!({
                "keytype": scheme, "scheme": scheme, "keyval": {"public": public},
            });
            let key: sigstore_tuf::Key = serde_json::from_value(key).unwrap();
            let octets = signature
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
            let signature = sigstore_types::SignatureBytes::new(octets.collect());
            assert_eq!(key.verify(b"message", &signature).is_ok(), all, "{scheme}");
            assert!(key.verify(b"massage", &signature).is_err(), "{scheme}");
        }
    }

    const ECDSA_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
         MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAErNUsDxuEH5w+ZKdE0JancXH7fbLb\n\
         387ru55djZpDxp8OosNUyltZxfy0/WL5MOBp+YcgtFAt5MIMI+zZu6nxyQ==\n\
         -----END PUBLIC KEY-----\n";
    const ECDSA_SIGNATURE: &str = "304402206159997179e8292e5e9b1f725fa831fb5572c9f81bae16e0cec67e45ba6cfada02206167a6306e02a977cf5f\
         1dbbe3afe70c77f753ee6474023273e7edff023391a4";
    const RSA_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
         MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAomnvjdfeHa/dmQ1DA0VW\n\
         PshHxfZFcF1yqBfohXlQzqH9OqrLhmMFdCwSYAQgKX5kd3GJfeRQblA0XoQ6iRQt\n\
         cjkUQZ/7zyBVFLm5DBNhalX+m5idNzpHSK3qTFXa8Zl4NJdE1D/kHVTTP/9CzL8t\n\
         ecGl2R1bSpVe5/IhiwzHgjzPU2xSu12e2JScFjsFGaIxnVtOA3FDBy+HZtsJQl2C\n\
         KQ+9sSxeWgO1CvxqXpmjYWnoV6ZR438owo/haFFYpuiTGSwjcS1xuM7VZaPqOE9V\n\
         7CvyGINDH9/FT3HhTItI5lZhUM0rbtibPNc19xCePi8lOhS8OIkwnNP8+gvmE42/\n\
         QQIDAQAB\n\
         -----END PUBLIC KEY-----\n";
    const RSA_SIGNATURE: &str = "880437483cf3cbffd4a53756737a29d49303a47d0195ca018671ff17b5e136fc126783272abfc9298249e787294efcc3\
         df8e53aec8c082aba1f0b98ff4a11c4d401a7b8305a4dbca854d4cf9a7ee5e00b593594c94e0ac3abc1af0b78dcf6d4c\
         ec725c6df2fc517ad025f54ee352901d969d78b17bcfc896946ad559c35fb3c95bb5f0517fe0e8e38e976575afd0ab2d\
         d5380fbca98d2554b58a51cfa3e89a776c5458772503b26263e9b9245dd3448e5dfa18c1ddaef29c75f8e76a4ddbfd7b\
         697217805be325972552011989d4ee2e7b58bad095ea6ea401aafa76dd501a97c4b71126dff0dafb39a7937943525457\
         6773712fffef5d1d832b70bc3d4bf92c";
}
