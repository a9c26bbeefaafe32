//! An authority that can also be made to lie: it has all keys, and signs what it is told.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cordon::compile::Format;
use cordon::control::rounds::{ListOutcome, Puller, RestoredList, Round};
use cordon::policy::{Category, Name, Origin, Scope, UrlScope, WithdrawalReason, Withdrawn};
use cordon::publish::{
    Delegation, Keyring, Legal, PolicyFile, Publication, PublishError, Published, Repository,
    UNTIL_DEFAULT, Withdraw,
};
use cordon::source::{self, ListStates, Mirror};
use cordon::verify::{self, ListFile, Subscription, Verified, hex};
use ed25519_dalek::pkcs8::DecodePrivateKey;
use ed25519_dalek::{Signer, SigningKey};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sigstore_tuf::canonical_json::to_canonical_bytes;

const LEGAL: &str = "category: phishing\nlegal: { basis: \"Example Act, art. 1\", authority: \"Example Police\" }\n";

/// When every authority of these tests begins.
pub(crate) fn hour(hours: i64) -> Timestamp {
    let start: Timestamp = "2026-11-24T06:00:00Z".parse().unwrap();
    start + SignedDuration::from_hours(hours)
}

pub(crate) struct Authority {
    folder: PathBuf,
    /// Removed at the end, where the folder is the test's own.
    _own: Option<tempfile::TempDir>,
}

impl Authority {
    pub(crate) fn new(lists: &[&str]) -> Self {
        let own = tempfile::tempdir().unwrap();
        let authority = Self {
            folder: own.path().to_owned(),
            _own: Some(own),
        };
        let mut keys = authority.keys();
        let (mut repository, _) =
            Repository::init(&authority.repo(), &mut keys, 1, hour(0)).unwrap();
        for list in lists {
            let delegation = Delegation {
                list: (*list).to_owned(),
                title: format!("List {list}"),
                category: Category::Phishing,
                threshold: 1,
            };
            repository
                .delegate(&mut keys, &delegation, hour(0))
                .unwrap();
        }
        authority
    }

