//! [`Proposal`]: what is staged, as its keepers are shown it before they sign.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::difference::{ListDifference, members, plain};
use super::publication::custom;
use super::repository::{target_file, target_files};
use super::roles::{Role, Signers};
use super::stage::staged_file;
use super::staging::Quorum;
use super::{Keyring, PublishError, Repository};
use crate::compile::{Compiler, Ede, From, Mode, PassThru, Protected, Settings};
use crate::policy::Kind;
use crate::verify::Verified;

/// What is staged: everything that a signature would say yes to. Its texts are safe to show
/// at a terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposal {
    /// The digest of what is staged, which covers every octet that a signature covers.
    pub digest: String,
    /// What is staged, by role.
    pub roles: Vec<RoleProposal>,
    /// What was found and left aside, such as signatures that are none.
    pub warnings: Vec<String>,
}

/// What is staged for one role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleProposal {
    /// Its name.
    pub role: String,
    /// The staged version.
    pub version: u64,
    /// When that expires.
    pub expires: Timestamp,
    /// What it changes beside that: keys, thresholds, delegations, files; a sentence each.
    pub changes: Vec<String>,
    /// What it changes in the list, where it has other content.
    pub list: Option<ListDifference>,
    /// What the node's own code says of that content.
    pub verdicts: Vec<String>,
    /// Who has signed and who has yet to.
    pub quorums: Vec<Quorum>,
}

impl Repository {
    /// What is staged.
    ///
    /// # Errors
    /// [`PublishError::Repository`] where a file of it is missing or damaged.
    pub fn proposal(&self, keys: &Keyring, now: Timestamp) -> Result<Proposal, PublishError> {
        self.check_staged_files()?;
        let mut roles = Vec::new();
        for (name, staged) in &self.stage.roles {
            let empty = Role::new(name, "", json!({}));
            let before = self.published.get(name).unwrap_or(&empty);
            let mut changes = Vec::new();
            self.say_changes(before, staged, keys, &mut changes)?;
            let list = self.list_difference(before, staged)?;
            let verdicts = match &list {
                Some(_) => self.verdicts(staged, now)?,
                None => Vec::new(),
            };
            roles.push(RoleProposal {
                role: name.clone(),
                version: staged.version(),
                expires: staged.expires(),
                changes,
                list,
                verdicts,
                quorums: self.quorums(name),
            });
        }
        Ok(Proposal {
            digest: self.staged_digest()?,
            roles,
            warnings: self.staged_warnings(),
        })
    }

    /// What the node's own code says of the list that a staged role names.
    ///
    /// # Errors
    /// [`PublishError::Repository`] where its file is missing or damaged.
    pub fn list_verdicts(&self, list: &str, now: Timestamp) -> Result<Vec<String>, PublishError> {
        match self.stage.roles.get(&format!("list-{list}")) {
            Some(role) => self.verdicts(role, now),
            None => Ok(Vec::new()),
        }
    }

    /// The same: the rows that a node would leave out.
    fn verdicts(&self, role: &Role, now: Timestamp) -> Result<Vec<String>, PublishError> {
        let list = role.name.strip_prefix("list-").unwrap_or(&role.name);
        let draft = Verified::draft(list, self.plaintext(role)?);
        let mut compiler = Compiler::new(&Protected::default(), now);
        compiler.add(&as_a_node_reads(list), &draft);
        let blocklist = compiler.finish();
        let Some(compiled) = blocklist.lists().first() else {
            return Ok(Vec::new());
        };
        let mut verdicts: Vec<String> = compiled
            .rejects
            .iter()
            .map(|reject| {
                plain(&format!(
                    "nodes leave out line {}: {}",
                    reject.line, reject.reason
                ))
            })
            .collect();
        let more = compiled.rejected.saturating_sub(verdicts.len());
        if more > 0 {
            verdicts.push(format!("nodes leave out {more} more lines"));
        }
        Ok(verdicts)
    }

    /// What a version changes in its list; nothing where the content stays.
    fn list_difference(
        &self,
        before: &Role,
        staged: &Role,
    ) -> Result<Option<ListDifference>, PublishError> {
        let full = |role: &Role| {
            let files = target_files(role);
            files.into_iter().find(|file| file.ends_with(".full"))
        };
        let Some(file) = full(staged).filter(|_| staged.name.starts_with("list-")) else {
            return Ok(None);
        };
        if full(before) == Some(file) {
            return Ok(None);
        }
        let after = self.plaintext(staged)?;
        // A version before that is lost shows everything as new; to sign is still possible.
        let before = self.plaintext(before).unwrap_or_default();
        Ok(Some(ListDifference::between(&before, &after)))
    }

