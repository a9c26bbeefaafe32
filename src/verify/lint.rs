//! The lint at the border: what is refused beyond TUF (trust.md section 7.4).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sigstore_tuf::{DelegatedRole, Key, Root};

use super::delegated::WITHDRAW;
use super::signature;

/// What is wrong with a root.
///
/// # Errors
/// The reason, as the end of a sentence that begins with the file's name.
pub(super) fn check_root(root: &Root, min_root_threshold: u16) -> Result<(), String> {
    if !root.consistent_snapshot {
        return Err("does not use consistent snapshots".to_owned());
    }
    for name in ["root", "targets", "snapshot", "timestamp"] {
        let role = root
            .role(name)
            .ok_or_else(|| format!("has no role {name}"))?;
        check_keys(name, &role.keyids, role.threshold, &root.keys)?;
        if name == "root" && role.threshold < usize::from(min_root_threshold) {
            return Err(format!(
                "its threshold is {}, but min_root_threshold demands {min_root_threshold}",
                role.threshold
            ));
        }
    }
    Ok(())
}

/// What is wrong with the delegation of a list: it must be `list-X` for `X/*` alone.
///
/// # Errors
/// The reason, as the end of a sentence that begins with the file's name.
pub(super) fn check_delegation(
    role: &DelegatedRole,
    list: &str,
    keys: &BTreeMap<String, Key>,
) -> Result<(), String> {
    let name = &role.name;
    if role.path_hash_prefixes.is_some() {
        return Err(format!("{name} is delegated by hash prefixes"));
    }
    match role.paths.as_deref() {
        Some([path]) if *path == format!("{list}/*") => {}
        paths => {
            let paths = paths.unwrap_or_default().join(", ");
            return Err(format!("{name} is delegated [{paths}], not {list}/* alone"));
        }
    }
    check_keys(name, &role.keyids, role.threshold, keys)
}

/// What is wrong with the envelope of a signed file: signatures have one spelling only, so
/// that no octet of a file can be changed unnoticed.
///
/// # Errors
/// The reason, as the end of a sentence that begins with the file's name.
pub(super) fn check_envelope(file: &Value) -> Result<(), String> {
    let members = file.as_object().map(|members| members.len());
    let signatures = file.get("signatures").and_then(Value::as_array);
    let (Some(2), Some(signatures)) = (members, signatures) else {
        return Err("is not an object of signed and signatures alone".to_owned());
    };
    for entry in signatures {
        let sound = entry.get("sig").and_then(Value::as_str).is_some_and(|sig| {
            sig.bytes()
                .all(|octet| octet.is_ascii_digit() || (b'a'..=b'f').contains(&octet))
        });
        if !sound {
            return Err("has a signature that is not lower-case hex".to_owned());
        }
    }
    Ok(())
}

/// Whether a list may be called that: its name is a label of a domain name and a segment of
/// a path, and not the one of the role that withdraws.
#[must_use]
pub fn is_list_name(name: &str) -> bool {
    (1..=LIST_NAME_OCTETS_MAX).contains(&name.len())
        && name != WITHDRAW
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-')
}

/// What is wrong with the keys of a role.
fn check_keys(
    role: &str,
    keyids: &[String],
    threshold: usize,
    keys: &BTreeMap<String, Key>,
) -> Result<(), String> {
    let mut distinct = BTreeSet::new();
    for id in keyids {
        let key = keys
            .get(id)
            .ok_or_else(|| format!("{role} names key {id}, which is not there"))?;
        if key.keytype != "ed25519" || key.scheme != "ed25519" {
            return Err(format!("{role} has key {id}, which is not ed25519"));
        }
        if key.key_id().ok().as_ref() != Some(id) {
            return Err(format!("{role} has key {id}, whose id is not its SHA-256"));
        }
        let public = octets_of_hex(&key.keyval.public)
            .filter(|octets| signature::is_sound_key(octets))
            .ok_or_else(|| format!("{role} has key {id}, which is not a sound ed25519 key"))?;
        if !distinct.insert(public) {
            return Err(format!("{role} has one key twice, the second time as {id}"));
        }
    }
    if threshold == 0 || threshold > distinct.len() {
        return Err(format!(
            "{role} has {} keys and threshold {threshold}",
            distinct.len()
        ));
    }
    Ok(())
}

/// The octets of lower-case hex.
#[must_use]
pub fn octets_of_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.bytes().any(|octet| octet.is_ascii_uppercase()) {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}

