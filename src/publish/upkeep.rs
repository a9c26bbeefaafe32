//! Keeping a repository: renewing what expires, and saying how it stands.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::commit::is_online;
use super::roles::{Role, Signers};
use super::signature::Signature;
use super::versions::Versions;
use super::{Keyring, PublishError, Renewed, Repository, Withdrawing};

/// What a refresh did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refreshed {
    /// The roles that were signed anew.
    pub renewed: Vec<Renewed>,
    /// The roles that are past half their life and whose keys are not at hand.
    pub left: Vec<Left>,
    /// Withdrawals that end within twelve hours or have ended, and whose list still has the
    /// entry, by list.
    pub unconfirmed: Vec<Withdrawing>,
}

/// A role that somebody else must renew.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Left {
    /// Its name.
    pub role: String,
    /// When it expires.
    pub expires: Timestamp,
    /// Why it was not renewed.
    pub reason: String,
}

/// How a repository stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Its roles, in the order of publication.
    pub roles: Vec<RoleStatus>,
    /// Its lists.
    pub lists: Vec<ListStatus>,
    /// What is withdrawn of them, or why that cannot be said.
    pub withdrawn: Vec<Result<Withdrawing, String>>,
}

/// How one role stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleStatus {
    /// Its name.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When that expires.
    pub expires: Timestamp,
    /// From when on `refresh` renews it.
    pub due: Timestamp,
    /// How many keys must sign it.
    pub threshold: usize,
    /// The ids of its keys, each with the name of its file when it is at hand.
    pub keys: Vec<(String, Option<String>)>,
}

/// How one list stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListStatus {
    /// Its name.
    pub list: String,
    /// Its title.
    pub title: String,
    /// Its serial; nothing before the first version.
    pub seq: Option<u64>,
    /// Its entries, without the list's own test entry.
    pub entries: u64,
    /// When that version was issued.
    pub issued_at: Option<String>,
}

impl Repository {
    /// Signs every role anew that is past half its life and whose keys are at hand, and an
    /// online one that the root gave other keys and that was not signed by them any more.
    ///
    /// # Errors
    /// [`PublishError`]; what was published before still is.
    pub fn refresh(&mut self, keys: &Keyring, now: Timestamp) -> Result<Refreshed, PublishError> {
        let mut refreshed = Refreshed::default();
        let due: Vec<(String, Timestamp)> = self
            .roles()
            .filter(|role| role.due() <= now || self.is_left_behind(role))
            .map(|role| (role.name.clone(), role.expires()))
            .collect();
        for (role, expires) in due {
            // A root stands alone; any other role is named by the online ones.
            let needed: &[&str] = match role.as_str() {
                "root" => &["root"],
                "timestamp" => &["timestamp"],
                other => &[other, "snapshot", "timestamp"],
            };
            let is_staged = self.stage.roles.contains_key(&role);
            let at_hand = match is_staged {
                // To renew it would make its keepers' signatures void.
                true => Err(PublishError::StagedAlready(role.clone())),
                false => needed
                    .iter()
                    .try_for_each(|role| self.check_at_hand(keys, role)),
            };
            match at_hand {
                Ok(()) => _ = self.changed.insert(role),
                Err(error) => refreshed.left.push(Left {
                    role,
                    expires,
                    reason: error.to_string(),
                }),
            }
        }
        if !self.changed.is_empty() {
            self.renews = true;
            refreshed.renewed = self.commit(keys, now)?;
        }
        let soon = now.checked_add(UNCONFIRMED_BEFORE).unwrap_or(now);
        refreshed.unconfirmed = self
            .status_of_withdrawals(now)
            .filter_map(Result::ok)
            .collect();
        for list in &mut refreshed.unconfirmed {
            list.running = list.unconfirmed(soon).cloned().collect();
        }
        refreshed
            .unconfirmed
            .retain(|list| !(list.running.is_empty() && list.lapsed.is_empty()));
        Ok(refreshed)
    }