    /// Says everything that changes in a role but for its list.
    fn say_changes(
        &self,
        before: &Role,
        staged: &Role,
        keys: &Keyring,
        out: &mut Vec<String>,
    ) -> Result<(), PublishError> {
        let (mut old, mut new) = (before.signed.clone(), staged.signed.clone());
        for said_elsewhere in ["version", "expires"] {
            old.remove(said_elsewhere);
            new.remove(said_elsewhere);
        }
        if before.version() == 0 {
            old.retain(|name, _| matches!(name.as_str(), "targets" | "roles" | "delegations"));
            new.remove("_type");
            new.remove("spec_version");
            if new.get("consistent_snapshot") == Some(&Value::Bool(true)) {
                new.remove("consistent_snapshot");
            }
        }
        if staged.name == "root" {
            say_roles(
                &take(&mut old, "roles"),
                &take(&mut new, "roles"),
                keys,
                out,
            );
            // Key objects are named by what they hold; who has which is said by the roles.
            old.remove("keys");
            new.remove("keys");
        }
        say_delegations(
            &take(&mut old, "delegations"),
            &take(&mut new, "delegations"),
            keys,
            out,
        );
        self.say_targets(&take(&mut old, "targets"), &take(&mut new, "targets"), out)?;
        members("", &Value::Object(old), &Value::Object(new), out);
        let number = |role: &Role, name: &str| {
            let list = role.name.strip_prefix("list-")?;
            custom(role, list).get(name).and_then(Value::as_u64)
        };
        if let Some(seq) = number(staged, "seq")
            && number(before, "seq") != Some(seq)
        {
            out.push(match number(before, "seq") {
                Some(was) => format!("the list's serial was {was}, is {seq}"),
                None => format!("the first version of the list, serial {seq}"),
            });
        }
        Ok(())
    }

    /// Says which target files come, go and change; those of text line by line.
    fn say_targets(
        &self,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
        out: &mut Vec<String>,
    ) -> Result<(), PublishError> {
        let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for path in paths {
            let (old, new) = (before.get(path), after.get(path));
            if old == new {
                continue;
            }
            if path.ends_with("/full") && new.is_some() {
                // Its entries are said one by one; the rest of what is signed of it here.
                let rest = |target: Option<&Value>| {
                    let mut target = target.cloned().unwrap_or_else(|| json!({}));
                    if let Some(target) = target.as_object_mut() {
                        target.remove("hashes");
                        target.remove("length");
                    }
                    if let Some(Value::Object(custom)) = target.get_mut("custom") {
                        for said in ["state", "size", "entries", "seq", "issued_at"] {
                            custom.remove(said);
                        }
                    }
                    target
                };
                if old.is_some() {
                    members(path, &rest(old), &rest(new), out);
                }
                continue;
            }
            let octets = |target: &Value| target.get("length").and_then(Value::as_u64).unwrap_or(0);
            out.push(plain(&match (old, new) {
                (None, Some(new)) => format!("file {path} is new: {} octets", octets(new)),
                (Some(old), None) => format!("file {path} goes: {} octets", octets(old)),
                (old, new) => format!(
                    "file {path} changes: {} octets, then {}",
                    old.map_or(0, octets),
                    new.map_or(0, octets)
                ),
            }));
            self.say_lines(path, old, new, out);
        }
        Ok(())
    }

    /// Says which lines of a text file come and go.
    fn say_lines(
        &self,
        path: &str,
        old: Option<&Value>,
        new: Option<&Value>,
        out: &mut Vec<String>,
    ) {
        let text = |target: Option<&Value>| -> Option<String> {
            let file = target_file(path, target?)?;
            let waiting = self.folder.read(&staged_file(&file));
            let bytes = waiting.or_else(|_| self.folder.read(&file)).ok()?;
            String::from_utf8(bytes)
                .ok()
                .filter(|text| !text.contains('\0'))
        };
        let (before, after) = (text(old).unwrap_or_default(), text(new).unwrap_or_default());
        let (was, is): (BTreeSet<&str>, BTreeSet<&str>) =
            (before.lines().collect(), after.lines().collect());
        let lines = before.lines().filter(|line| !is.contains(line));
        out.extend(lines.map(|line| plain(&format!("  - {line}"))));
        let lines = after.lines().filter(|line| !was.contains(line));
        out.extend(lines.map(|line| plain(&format!("  + {line}"))));
    }
}

