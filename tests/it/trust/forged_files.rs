//! Files that an authority publishes beside complete lists, made by hand so that they can
//! also lie: steps between versions, and the targets that hold for lists.

use std::fs;

use cordon::verify::{Delta, hex};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::forge::{Authority, key_object};

/// Versions of list a, from the published one on: serial N is `states[N - 1]`.
pub(crate) struct History {
    pub(crate) authority: Authority,
    pub(crate) states: Vec<Vec<u8>>,
}

impl History {
    /// A list of 200 names, so that a step costs less than all.
    pub(crate) fn new() -> Self {
        Self::of(200)
    }

    /// A list of so many names, published as serial 1.
    pub(crate) fn of(entries: usize) -> Self {
        let authority = Authority::new(&["a", "b"]);
        let names: Vec<String> = (0..entries).map(name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        authority.publish("a", &names, super::hour(0));
        let full = authority.files()[&super::full_of(&authority, "a")].clone();
        let states = vec![zstd::decode_all(&full[..]).unwrap()];
        Self { authority, states }
    }

    /// The next version: without the entry that is first of the names, with one of its own.
    /// The steps so far stay; the complete state does where it is not to be renewed.
    pub(crate) fn publish(&mut self, renews_full: bool) {
        let seq = self.states.len() as u64 + 1;
        let before = self.states.last().unwrap().clone();
        let after = next_state(&before, &format!("new{seq}.test"));
        let delta = Delta::between("a", 1, (seq - 1, &before), (seq, &after)).unwrap();
        let mut custom = custom(seq, &after);
        let full = zstd::encode_all(&after[..], 3).unwrap();
        let full = self.authority.target("a/full", &full, custom.clone());
        custom["from"] = json!(seq - 1);
        custom["from_state"] = json!(digest(&before));
        custom["add"] = json!(delta.added.len());
        custom["del"] = json!(delta.removed.len());
        let path = format!("a/delta-{}-{seq}", seq - 1);
        let step = self.authority.step_target(&path, &delta, custom);
        self.authority.forge("list-a", |signed| {
            if renews_full {
                signed["targets"]["a/full"] = full;
            }
            signed["targets"][path] = step;
        });
        self.states.push(after);
    }

    /// The step to the newest version, with something changed in it.
    pub(crate) fn change_last_step(&self, change: impl FnOnce(&mut Delta)) {
        let seq = self.states.len() as u64;
        let (before, after) = (
            &self.states[seq as usize - 2],
            &self.states[seq as usize - 1],
        );
        let mut delta = Delta::between("a", 1, (seq - 1, before), (seq, after)).unwrap();
        change(&mut delta);
        let path = self.last_path();
        let role = self.authority.signed(&self.authority.current("list-a"));
        let custom = role["targets"][&path]["custom"].clone();
        let step = self.authority.step_target(&path, &delta, custom);
        self.authority
            .forge("list-a", |signed| signed["targets"][path] = step);
    }

    /// The target of the step to the newest version.
    pub(crate) fn last_path(&self) -> String {
        let seq = self.states.len();
        format!("a/delta-{}-{seq}", seq - 1)
    }

    /// Its file.
    pub(crate) fn last_file(&self) -> String {
        let role = self.authority.signed(&self.authority.current("list-a"));
        file_of(&self.last_path(), &role["targets"][self.last_path()])
    }
}

impl Authority {
    /// Writes the file of a target; what a role says of it.
    pub(crate) fn target(&self, path: &str, bytes: &[u8], custom: Value) -> Value {
        let target =
            json!({"length": bytes.len(), "hashes": {"sha256": digest(bytes)}, "custom": custom});
        let file = self.repo().join(file_of(path, &target));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
        target
    }

    pub(crate) fn step_target(&self, path: &str, delta: &Delta, custom: Value) -> Value {
        let file = zstd::encode_all(&delta.write()[..], 3).unwrap();
        self.target(path, &file, custom)
    }

    /// The plaintext of the complete state of a list that is published.
    pub(crate) fn plaintext(&self, list: &str) -> Vec<u8> {
        let path = format!("{list}/full");
        let role = self.signed(&self.current(&format!("list-{list}")));
        let file = file_of(&path, &role["targets"][&path]);
        zstd::decode_all(&fs::read(self.repo().join(file)).unwrap()[..]).unwrap()
    }