    /// What is withdrawn of each list of which something is, or why that cannot be said.
    fn status_of_withdrawals(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = Result<Withdrawing, String>> {
        let lists = self.lists.keys().map(move |list| {
            self.withdrawing(list, now)
                .map_err(|error| error.to_string())
        });
        lists.filter(
            |list| !matches!(list, Ok(list) if list.running.is_empty() && list.lapsed.is_empty()),
        )
    }

    /// Stages the next version of every role past half its life that only its keepers sign;
    /// returns their names.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn stage_due(
        &mut self,
        keys: &Keyring,
        now: Timestamp,
    ) -> Result<Vec<String>, PublishError> {
        let due: Vec<String> = self
            .roles()
            .filter(|role| role.due() <= now && !is_online(&role.name))
            .map(|role| role.name.clone())
            .collect();
        self.changed.extend(due.iter().cloned());
        self.commit(keys, now)?;
        Ok(due)
    }

    /// How the repository stands.
    #[must_use]
    pub fn status(&self, keys: &Keyring, now: Timestamp) -> Status {
        Status {
            roles: self
                .roles()
                .map(|role| self.role_status(role, keys))
                .collect(),
            lists: self
                .lists
                .iter()
                .map(|(list, role)| self.list_status(list, role))
                .collect(),
            withdrawn: self.status_of_withdrawals(now).collect(),
        }
    }

    /// How one role stands.
    fn role_status(&self, role: &Role, keys: &Keyring) -> RoleStatus {
        let Signers { keyids, threshold } = self.signers(&role.name);
        let named = |id: String| {
            let name = keys.name_of(&id).map(str::to_owned);
            (id, name)
        };
        RoleStatus {
            role: role.name.clone(),
            version: role.version(),
            expires: role.expires(),
            due: role.due(),
            threshold,
            keys: keyids.into_iter().map(named).collect(),
        }
    }

    /// How one list stands.
    fn list_status(&self, list: &str, role: &Role) -> ListStatus {
        let custom = Versions::new(list, role).newest();
        let number = |name| custom.get(name).and_then(Value::as_u64);
        let issued_at = custom.get("issued_at").and_then(Value::as_str);
        let (title, _) = self.about(list);
        let title = title.get("en").and_then(Value::as_str);
        ListStatus {
            list: list.to_owned(),
            title: title.unwrap_or(list).to_owned(),
            seq: number("seq"),
            entries: number("entries").unwrap_or(0).saturating_sub(1),
            issued_at: issued_at.map(str::to_owned),
        }
    }

    /// Whether the file of an online role is not what the present root asks for: whoever gave
    /// it other keys was cut off right after the root was written.
    fn is_left_behind(&self, role: &Role) -> bool {
        let file = match role.name.as_str() {
            "timestamp" => "metadata/timestamp.json".to_owned(),
            "snapshot" => role.file(),
            _ => return false,
        };
        let file = self.folder.read(&file).ok();
        let file = file.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let signatures = file.as_ref().and_then(|file| file.get("signatures"));
        let signatures: Vec<Signature> = signatures
            .and_then(|signatures| serde_json::from_value(signatures.clone()).ok())
            .unwrap_or_default();
        let signed = Value::Object(role.signed.clone());
        let keys = self.root.signed.get("keys");
        let Signers { keyids, threshold } = self.signers(&role.name);
        let valid = keyids.iter().filter(|id| {
            let key = keys.and_then(|keys| keys.get(id.as_str()));
            let mut own = signatures.iter().filter(|one| one.keyid == **id);
            key.is_some_and(|key| own.any(|one| one.verifies(key, &signed)))
        });
        valid.count() < threshold
    }
}

/// So long before a withdrawal ends that the list never confirmed, it is said.
const UNCONFIRMED_BEFORE: SignedDuration = SignedDuration::from_hours(12);
