//! Withdrawing entries at once, before their list drops them (trust.md section 7.12).

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::founding::{check_signers, keys_of_role, make_keys};
use super::repository::target_file;
use super::roles::{Role, utc};
use super::stage::read_target;
use super::versions::{Versions, number_in, target};
use super::{Keyring, PublicKey, PublishError, Repository, canonical};
use crate::policy::{CanonicalUrl, Name, Withdrawal, WithdrawalReason, Withdrawn, nearest};
use crate::verify::{UNTIL_MAX, WITHDRAWALS_MAX, WithdrawFile};

/// What is to be withdrawn from a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Withdraw {
    /// The list.
    pub list: String,
    /// The entries.
    pub what: Vec<Withdrawn>,
    /// Why.
    pub reason: WithdrawalReason,
    /// Until when; 72 hours from now at most.
    pub until: Timestamp,
    /// Whether these entries are to be enforced again instead.
    pub undo: bool,
    /// Whether nodes may have what the list as it is published here has not, as after the
    /// theft of its key.
    pub unlisted: bool,
}

/// The withdrawals of a list, as they are signed now.
#[derive(Clone, Debug, PartialEq)]
pub struct Withdrawing {
    /// The list.
    pub list: String,
    /// Each that runs, with the entries of the newest version that it lets through: where
    /// there are none, the list confirms it.
    pub running: Vec<(Withdrawal, Vec<String>)>,
    /// Each that has ended and that the list never confirmed: these entries are enforced
    /// again.
    pub lapsed: Vec<(Withdrawal, Vec<String>)>,
}

impl Withdrawing {
    /// Those that run no longer than until `by` and whose entries are still on the list.
    pub fn unconfirmed(&self, by: Timestamp) -> impl Iterator<Item = &(Withdrawal, Vec<String>)> {
        let running = self.running.iter();
        running.filter(move |(item, entries)| item.until <= by && !entries.is_empty())
    }
}

impl Repository {
    /// Makes the role by which duty officers withdraw entries: each of their keys is enough.
    /// Where none is given, one is made, and returned.
    ///
    /// # Errors
    /// [`PublishError::WithdrawExists`], [`PublishError::KeysMissing`] of the targets role.
    pub fn delegate_withdraw(
        &mut self,
        keys: &mut Keyring,
        officers: &[PublicKey],
        now: Timestamp,
    ) -> Result<Vec<PublicKey>, PublishError> {
        if self.withdraw.is_some() {
            return Err(PublishError::WithdrawExists);
        }
        for role in ["targets", "snapshot", "timestamp"] {
            self.check_at_hand(keys, role)?;
        }
        let made = self.add_withdraw(keys, officers)?;
        self.commit(keys, now)?;
        Ok(made)
    }

    /// Adds the role to what the next commit signs.
    pub(super) fn add_withdraw(
        &mut self,
        keys: &mut Keyring,
        officers: &[PublicKey],
    ) -> Result<Vec<PublicKey>, PublishError> {
        let made = if officers.is_empty() {
            make_keys(keys, WITHDRAW, 1)?
        } else {
            check_signers(WITHDRAW, officers, 1)?;
            if !self.is_staging {
                let ids: Vec<String> = officers.iter().map(|key| key.id.clone()).collect();
                keys.check_at_hand(WITHDRAW, &ids, 1)?;
            }
            keys.remember(officers)?;
            Vec::new()
        };
        let signers = if made.is_empty() { officers } else { &made };
        let mut objects = Map::new();
        let mut delegated = keys_of_role(signers, 1, &mut objects);
        if let Value::Object(delegated) = &mut delegated {
            delegated.insert("name".to_owned(), WITHDRAW.into());
            delegated.insert("paths".to_owned(), json!([format!("{WITHDRAW}/*")]));
            delegated.insert("terminating".to_owned(), true.into());
        }
        self.targets.edit("delegations", |delegations| {
            if let Value::Object(keys) = delegations.entry("keys").or_insert_with(|| json!({})) {
                keys.extend(objects);
            }
            if let Value::Array(roles) = delegations.entry("roles").or_insert_with(|| json!([])) {
                // The order is priority: nothing else may answer for a withdrawal.
                roles.insert(0, delegated);
            }
        });
        self.withdraw = Some(Role::new(WITHDRAW, "targets", json!({"targets": {}})));
        self.changed
            .extend(["targets".to_owned(), WITHDRAW.to_owned()]);
        Ok(made)
    }