    /// Publishes a version of a list as whoever holds its keys can: these entries, each of a
    /// kind, beside those of `before`.
    pub(crate) fn publish_with(&self, list: &str, seq: u64, before: &[u8], more: &[(&str, &str)]) {
        let text = std::str::from_utf8(before).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let header = lines.remove(0);
        lines.extend(more.iter().map(|(kind, value)| entry(kind, value)));
        let text = sorted(&header, lines);
        let mut custom = custom(seq, &text);
        custom["list"] = json!(list);
        let path = format!("{list}/full");
        let target = self.target(&path, &zstd::encode_all(&text[..], 3).unwrap(), custom);
        self.forge(&format!("list-{list}"), |signed| {
            signed["targets"] = json!({path: target});
        });
    }

    /// Publishes a target of the top-level role.
    pub(crate) fn publish_term(&self, path: &str, bytes: &[u8]) {
        let target = self.target(path, bytes, json!({"format": 1}));
        self.forge("targets", |signed| signed["targets"][path] = target);
    }

    /// Delegates the role that withdraws to a key of that name, and publishes it empty.
    pub(crate) fn delegate_withdraw(&self, key: &str) {
        let made = self.keys().make(key).unwrap();
        let object = key_object(&self.key(key));
        self.forge("targets", |signed| {
            let delegations = &mut signed["delegations"];
            delegations["keys"][&made.id] = object;
            let roles = delegations["roles"].as_array_mut().unwrap();
            roles.retain(|role| role["name"] != "withdraw");
            roles.insert(
                0,
                json!({"name": "withdraw", "keyids": [made.id], "threshold": 1,
                    "paths": ["withdraw/*"], "terminating": true}),
            );
        });
    }

    /// Publishes a version of the role that withdraws, signed with those keys, which names
    /// these targets alone; it expires two hours after the start.
    pub(crate) fn publish_withdraw_role(&self, keys: &[&str], version: u64, targets: &Value) {
        let signed = json!({"_type": "targets", "spec_version": "1.0.34", "version": version,
            "expires": "2026-11-24T08:00:00Z", "targets": targets});
        let bytes = self.sign(keys, &signed);
        self.put(&format!("metadata/{version}.withdraw.json"), &bytes);
        self.forge("snapshot", |signed| {
            signed["meta"]["withdraw.json"] =
                json!({"version": version, "length": bytes.len(), "hashes": {"sha256": digest(&bytes)}});
        });
    }

    /// Writes a file of withdrawals of a list; what the role says of it.
    pub(crate) fn withdrawals(&self, list: &str, issued_at: &str, values: &[&str]) -> Value {
        let items: Vec<Value> = values
            .iter()
            .map(
                |value| json!({"value": value, "reason": "error", "until": "2026-11-25T06:00:00Z"}),
            )
            .collect();
        let file = json!({"format": 1, "list": list, "issued_at": issued_at, "items": items});
        let custom = json!({"format": 1, "list": list, "issued_at": issued_at});
        self.target(
            &format!("withdraw/{list}"),
            file.to_string().as_bytes(),
            custom,
        )
    }
}

/// The file of a target.
pub(crate) fn file_of(path: &str, target: &Value) -> String {
    let digest = target["hashes"]["sha256"].as_str().unwrap();
    match path.split_once('/') {
        Some((folder, name)) => format!("targets/{folder}/{digest}.{name}"),
        None => format!("targets/{digest}.{path}"),
    }
}

fn name(number: usize) -> String {
    format!("{}.test", &digest(&number.to_le_bytes())[..20])
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn custom(seq: u64, plaintext: &[u8]) -> Value {
    json!({
        "format": 1, "list": "a", "generation": 1, "seq": seq, "comp": "zstd",
        "state": digest(plaintext), "size": plaintext.len(),
        "entries": plaintext.iter().filter(|octet| **octet == b'\n').count() - 1,
    })
}

/// The state without its second entry, and with this one more.
fn next_state(before: &[u8], value: &str) -> Vec<u8> {
    let text = std::str::from_utf8(before).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let header = lines.remove(0);
    lines.remove(1);
    lines.push(entry("domain", value));
    sorted(&header, lines)
}

/// The line of an entry.
fn entry(kind: &str, value: &str) -> String {
    let scope = if kind == "url" {
        ""
    } else {
        "\"match\":\"subtree\","
    };
    format!(
        "{{\"added_at\":\"2026-11-24T06:00:00Z\",\"expires_at\":\"never\",\"id\":\"{value}\",\"kind\":\"{kind}\",{scope}\"value\":\"{value}\"}}"
    )
}

/// A list with its entries in order.
fn sorted(header: &str, mut lines: Vec<String>) -> Vec<u8> {
    lines.sort_by_key(|line| {
        let entry: Value = serde_json::from_str(line).unwrap();
        let member = |name: &str| entry[name].as_str().unwrap().to_owned();
        (member("kind"), member("value"), member("id"))
    });
    format!("{header}\n{}\n", lines.join("\n")).into_bytes()
}