/// Says how keys and thresholds of the top-level roles change.
fn say_roles(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    keys: &Keyring,
    out: &mut Vec<String>,
) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        say_signers(name, before.get(name), after.get(name), keys, out);
    }
}

/// Says which lists are delegated to whom, and how that changes.
fn say_delegations(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    keys: &Keyring,
    out: &mut Vec<String>,
) {
    let named = |delegations: &Map<String, Value>| -> Map<String, Value> {
        let roles = delegations.get("roles").and_then(Value::as_array);
        let name = |role: &Value| Some((role.get("name")?.as_str()?.to_owned(), role.clone()));
        roles.into_iter().flatten().filter_map(name).collect()
    };
    let (old, new) = (named(before), named(after));
    say_roles(&old, &new, keys, out);
    for (name, role) in &new {
        let rest = |role: &Value| {
            let mut rest = role.clone();
            if let Some(rest) = rest.as_object_mut() {
                rest.remove("keyids");
                rest.remove("threshold");
                rest.remove("name");
            }
            rest
        };
        let was = old.get(name).map_or_else(|| json!({}), rest);
        members(name, &was, &rest(role), out);
    }
    let order = |delegations: &Map<String, Value>, others: &Map<String, Value>| -> Vec<String> {
        let roles = delegations.get("roles").and_then(Value::as_array);
        let name = |role: &Value| role.get("name")?.as_str().map(str::to_owned);
        let names = roles.into_iter().flatten().filter_map(name);
        names.filter(|name| others.contains_key(name)).collect()
    };
    if order(before, &new) != order(after, &old) {
        out.push(plain(&format!(
            "the order of the delegations is now {}",
            order(after, &new).join(", ")
        )));
    }
    // Beside roles and the keys that they name there is nothing that this program makes.
    let rest = |delegations: &Map<String, Value>| -> Value {
        let kept = delegations
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "roles" | "keys"));
        Value::Object(
            kept.map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    };
    members("delegations", &rest(before), &rest(after), out);
}

/// Says how keys and threshold of a role change.
fn say_signers(
    role: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    keys: &Keyring,
    out: &mut Vec<String>,
) {
    let mut say = |text: String| out.push(plain(&text));
    match (before.map(Signers::read), after.map(Signers::read)) {
        (before, after) if before == after => return,
        (None, Some(after)) => {
            say(format!(
                "{role} is to be signed by {} of these keys:",
                after.threshold
            ));
            for id in &after.keyids {
                say(format!("  {}", keys.whole_label(id)));
            }
        }
        (_, None) => say(format!("{role} goes")),
        (Some(before), Some(after)) => {
            let only = |some: &Signers, others: &Signers| -> Vec<String> {
                let ids = some.keyids.iter();
                ids.filter(|id| !others.keyids.contains(id))
                    .cloned()
                    .collect()
            };
            let (come, go) = (only(&after, &before), only(&before, &after));
            for id in &come {
                say(format!("{role} gets key {}", keys.whole_label(id)));
            }
            for id in &go {
                say(format!("{role} loses key {}", keys.whole_label(id)));
            }
            if come.is_empty() && go.is_empty() && before.keyids != after.keyids {
                say(format!("{role} has its keys in another order"));
            }
            say(format!(
                "{role} was signed by {} of {} keys, is to be by {} of {}",
                before.threshold,
                before.keyids.len(),
                after.threshold,
                after.keyids.len()
            ));
        }
    }
}

/// Takes a member that is an object out of another; one that is none stays where it is.
fn take(object: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match object.remove(name) {
        Some(Value::Object(member)) => member,
        Some(other) => {
            object.insert(name.to_owned(), other);
            Map::new()
        }
        None => Map::new(),
    }
}

/// How a node reads a list whose configuration says nothing else.
fn as_a_node_reads(list: &str) -> Settings {
    Settings {
        name: list.to_owned(),
        from: From::Repository {
            repository: "staged".to_owned(),
            list: list.to_owned(),
        },
        mode: Mode::Enforce,
        kinds: vec![Kind::Domain, Kind::Url],
        action: None,
        passthru: PassThru::List,
        ede: Ede::Censored,
        required: false,
    }
}