    /// The authority whose repository and keys are in that folder.
    pub(crate) fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            _own: None,
        }
    }

    /// Another authority with the same files.
    pub(crate) fn copied_to(&self, folder: &Path) -> Self {
        copy(&files_below(&self.folder), folder);
        Self::at(folder)
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.folder.join("repo")
    }

    pub(crate) fn keys_folder(&self) -> PathBuf {
        self.folder.join("keys")
    }

    pub(crate) fn keys(&self) -> Keyring {
        Keyring::open(&self.keys_folder()).unwrap()
    }

    pub(crate) fn publish(&self, list: &str, names: &[&str], now: Timestamp) -> Published {
        self.try_to_publish(list, names, now).unwrap()
    }

    /// Publishes where that may fail.
    pub(crate) fn try_to_publish(
        &self,
        list: &str,
        names: &[&str],
        now: Timestamp,
    ) -> Result<Published, PublishError> {
        let publication = Publication {
            list: list.to_owned(),
            text: names.join("\n").into_bytes(),
            format: Format::Domains,
            scope: Some(Scope::Subtree),
            url_scope: UrlScope::Exact,
            legal: Legal::read(LEGAL).unwrap(),
            accept_guard: None,
        };
        let mut repository = Repository::open(&self.repo())?;
        repository.publish(&self.keys(), &publication, now, &mut |_| {})
    }

    /// Publishes the policy that this YAML says.
    pub(crate) fn bound(&self, yaml: &str, now: Timestamp) {
        let mut repository = Repository::open(&self.repo()).unwrap();
        let policy = PolicyFile::read(yaml, &repository.generations()).unwrap();
        let accepts = Some("a test of nodes");
        repository
            .bound(&self.keys(), &policy, accepts, now)
            .unwrap();
    }

    /// Publishes names that no list may block.
    pub(crate) fn never_block(&self, names: &[&str], now: Timestamp) {
        let names: Vec<Name> = names
            .iter()
            .map(|name| Name::from_text(name).unwrap())
            .collect();
        let mut repository = Repository::open(&self.repo()).unwrap();
        let accepts = Some("a test of nodes");
        repository
            .never_block(&self.keys(), &names, accepts, now)
            .unwrap();
    }

    /// Withdraws the entry of that value for 72 hours.
    pub(crate) fn withdraw(&self, list: &str, value: &str, now: Timestamp) {
        let withdraw = Withdraw {
            list: list.to_owned(),
            what: vec![Withdrawn::Value(value.to_owned())],
            reason: WithdrawalReason::Error,
            until: now + UNTIL_DEFAULT,
            undo: false,
            unlisted: false,
        };
        let mut repository = Repository::open(&self.repo()).unwrap();
        repository.withdraw(&self.keys(), &withdraw, now).unwrap();
    }

    pub(crate) fn refresh(&self, now: Timestamp) {
        Repository::open(&self.repo())
            .unwrap()
            .refresh(&self.keys(), now)
            .unwrap();
    }

    /// Every file of the repository, by its path.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        files_below(&self.repo())
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.repo().join(name), bytes).unwrap();
    }

    /// Puts the repository back to how it was; files that came since stay, as at a mirror.
    pub(crate) fn put_back(&self, files: &BTreeMap<String, Vec<u8>>) {
        for (name, bytes) in files {
            self.put(name, bytes);
        }
    }

    /// The newest file of a role.
    pub(crate) fn current(&self, role: &str) -> String {
        let timestamp = self.signed("metadata/timestamp.json");
        let version =
            |parent: &Value, role: &str| parent["meta"][format!("{role}.json")]["version"].clone();
        let snapshot = version(&timestamp, "snapshot");
        let snapshot_file = format!("metadata/{snapshot}.snapshot.json");
        match role {
            "timestamp" => "metadata/timestamp.json".to_owned(),
            "snapshot" => snapshot_file,
            role => format!(
                "metadata/{}.{role}.json",
                version(&self.signed(&snapshot_file), role)
            ),
        }
    }

    pub(crate) fn signed(&self, file: &str) -> Value {
        let bytes = fs::read(self.repo().join(file)).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()["signed"].clone()
    }

    /// Publishes the next version of a role with something changed in it, signed with the
    /// role's own key, and named by new versions of snapshot and timestamp.
    pub(crate) fn forge(&self, role: &str, edit: impl FnOnce(&mut Value)) {
        self.forge_signed_by(role, &[role], edit);
    }

    /// The same, signed with keys of one's choice.
    pub(crate) fn forge_signed_by(&self, role: &str, keys: &[&str], edit: impl FnOnce(&mut Value)) {
        let mut signed = self.signed(&self.current(role));
        bump(&mut signed);
        edit(&mut signed);
        let version = signed["version"].clone();
        let bytes = self.sign(keys, &signed);
        let file = match role {
            "timestamp" => "metadata/timestamp.json".to_owned(),
            role => format!("metadata/{version}.{role}.json"),
        };
        self.put(&file, &bytes);
        let pin = json!({"length": bytes.len(), "hashes": {"sha256": hex(&Sha256::digest(&bytes))}, "version": version});
        match role {
            "timestamp" => {}
            "snapshot" => self.forge("timestamp", pinning(role, pin)),
            role => self.forge("snapshot", pinning(role, pin)),
        }
    }

    /// A signed file.
    pub(crate) fn sign(&self, keys: &[&str], signed: &Value) -> Vec<u8> {
        signed_by(keys.iter().map(|name| self.key(name)), signed)
    }

    /// The same, signed with the keys of these ids.
    pub(crate) fn sign_with(&self, ids: &Value, signed: &Value) -> Vec<u8> {
        let ids = ids.as_array().unwrap();
        let files = fs::read_dir(self.keys_folder()).unwrap();
        let keys = files.filter_map(|file| {
            let file = file.unwrap().file_name().into_string().unwrap();
            let key = self.key(file.strip_suffix(".pem")?);
            ids.contains(&json!(key_id(&key))).then_some(key)
        });
        signed_by(keys, signed)
    }

    /// A key by the name of its file.
    pub(crate) fn key(&self, name: &str) -> SigningKey {
        let pem = fs::read_to_string(self.keys_folder().join(format!("{name}.pem"))).unwrap();
        SigningKey::from_pkcs8_pem(&pem).unwrap()
    }

    /// Publishes the next root, signed with these keys.
    pub(crate) fn forge_root(&self, keys: &[&str], edit: impl FnOnce(&mut Value)) {
        let (newest, mut signed) = self.newest_root();
        bump(&mut signed);
        edit(&mut signed);
        self.put(
            &format!("metadata/{}.root.json", newest + 1),
            &self.sign(keys, &signed),
        );
    }

    /// The newest root, and its version.
    pub(crate) fn newest_root(&self) -> (u64, Value) {
        let newest = (1..)
            .take_while(|version| self.root_file(*version).exists())
            .last()
            .unwrap();
        let signed = self.signed(&format!("metadata/{newest}.root.json"));
        (newest, signed)
    }

    fn root_file(&self, version: u64) -> PathBuf {
        self.repo().join(format!("metadata/{version}.root.json"))
    }

    /// Gives snapshot and timestamp new keys by a new root; the old ones are kept as
    /// `old-…`.
    pub(crate) fn rotate_online_keys(&self) {
        let mut made = Vec::new();
        for role in ["snapshot", "timestamp"] {
            for half in ["pem", "pub"] {
                let file = self.keys_folder().join(format!("{role}.{half}"));
                fs::rename(&file, self.keys_folder().join(format!("old-{role}.{half}"))).unwrap();
            }
            made.push((role, self.keys().make(role).unwrap()));
        }
        self.forge_root(&["root"], |root| {
            for (role, key) in made {
                root["keys"][&key.id] = key_object(&self.key(role));
                root["roles"][role]["keyids"] = json!([key.id]);
            }
        });
    }

    /// What a node pins.
    pub(crate) fn trust(&self) -> verify::Settings {
        verify::Settings {
            root: fs::read(self.root_file(1)).unwrap(),
            min_root_threshold: 1,
        }
    }
}

