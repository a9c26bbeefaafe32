//! [`Quorum`]: who has signed a staged version, and who has yet to.

use serde_json::Value;

use super::roles::Role;
use super::signature::Signature;
use super::{Keyring, Repository};

/// How many signatures of a staged version are there, of one set of keys that it needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quorum {
    /// How many are needed.
    pub threshold: usize,
    /// The ids of the keys that signed.
    pub signed: Vec<String>,
    /// The ids of the keys that did not.
    pub missing: Vec<String>,
    /// Whether these are the keys of the version before: a root is signed by both.
    pub is_outgoing: bool,
}

impl Quorum {
    /// Whether enough signed.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.signed.len() >= self.threshold
    }
}

impl Repository {
    /// The signatures that a staged version has and needs.
    pub(super) fn quorums(&self, role: &str) -> Vec<Quorum> {
        let valid = self.valid_signatures(role);
        let sets = self.quorums_of(role);
        let is_two = sets.len() > 1;
        sets.into_iter()
            .enumerate()
            .map(|(index, signers)| {
                let has_signed = |id: &String| valid.iter().any(|one| one.keyid == *id);
                let (signed, missing) = signers.keyids.into_iter().partition(has_signed);
                Quorum {
                    threshold: signers.threshold,
                    signed,
                    missing,
                    is_outgoing: is_two && index == 0,
                }
            })
            .collect()
    }

    /// What is wrong with the signatures that are there, and what was left aside.
    pub(super) fn staged_warnings(&self) -> Vec<String> {
        let mut warnings = self.stage.warnings.clone();
        for (role, signatures) in &self.stage.signatures {
            let valid = self.valid_signatures(role);
            let dropped = signatures.iter().filter(|one| !valid.contains(one));
            warnings.extend(dropped.map(|signature| {
                format!(
                    "the signature of {role} by key {} is dropped: it is no valid signature of \
                     this version by a key of that role",
                    signature.keyid
                )
            }));
        }
        let unknown = self.stage.roles.keys().filter(|role| {
            // Reading it found a version; no root or delegation knows the role.
            self.role(role).is_none()
        });
        warnings.extend(unknown.map(|role| {
            format!("{role} is staged, and no delegation names it; it cannot be published")
        }));
        warnings
    }

    /// The ids of all keys that may sign a staged version.
    pub(super) fn staged_signers(&self, role: &str) -> Vec<String> {
        let mut keyids: Vec<String> = Vec::new();
        for signers in self.quorums_of(role) {
            for id in signers.keyids {
                if !keyids.contains(&id) {
                    keyids.push(id);
                }
            }
        }
        keyids
    }

    /// The signatures of a staged version that are valid, and by keys of its role.
    pub(super) fn valid_signatures(&self, role: &str) -> Vec<Signature> {
        let Some(staged) = self.stage.roles.get(role) else {
            return Vec::new();
        };
        let signed = Value::Object(staged.signed.clone());
        let keyids = self.staged_signers(role);
        let signatures = self.stage.signatures.get(role);
        signatures
            .into_iter()
            .flatten()
            .filter(|one| keyids.contains(&one.keyid))
            .filter(|one| {
                let key = self.key_object(role, &one.keyid);
                key.is_some_and(|key| one.verifies(&key, &signed))
            })
            .cloned()
            .collect()
    }

    /// The object of a key that may sign a role.
    fn key_object(&self, role: &str, id: &str) -> Option<Value> {
        let of_root = |root: &Role| root.signed.get("keys")?.get(id).cloned();
        match role {
            "root" | "targets" => of_root(&self.root).or_else(|| {
                let before = Role::read("root", &self.root_file)?;
                of_root(&before)
            }),
            _ => {
                let delegations = self.targets.signed.get("delegations")?;
                delegations.get("keys")?.get(id).cloned()
            }
        }
    }
}

/// Who has yet to sign.
pub(super) fn lacking_text(keys: &Keyring, role: &str, quorum: &Quorum) -> String {
    let missing: Vec<String> = quorum.missing.iter().map(|id| keys.label(id)).collect();
    let of = if quorum.is_outgoing {
        " of the version before"
    } else {
        ""
    };
    format!(
        "{role} is signed by {} of the {} keys{of} that must sign it; missing are {}",
        quorum.signed.len(),
        quorum.threshold,
        missing.join(", ")
    )
}
