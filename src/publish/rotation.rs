//! [`Rotation`]: a role gets other keys, or another threshold.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::founding::check_threshold;
use super::roles::Signers;
use super::{Keyring, PublicKey, PublishError, Renewed, Repository};

/// A change of the keys of a role (trust.md section 7.11).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rotation {
    /// The role: `root`, `targets`, `snapshot`, `timestamp`, or a delegated one.
    pub role: String,
    /// The public halves of keys that come.
    pub add: Vec<PublicKey>,
    /// The names of keys that are made, and come.
    pub new: Vec<String>,
    /// The ids of keys that go, or the first eight or more characters of each.
    pub remove: Vec<String>,
    /// How many keys must sign from now on; nothing leaves it as it is.
    pub threshold: Option<usize>,
}

impl Repository {
    /// Gives a role other keys. A root is signed by its old keys and by its new ones, and a
    /// role whose keys changed is signed anew. Returns the keys that were made.
    ///
    /// # Errors
    /// [`PublishError::Rotation`], [`PublishError::KeysMissing`]; what was published before
    /// still is.
    pub fn rotate(
        &mut self,
        keys: &mut Keyring,
        rotation: &Rotation,
        now: Timestamp,
    ) -> Result<(Vec<PublicKey>, Vec<Renewed>), PublishError> {
        let role = rotation.role.as_str();
        if self.role(role).is_none() {
            return Err(PublishError::Rotation(format!(
                "there is no role {role}; there are {}",
                self.roles()
                    .map(|role| role.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            )));
        }
        keys.check_free(&rotation.new)?;
        let before = self.signers(role);
        let after = signers_after(rotation, &before)?;
        let parent = parent_of(role);
        for role in [parent, "snapshot", "timestamp"] {
            // A root stands alone, unless it changes the online roles.
            if role == parent || parent != "root" {
                self.check_at_hand(keys, role)?;
            }
        }
        if !self.is_staging {
            // The keys that are made sign, too.
            let threshold = after.threshold.saturating_sub(rotation.new.len());
            keys.check_at_hand(role, &after.keyids, threshold)?;
        }
        keys.remember(&rotation.add)?;
        let made: Vec<PublicKey> = rotation
            .new
            .iter()
            .map(|name| keys.make(name))
            .collect::<Result<_, _>>()?;
        let mut after = after;
        after.keyids.extend(made.iter().map(|key| key.id.clone()));
        let objects = rotation.add.iter().chain(&made);
        let objects: Map<String, Value> =
            objects.map(|key| (key.id.clone(), key.object())).collect();
        match parent {
            "root" => self.give_top_level(role, &after, objects),
            _ => self.give_delegated(role, &after, objects),
        }
        self.changed.extend([parent.to_owned(), role.to_owned()]);
        let renewed = self.commit(keys, now)?;
        Ok((made, renewed))
    }

    /// Gives a top-level role its keys.
    fn give_top_level(&mut self, role: &str, signers: &Signers, objects: Map<String, Value>) {
        self.root.edit("roles", |roles| {
            roles.insert(
                role.to_owned(),
                json!({"keyids": signers.keyids, "threshold": signers.threshold}),
            );
        });
        let used: BTreeSet<String> = ["root", "targets", "snapshot", "timestamp"]
            .into_iter()
            .flat_map(|role| self.root.signers_of(role).keyids)
            .collect();
        self.root.edit("keys", |keys| {
            keys.extend(objects);
            keys.retain(|id, _| used.contains(id));
        });
    }

    /// Gives a delegated role its keys.
    fn give_delegated(&mut self, role: &str, signers: &Signers, objects: Map<String, Value>) {
        self.targets.edit("delegations", |delegations| {
            let mut used = BTreeSet::new();
            let roles = delegations.get_mut("roles").and_then(Value::as_array_mut);
            for delegated in roles.into_iter().flatten().filter_map(Value::as_object_mut) {
                if delegated.get("name").and_then(Value::as_str) == Some(role) {
                    delegated.insert("keyids".to_owned(), json!(signers.keyids));
                    delegated.insert("threshold".to_owned(), json!(signers.threshold));
                }
                used.extend(Signers::read(&Value::Object(delegated.clone())).keyids);
            }
            if let Some(Value::Object(keys)) = delegations.get_mut("keys") {
                keys.extend(objects);
                keys.retain(|id, _| used.contains(id));
            }
        });
    }
}

/// Who signs the role from now on, but for the keys that are yet to be made.
fn signers_after(rotation: &Rotation, before: &Signers) -> Result<Signers, PublishError> {
    let role = rotation.role.as_str();
    let mut after = before.clone();
    for wanted in &rotation.remove {
        let id = one_id(role, before, wanted)?;
        after.keyids.retain(|known| *known != id);
    }
    for key in &rotation.add {
        if before.keyids.contains(&key.id) || after.keyids.contains(&key.id) {
            return Err(PublishError::Rotation(format!(
                "{role} has key {} already",
                key.id
            )));
        }
        after.keyids.push(key.id.clone());
    }
    after.threshold = rotation.threshold.unwrap_or(before.threshold);
    check_threshold(after.threshold)?;
    let count = after.keyids.len() + rotation.new.len();
    if count < after.threshold {
        return Err(PublishError::Rotation(format!(
            "{role} would have {count} keys and a threshold of {}, so that nobody could sign \
             it; add keys with --add or --new, or give --threshold",
            after.threshold
        )));
    }
    if after == *before && rotation.new.is_empty() {
        return Err(PublishError::Rotation(format!(
            "that changes nothing in {role}; give --add, --new, --remove or --threshold"
        )));
    }
    Ok(after)
}

/// Which role says who signs that one.
fn parent_of(role: &str) -> &'static str {
    match role {
        "root" | "targets" | "snapshot" | "timestamp" => "root",
        _ => "targets",
    }
}

/// The one key of a role that is meant.
fn one_id(role: &str, signers: &Signers, wanted: &str) -> Result<String, PublishError> {
    let is_meant =
        |id: &&String| *id == wanted || (wanted.len() >= ID_CHARS_MIN && id.starts_with(wanted));
    let mut meant = signers.keyids.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(id), None) => Ok(id.clone()),
        _ => Err(PublishError::Rotation(format!(
            "{role} has no key {wanted:?}; it has {}",
            signers.keyids.join(", ")
        ))),
    }
}

/// The least characters that name a key.
const ID_CHARS_MIN: usize = 8;