    /// Withdraws entries of a list at once, or takes that back; what else is withdrawn
    /// stays so.
    ///
    /// # Errors
    /// [`PublishError`]; what was published before still is.
    pub fn withdraw(
        &mut self,
        keys: &Keyring,
        withdraw: &Withdraw,
        now: Timestamp,
    ) -> Result<Withdrawing, PublishError> {
        let list = withdraw.list.as_str();
        for role in [WITHDRAW, "snapshot", "timestamp"] {
            if role == WITHDRAW && self.withdraw.is_none() {
                return Err(PublishError::NoWithdraw);
            }
            self.check_at_hand(keys, role)?;
        }
        let longest = now.checked_add(UNTIL_MAX).unwrap_or(Timestamp::MAX);
        if withdraw.until > longest || withdraw.until <= now {
            return Err(PublishError::WithdrawUntil(longest));
        }
        let listed = match self.listed(list) {
            // What nodes have is let through, whatever became of the list's file here.
            Err(PublishError::Repository { .. }) if withdraw.unlisted => Listed(Vec::new()),
            listed => listed?,
        };
        let mut items = self.running(list, now)?;
        let wanted: Vec<Withdrawn> = withdraw.what.iter().map(canonical_value).collect();
        for (what, hits) in wanted.iter().zip(listed.hits(&wanted)) {
            let is_withdrawn = items.iter().any(|item| item.what == *what);
            let is_known = withdraw.unlisted || withdraw.undo && is_withdrawn;
            if !is_known && hits.is_empty() {
                return Err(listed.lacks(list, what));
            }
            if withdraw.undo && !is_withdrawn {
                return Err(PublishError::NothingWithdrawn {
                    list: list.to_owned(),
                    what: said(what),
                });
            }
            items.retain(|item| item.what != *what);
            if !withdraw.undo {
                items.push(Withdrawal {
                    what: what.clone(),
                    reason: withdraw.reason,
                    until: Timestamp::from_second(withdraw.until.as_second())
                        .unwrap_or(withdraw.until),
                });
            }
        }
        let most = self
            .bounds(list)?
            .withdrawals_max(listed.entries().count() as u64)
            .min(WITHDRAWALS_MAX as u64);
        if items.len() as u64 > most {
            return Err(PublishError::WithdrawTooMany {
                list: list.to_owned(),
                wanted: items.len(),
                most,
            });
        }
        self.put_withdrawals(keys, list, items, now)?;
        self.withdrawing_of(list, &listed, now)
    }

    /// The withdrawals of a list at `now`.
    ///
    /// # Errors
    /// [`PublishError`] for files that cannot be read.
    pub fn withdrawing(&self, list: &str, now: Timestamp) -> Result<Withdrawing, PublishError> {
        let listed = match self.withdrawn(list)?.as_slice() {
            [] => Listed(Vec::new()),
            _ => self.listed(list)?,
        };
        self.withdrawing_of(list, &listed, now)
    }

    /// The same, where the list was read already.
    fn withdrawing_of(
        &self,
        list: &str,
        listed: &Listed,
        now: Timestamp,
    ) -> Result<Withdrawing, PublishError> {
        let items = self.withdrawn(list)?;
        let wanted: Vec<Withdrawn> = items.iter().map(|item| item.what.clone()).collect();
        let items = items.into_iter().zip(listed.hits(&wanted));
        let (running, mut lapsed): (Vec<_>, Vec<_>) = items.partition(|(item, _)| item.until > now);
        let stands = |entry: &String| running.iter().any(|(_, entries)| entries.contains(entry));
        for (_, entries) in &mut lapsed {
            entries.retain(|entry| !stands(entry));
        }
        lapsed.retain(|(_, entries)| !entries.is_empty());
        Ok(Withdrawing {
            list: list.to_owned(),
            running,
            lapsed,
        })
    }

    /// What runs, as it is signed now.
    pub(super) fn running(
        &self,
        list: &str,
        now: Timestamp,
    ) -> Result<Vec<Withdrawal>, PublishError> {
        let mut running = self.withdrawn(list)?;
        running.retain(|item| item.until > now);
        Ok(running)
    }

    /// What is signed now, whether it has ended or not.
    fn withdrawn(&self, list: &str) -> Result<Vec<Withdrawal>, PublishError> {
        let Some((path, target)) = self.withdraw_target(list) else {
            return Ok(Vec::new());
        };
        let Some(file) = target_file(&path, &target) else {
            return Ok(Vec::new());
        };
        let bytes = read_target(&self.folder, &file, &target)?;
        let read = WithdrawFile::read(&bytes).map_err(|reason| PublishError::Repository {
            path: self.folder.path(&file),
            reason: format!("{reason}. Put the file back from a copy of the repository"),
        })?;
        Ok(read.items)
    }