/// A node with a state folder of its own.
pub(crate) struct Node {
    state: PathBuf,
    /// Removed at the end, where the folder is the test's own.
    _own: Option<tempfile::TempDir>,
    mirrors: Vec<Mirror>,
    trust: verify::Settings,
    runtime: tokio::runtime::Runtime,
    pub(crate) puller: Puller,
}

impl Node {
    /// A node that takes its lists from the authority's folder.
    pub(crate) fn new(authority: &Authority) -> Self {
        Self::with_mirrors(authority, vec![Mirror::Directory(authority.repo())])
    }

    pub(crate) fn with_mirrors(authority: &Authority, mirrors: Vec<Mirror>) -> Self {
        Self::trusting(authority.trust(), mirrors)
    }

    pub(crate) fn trusting(trust: verify::Settings, mirrors: Vec<Mirror>) -> Self {
        let own = tempfile::tempdir().unwrap();
        let mut node = Self::of(own.path(), trust, mirrors);
        node._own = Some(own);
        node
    }

    /// A node with that state folder.
    pub(crate) fn at(state: &Path, authority: &Authority, mirrors: Vec<Mirror>) -> Self {
        Self::of(state, authority.trust(), mirrors)
    }

    fn of(state: &Path, trust: verify::Settings, mirrors: Vec<Mirror>) -> Self {
        let puller = open(state, &mirrors, &trust);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            state: state.to_owned(),
            _own: None,
            mirrors,
            trust,
            runtime,
            puller,
        }
    }

    /// Ends and starts again.
    pub(crate) fn restart(&mut self) {
        self.puller = open(&self.state, &self.mirrors, &self.trust);
    }

    /// Ends, and starts again with the root and the folder of another authority.
    pub(crate) fn pin(&mut self, authority: &Authority) {
        self.trust = authority.trust();
        self.mirrors = vec![Mirror::Directory(authority.repo())];
        self.restart();
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    pub(crate) fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }

    pub(crate) fn round(&mut self, lists: &[&str], now: Timestamp) -> Round {
        let round = self
            .runtime
            .block_on(self.puller.round(&subscriptions(lists), now));
        for (list, outcome) in &round.lists {
            if let ListOutcome::New {
                version,
                not_stored: None,
                ..
            } = outcome
            {
                let states = ListStates::open(self.state(), list).unwrap();
                // A disk that is full has its own tests.
                let _ = states.set_current(version.rank());
            }
        }
        round
    }

    /// A round of list `a`; what became of it.
    pub(crate) fn outcome(&mut self, now: Timestamp) -> &'static str {
        self.round(&["a"], now).outcome_of("a")
    }

    pub(crate) fn restore(&mut self, list: &str) -> RestoredList {
        self.puller.restore(&subscriptions(&[list])[0])
    }

    /// The serial that a start would put in force.
    pub(crate) fn seq(&mut self, list: &str) -> Option<u64> {
        self.restart();
        let (file, version) = self.restore(list).file?;
        assert_eq!(file.get().provenance.seq(), Some(version.seq));
        Some(version.seq)
    }

    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        files_below(&self.state)
    }
}

