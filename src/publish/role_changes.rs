//! What a staged version of a role changes, said in sentences: keys, thresholds,
//! delegations, files, and whatever else is signed.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::difference::{members, plain};
use super::repository::target_file;
use super::roles::{Role, Signers};
use super::stage::read_target;
use super::versions::Versions;
use super::withdrawing::{WITHDRAW, said};
use super::{Keyring, PublishError, Repository};
use crate::policy::Withdrawal;
use crate::verify::WithdrawFile;

impl Repository {
    /// Says everything that changes in a role but for its list.
    pub(super) fn say_changes(
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
        let full = staged
            .name
            .strip_prefix("list-")
            .map(|list| format!("{list}/full"));
        let (was, is) = (take(&mut old, "targets"), take(&mut new, "targets"));
        self.say_targets(full.as_deref(), &was, &is, out)?;
        members("", &Value::Object(old), &Value::Object(new), out);
        let number = |role: &Role, name: &str| {
            let list = role.name.strip_prefix("list-")?;
            Versions::new(list, role)
                .newest()
                .get(name)
                .and_then(Value::as_u64)
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

    /// Says which target files come, go and change; those of text line by line. `full` is
    /// the one whose content is said entry by entry.
    fn say_targets(
        &self,
        full: Option<&str>,
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
            if full == Some(path.as_str()) && new.is_some() {
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
                let before = match old {
                    Some(_) => rest(old),
                    None => as_a_first_version(path),
                };
                members(path, &before, &rest(new), out);
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
            // Why it is published although nodes hold or leave out something.
            let accepted = |target: Option<&Value>| {
                let accepted = target.and_then(|target| target.pointer("/custom/accepted"));
                accepted.cloned().unwrap_or_default()
            };
            members("accepted", &accepted(old), &accepted(new), out);
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
            let bytes = read_target(&self.folder, &file, target?).ok()?;
            if path.starts_with(&format!("{WITHDRAW}/"))
                && let Ok(file) = WithdrawFile::read(&bytes)
            {
                return Some(rows(&file));
            }
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

/// What is withdrawn, a line each.
fn rows(file: &WithdrawFile) -> String {
    let row = |item: &Withdrawal| {
        let (what, reason) = (said(&item.what), item.reason.as_str());
        format!("{what}, {reason}, until {}\n", item.until)
    };
    file.items.iter().map(row).collect()
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
        let mut named = Map::new();
        for role in roles.into_iter().flatten() {
            let name = role.get("name").and_then(Value::as_str).unwrap_or("?");
            let mut shown = name.to_owned();
            // One that bears the name of another hides behind none.
            while named.contains_key(&shown) {
                shown.push_str(" (delegated again)");
            }
            named.insert(shown, role.clone());
        }
        named
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
        (before, after) if before == after => {}
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

/// What every first version of a list says beside its content.
fn as_a_first_version(path: &str) -> Value {
    let list = path.trim_end_matches("/full");
    json!({"custom": {
        "comp": "zstd", "enc": null, "epoch": null, "format": 1, "generation": 1, "list": list,
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_delegation_of_one_name_hides_the_first_from_nobody() {
        let one = |key: &str| {
            json!({
                "keyids": [key], "name": "list-a", "paths": ["a/*"], "threshold": 1,
            })
        };
        let delegations = |roles: Value| match json!({ "roles": roles }) {
            Value::Object(delegations) => delegations,
            _ => Map::new(),
        };
        let mut out = Vec::new();
        say_delegations(
            &delegations(json!([one("honest")])),
            &delegations(json!([one("hostile"), one("honest")])),
            &Keyring::default(),
            &mut out,
        );
        let said = out.join("\n");
        assert!(said.contains("hostile"), "{said}");
        assert!(said.contains("list-a (delegated again)"), "{said}");
    }
}