/// The most octets a list's name may have: a label of a domain name (RFC 1035 section 2.3.4).
const LIST_NAME_OCTETS_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use serde_json::json;

    use super::*;

    fn key(seed: u8) -> (String, Value) {
        let public: String = SigningKey::from_bytes(&[seed; 32])
            .verifying_key()
            .to_bytes()
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        named_key(&public)
    }

    fn named_key(public: &str) -> (String, Value) {
        signature::install().unwrap();
        let object =
            json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}});
        let key: Key = serde_json::from_value(object.clone()).unwrap();
        (key.key_id().unwrap(), object)
    }

    fn delegation(keyids: &[&str], threshold: usize, paths: Value) -> DelegatedRole {
        serde_json::from_value(json!({
            "name": "list-a", "keyids": keyids, "threshold": threshold,
            "terminating": true, "paths": paths,
        }))
        .unwrap()
    }

    fn check(role: &DelegatedRole, keys: &[(String, Value)], complaint: Option<&str>) {
        let keys = keys
            .iter()
            .map(|(id, key)| (id.clone(), serde_json::from_value(key.clone()).unwrap()))
            .collect();
        match (check_delegation(role, "a", &keys), complaint) {
            (Ok(()), None) => {}
            (Err(reason), Some(complaint)) => assert!(reason.contains(complaint), "{reason}"),
            (outcome, _) => panic!("{outcome:?} where {complaint:?} was expected"),
        }
    }

    #[test]
    fn a_delegation_is_one_segment_under_its_own_name() {
        let (id, object) = key(1);
        let keys = [(id.clone(), object)];
        let role = |paths| delegation(&[&id], 1, paths);
        check(&role(json!(["a/*"])), &keys, None);
        for paths in [
            json!(["b/*"]),
            json!(["a/*", "b/*"]),
            json!(["*"]),
            json!(["*/*"]),
            json!(["a/*/*"]),
            json!([]),
        ] {
            check(&role(paths), &keys, Some("alone"));
        }
        let mut by_hash = role(json!(["a/*"]));
        by_hash.path_hash_prefixes = Some(vec!["0".to_owned()]);
        check(&by_hash, &keys, Some("hash prefixes"));
    }

    #[test]
    fn keys_are_sound_distinct_and_enough() {
        let (one, object) = key(1);
        let (two, other) = key(2);
        let keys = [(one.clone(), object.clone()), (two.clone(), other)];
        let role = |ids: &[&str], threshold| delegation(ids, threshold, json!(["a/*"]));
        check(&role(&[&one, &two], 2), &keys, None);
        check(&role(&[&one, &two], 0), &keys, Some("threshold 0"));
        check(&role(&[&one], 2), &keys, Some("1 keys and threshold 2"));
        check(&role(&[&one, &one], 2), &keys, Some("twice"));
        check(&role(&["00"], 1), &keys, Some("not there"));
        let mut alias = keys.to_vec();
        alias.push(("other".to_owned(), object.clone()));
        check(&role(&[&one, "other"], 2), &alias, Some("SHA-256"));
        let mut rsa = object;
        rsa["keytype"] = json!("rsa");
        check(
            &role(&["rsa"], 1),
            &[("rsa".to_owned(), rsa)],
            Some("not ed25519"),
        );
        let weak = format!("01{}", "00".repeat(31));
        let (weak, object) = named_key(&weak);
        check(
            &role(&[&weak], 1),
            &[(weak.clone(), object)],
            Some("not a sound"),
        );
    }

    #[test]
    fn a_signature_has_one_spelling() {
        let envelope =
            |sig: &str| json!({"signed": {}, "signatures": [{"keyid": "k", "sig": sig}]});
        assert_eq!(check_envelope(&envelope("00ff")), Ok(()));
        assert!(check_envelope(&envelope("00FF")).is_err());
        assert!(check_envelope(&json!({"signed": {}, "signatures": [], "more": 1})).is_err());
    }

    #[test]
    fn list_names_are_labels() {
        for name in ["a", "csam", "court-2", "7"] {
            assert!(is_list_name(name), "{name}");
        }
        for name in [
            "",
            "-a",
            "a-",
            "A",
            "a_b",
            "a.b",
            "../x",
            "a/b",
            "withdraw",
            &"a".repeat(64),
        ] {
            assert!(!is_list_name(name), "{name}");
        }
    }
}