    /// Signs what is withdrawn from now on.
    fn put_withdrawals(
        &mut self,
        keys: &Keyring,
        list: &str,
        items: Vec<Withdrawal>,
        now: Timestamp,
    ) -> Result<(), PublishError> {
        let issued_at = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let file = WithdrawFile {
            list: list.to_owned(),
            issued_at,
            items,
        };
        let text = canonical::text(&file.file())
            .ok_or_else(|| PublishError::Canonical("the withdrawals".to_owned()))?;
        let bytes = format!("{text}\n").into_bytes();
        if let Some((path, target)) = self.withdraw_target(list) {
            self.superseded.extend(target_file(&path, &target));
        }
        let path = format!("{WITHDRAW}/{list}");
        let custom = json!({"format": 1, "issued_at": utc(now), "list": list});
        let target = target(&bytes, custom);
        self.new_files
            .extend(target_file(&path, &target).map(|name| (name, bytes)));
        if let Some(role) = &mut self.withdraw {
            role.edit("targets", |targets| _ = targets.insert(path, target));
        }
        self.changed.insert(WITHDRAW.to_owned());
        self.commit(keys, now)?;
        Ok(())
    }

    /// The target of a list's withdrawals, with its path.
    fn withdraw_target(&self, list: &str) -> Option<(String, Value)> {
        let path = format!("{WITHDRAW}/{list}");
        let targets = self.withdraw.as_ref()?.signed.get("targets")?;
        let target = targets.get(&path)?.clone();
        Some((path, target))
    }

    /// A list's newest version.
    fn listed(&self, list: &str) -> Result<Listed, PublishError> {
        let role = self.lists.get(list);
        let role = role.ok_or_else(|| PublishError::NotDelegated(list.to_owned()))?;
        let versions = Versions::new(list, role);
        if number_in(versions.newest(), "seq") == 0 {
            return Ok(Listed(Vec::new()));
        }
        versions.plaintext(&self.folder).map(Listed)
    }
}

/// The plaintext of a list, in which entries are looked up: in one pass, for a withdrawal is
/// urgent, and the list may be long.
struct Listed(Vec<u8>);

/// What of an entry withdrawals speak of.
#[derive(Deserialize)]
struct ListedEntry<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
    #[serde(default)]
    canary: bool,
}

impl Listed {
    /// Its entries, without its own test entry.
    fn entries(&self) -> impl Iterator<Item = ListedEntry<'_>> {
        let lines = self.0.split(|octet| *octet == b'\n').skip(1);
        let entries = lines.filter_map(|line| serde_json::from_slice::<ListedEntry<'_>>(line).ok());
        entries.filter(|entry| !entry.canary)
    }

    /// For each of `wanted` the entries that it speaks of, as id and value.
    fn hits(&self, wanted: &[Withdrawn]) -> Vec<Vec<String>> {
        type Places<'a> = HashMap<&'a str, Vec<usize>>;
        let (mut ids, mut values) = (Places::new(), Places::new());
        for (place, what) in wanted.iter().enumerate() {
            let places = match what {
                Withdrawn::Id(id) => ids.entry(id.as_str()),
                Withdrawn::Value(value) => values.entry(value.as_str()),
            };
            places.or_default().push(place);
        }
        let mut hits = vec![Vec::new(); wanted.len()];
        for entry in self.entries() {
            let places = [ids.get(&*entry.id), values.get(&*entry.value)];
            for place in places.into_iter().flatten().flatten() {
                if let Some(hits) = hits.get_mut(*place) {
                    hits.push(format!("{} {}", entry.id, entry.value));
                }
            }
        }
        hits
    }

    /// The error for what is not on the list.
    fn lacks(&self, list: &str, what: &Withdrawn) -> PublishError {
        let entries: Vec<ListedEntry<'_>> = self.entries().collect();
        let (word, text, known): (_, _, Vec<&str>) = match what {
            Withdrawn::Id(id) => {
                let ids = entries.iter().map(|entry| &*entry.id).collect();
                ("entry with the id", id.as_str(), ids)
            }
            Withdrawn::Value(value) => {
                let values = entries.iter().map(|entry| &*entry.value).collect();
                ("entry with the value", value.as_str(), values)
            }
        };
        let help = match nearest(text, known) {
            Some(meant) => format!("did you mean {meant}?"),
            None => {
                "look it up with `cordon explain` on a node, or in the file that was published."
                    .to_owned()
            }
        };
        PublishError::NotListed {
            list: list.to_owned(),
            what: format!("{word} {text}"),
            help,
        }
    }
}

/// What is withdrawn, in words.
pub(super) fn said(what: &Withdrawn) -> String {
    match what {
        Withdrawn::Id(id) => format!("entry {id}"),
        Withdrawn::Value(value) => value.clone(),
    }
}

/// A value in its canonical spelling, however it was typed.
fn canonical_value(what: &Withdrawn) -> Withdrawn {
    match what {
        Withdrawn::Id(_) => what.clone(),
        Withdrawn::Value(value) => Withdrawn::Value(match CanonicalUrl::parse(value) {
            Ok(url) => url.to_string(),
            Err(_) => {
                Name::from_text(value).map_or_else(|_| value.clone(), |name| name.to_string())
            }
        }),
    }
}

/// When a withdrawal that names no time ends.
pub const UNTIL_DEFAULT: SignedDuration = UNTIL_MAX;

/// The role by which duty officers withdraw.
pub(super) const WITHDRAW: &str = "withdraw";