pub(crate) fn subscriptions(lists: &[&str]) -> Vec<Subscription> {
    lists
        .iter()
        .map(|list| Subscription {
            name: (*list).to_owned(),
            list: (*list).to_owned(),
        })
        .collect()
}

/// The names in a list, without the canary.
pub(crate) fn names(file: &Verified<ListFile>) -> Vec<String> {
    assert!(matches!(
        file.get().provenance.origin,
        Origin::Signed { .. }
    ));
    let text = file.get().text.whole().unwrap();
    let text = std::str::from_utf8(&text).unwrap();
    let entries = text
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let named = entries.filter(|entry| entry["canary"] != true);
    named
        .map(|entry| entry["value"].as_str().unwrap().to_owned())
        .collect()
}

/// A signed file.
fn signed_by(keys: impl Iterator<Item = SigningKey>, signed: &Value) -> Vec<u8> {
    let octets = to_canonical_bytes(signed).unwrap();
    let signatures: Vec<Value> = keys
        .map(|key| json!({"keyid": key_id(&key), "sig": hex(&key.sign(&octets).to_bytes())}))
        .collect();
    serde_json::to_vec(&json!({"signatures": signatures, "signed": signed})).unwrap()
}

pub(crate) fn key_object(key: &SigningKey) -> Value {
    let public = hex(key.verifying_key().as_bytes());
    json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}})
}

pub(crate) fn key_id(key: &SigningKey) -> String {
    hex(&Sha256::digest(
        to_canonical_bytes(&key_object(key)).unwrap(),
    ))
}

fn open(state: &Path, mirrors: &[Mirror], trust: &verify::Settings) -> Puller {
    let settings = source::Settings {
        repository: "hotlines".to_owned(),
        mirrors: mirrors.to_vec(),
        tls: None,
        timeout: std::time::Duration::from_secs(5),
    };
    Puller::open(state, &settings, trust).unwrap()
}

/// Names a file in its parent. A boxed closure, for `forge` calls itself.
fn pinning(role: &str, pin: Value) -> Box<dyn FnOnce(&mut Value)> {
    let file = format!("{role}.json");
    Box::new(move |signed| signed["meta"][file] = pin)
}

fn bump(signed: &mut Value) {
    signed["version"] = (signed["version"].as_u64().unwrap() + 1).into();
}

/// Writes files below a folder.
pub(crate) fn copy(files: &BTreeMap<String, Vec<u8>>, to: &Path) {
    for (name, bytes) in files {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

pub(crate) fn files_below(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}
