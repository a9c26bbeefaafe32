//! One key counts once, under however many ids it stands (trust.md section 2.3).

use std::collections::{BTreeMap, BTreeSet};

use sigstore_tuf::{Key, Metadata, Role, RoleKeys};

use super::VerifyError;

/// Whether a file is signed by as many distinct keys as the role needs, where the role has a
/// key under more than one id; the rules of TUF count ids. Without such a key there is
/// nothing to say, and the signatures are not looked at.
///
/// # Errors
/// [`VerifyError::ThresholdNotMet`], or [`VerifyError::Malformed`] for a file that is none.
pub(super) fn count_once<T: Role>(
    file: &str,
    bytes: &[u8],
    keys: &BTreeMap<String, Key>,
    role: &RoleKeys,
) -> Result<(), VerifyError> {
    let ids: BTreeSet<&String> = role.keyids.iter().collect();
    let by_key = ids_by_key(&ids, keys);
    if by_key.len() == ids.len() {
        return Ok(());
    }
    let metadata =
        Metadata::<T>::from_slice(bytes).map_err(|error| VerifyError::from_rules(file, error))?;
    let signed = |id: &&String| {
        let mut alone = role.clone();
        alone.keyids = vec![(*id).clone()];
        alone.threshold = 1;
        metadata.verify_threshold(keys, &alone, file).is_ok()
    };
    let valid = by_key.values().filter(|ids| ids.iter().any(signed)).count();
    if valid >= role.threshold {
        return Ok(());
    }
    Err(VerifyError::ThresholdNotMet {
        file: file.to_owned(),
        valid,
        threshold: role.threshold,
    })
}

/// The ids of a role by the key that stands under them: the same key may be spelled in hex
/// and in PEM. An id whose key cannot be used stands for itself; it signs nothing.
fn ids_by_key<'a>(
    ids: &BTreeSet<&'a String>,
    keys: &BTreeMap<String, Key>,
) -> BTreeMap<Vec<u8>, Vec<&'a String>> {
    let mut by_key: BTreeMap<Vec<u8>, Vec<&String>> = BTreeMap::new();
    for id in ids {
        let public = keys.get(*id).and_then(|key| key.verification_key().ok());
        let public = public.map_or_else(
            || id.as_bytes().to_vec(),
            |public| public.as_bytes().to_vec(),
        );
        by_key.entry(public).or_default().push(id);
    }
    by_key
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use serde_json::{Value, json};
    use sigstore_tuf::Timestamp;
    use sigstore_tuf::canonical_json::to_canonical_bytes;

    use super::*;
    use crate::verify::{hex, signature};

    /// A timestamp that is signed under these ids, each with the key of its first letter.
    fn signed(ids: &[&str]) -> Vec<u8> {
        let content = json!({
            "_type": "timestamp", "spec_version": "1.0.34", "version": 1,
            "expires": "2027-01-01T00:00:00Z", "meta": {},
        });
        let octets = to_canonical_bytes(&content).unwrap();
        let signatures: Vec<Value> = ids
            .iter()
            .map(|id| {
                let signature = key(id).sign(&octets).to_bytes();
                json!({"keyid": id, "sig": hex(&signature)})
            })
            .collect();
        serde_json::to_vec(&json!({"signed": content, "signatures": signatures})).unwrap()
    }

    fn key(id: &str) -> SigningKey {
        SigningKey::from_bytes(&[id.as_bytes()[0]; 32])
    }

    fn check(ids: &[&str], threshold: usize, signers: &[&str], valid: Option<usize>) {
        signature::install().unwrap();
        let keys = ids
            .iter()
            .map(|id| {
                let public = hex(&key(id).verifying_key().to_bytes());
                // The same key, spelled in another way.
                let public = if id.len() > 1 {
                    public.to_uppercase()
                } else {
                    public
                };
                let key = json!({
                    "keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public},
                });
                ((*id).to_owned(), serde_json::from_value(key).unwrap())
            })
            .collect();
        let role = json!({"keyids": ids, "threshold": threshold});
        let role = serde_json::from_value(role).unwrap();
        let counted = count_once::<Timestamp>("timestamp.json", &signed(signers), &keys, &role);
        let expected = valid.map(|valid| VerifyError::ThresholdNotMet {
            file: "timestamp.json".to_owned(),
            valid,
            threshold,
        });
        assert_eq!(counted.err(), expected, "{ids:?} {threshold} {signers:?}");
    }

    #[test]
    fn a_key_counts_once_under_whichever_of_its_ids() {
        check(&["a", "a2"], 2, &["a", "a2"], Some(1));
        check(&["a", "a2"], 1, &["a2"], None);
        check(&["a", "a2", "b"], 2, &["a", "a2"], Some(1));
        check(&["a", "a2", "b"], 2, &["a2", "b"], None);
        check(&["a", "a2", "b", "b2"], 3, &["a", "a2", "b", "b2"], Some(2));
        check(&["a", "a2"], 1, &[], Some(0));
    }
}
