//! [`Signature`]: one key's signature, and the signed files that are made of them.

use ed25519_dalek::{Signature as Ed25519, Signer, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Keyring, PublishError, canonical};
use crate::verify::{hex, octets_of_hex};

/// One key's signature of a role, as TUF writes it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signature {
    /// The id of the key.
    pub(super) keyid: String,
    /// The signature, in lower-case hex.
    pub(super) sig: String,
}

impl Signature {
    /// Whether it is that key's signature of `signed`; `key` is the key object of TUF.
    pub(super) fn verifies(&self, key: &Value, signed: &Value) -> bool {
        self.verify(key, signed).is_some()
    }

    fn verify(&self, key: &Value, signed: &Value) -> Option<()> {
        let public = key.pointer("/keyval/public")?.as_str()?;
        let public: [u8; 32] = octets_of_hex(public)?.try_into().ok()?;
        let signature = Ed25519::from_slice(&octets_of_hex(&self.sig)?).ok()?;
        VerifyingKey::from_bytes(&public)
            .ok()?
            .verify_strict(&canonical::signed_octets(signed)?, &signature)
            .ok()
    }
}

impl Keyring {
    /// Signatures by the keys at hand of those that may sign: by every plain one, and by
    /// encrypted ones as long as there are fewer than `enough`.
    ///
    /// # Errors
    /// [`PublishError::Key`] for a key that does not open.
    pub(super) fn sign(
        &self,
        role: &str,
        keyids: &[String],
        enough: usize,
        signed: &Value,
    ) -> Result<Vec<Signature>, PublishError> {
        let octets = canonical::signed_octets(signed)
            .ok_or_else(|| PublishError::Canonical(role.to_owned()))?;
        let mut signatures = Vec::new();
        let at_hand = keyids
            .iter()
            .filter_map(|id| Some((id, self.keys.get(id)?)));
        let (encrypted, plain): (Vec<_>, Vec<_>) =
            at_hand.partition(|(_, named)| named.encrypted.is_some());
        for (id, named) in plain.into_iter().chain(encrypted) {
            if named.encrypted.is_some() && signatures.len() >= enough {
                break;
            }
            let path = self.path_of(&named.public.name);
            let signature = named.unlocked(&path, &self.passphrases)?.sign(&octets);
            signatures.push(Signature {
                keyid: id.clone(),
                sig: hex(&signature.to_bytes()),
            });
        }
        Ok(signatures)
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
        let label = |id: &String| {
            let error = self.known_name(id).and_then(|it| self.passed_over.get(it));
            let error = error.map(|error| format!(", which is passed over: {error}"));
            self.label(id) + &error.unwrap_or_default()
        };
        let missing: Vec<String> = missing.into_iter().map(label).collect();
        Err(PublishError::KeysMissing {
            role: role.to_owned(),
            threshold,
            have: at_hand.len(),
            missing: missing.join(", "),
            way_out: match role {
                // These sign what changes every few minutes, so that nothing waits for them.
                "snapshot" | "timestamp" => "",
                _ => "; with --stage the change waits for their signatures",
            },
        })
    }
}

/// Whether the id is that of the key object: a key id is the digest of its key.
pub(super) fn is_key_of(id: &str, key: &Value) -> bool {
    canonical::signed_octets(key).is_some_and(|octets| hex(&Sha256::digest(octets)) == id)
}

/// The file of a role with these signatures.
///
/// # Errors
/// [`PublishError::Canonical`].
pub(super) fn signed_file(
    role: &str,
    signatures: &[Signature],
    signed: &Value,
) -> Result<Vec<u8>, PublishError> {
    let signatures: Vec<Value> = signatures
        .iter()
        .map(|signature| json!({"keyid": signature.keyid, "sig": signature.sig}))
        .collect();
    canonical::text(&json!({"signatures": signatures, "signed": signed}))
        .map(String::into_bytes)
        .ok_or_else(|| PublishError::Canonical(role.to_owned()))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::publish::PublicKey;
    use crate::verify::hex;

    #[test]
    fn a_signature_is_of_one_key_and_one_text() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = PublicKey::new("", &key.verifying_key());
        let signed = json!({"version": 1});
        let octets = canonical::signed_octets(&signed).unwrap();
        let signature = Signature {
            keyid: public.id.clone(),
            sig: hex(&key.sign(&octets).to_bytes()),
        };
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
        let other = PublicKey::new("", &other).object();
        assert!(signature.verifies(&public.object(), &signed));
        assert!(!signature.verifies(&public.object(), &json!({"version": 2})));
        assert!(!signature.verifies(&other, &signed));
        assert!(!signature.verifies(&Value::Null, &signed));
        for sig in ["", "zz", "00ff", &signature.sig.to_uppercase()] {
            let sig = Signature {
                sig: sig.to_owned(),
                ..signature.clone()
            };
            assert!(!sig.verifies(&public.object(), &signed), "{}", sig.sig);
        }
    }
}
