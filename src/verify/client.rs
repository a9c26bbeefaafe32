//! [`Client`]: the TUF client workflow for a repository of anything, without our lint: says
//! which file it wants next, to refresh and to find a target file.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sigstore_tuf::{Metadata, Snapshot};

use super::chain::{
    Chain, ROOT_OCTETS_MAX, SNAPSHOT_OCTETS_MAX, TARGETS_OCTETS_MAX, TIMESTAMP_OCTETS_MAX, Taken,
};
use super::floors::Floors;
use super::search::{Search, Visit};
use super::target::Target;
use super::{Answer, VerifyError, Write};

/// A client of the specification's section 5, over the same rules as
/// [`TrustedMetadata`](super::TrustedMetadata). It is for `cordon tuf` (trust.md section 2):
/// any repository of TUF will do, and what is in it is nothing to it.
///
/// Its memory is a folder that holds the trusted files, byte for byte, under unversioned
/// names. The root there is trusted; everything else is verified again, and says what is too
/// old even when it is expired.
#[derive(Debug)]
pub struct Client {
    chain: Chain,
    /// The trusted files, by their names in the folder; roots apart.
    held: BTreeMap<String, Vec<u8>>,
    /// Versions below which no snapshot and no role is taken.
    floors: Floors,
    now: Timestamp,
    root_steps: u32,
    stage: Stage,
    found: Option<Result<Target, VerifyError>>,
}

/// A metadata file that a client wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WantedMetadata {
    /// Its path below the address of the metadata.
    pub path: String,
    /// The most octets it may have.
    pub octets_max: u64,
}

/// Which file is wanted.
#[derive(Debug)]
enum Stage {
    Root,
    Timestamp,
    Snapshot,
    Targets,
    /// The role that the search has come to.
    Role(Search, Visit),
    /// All is refreshed, and no search is under way.
    Done,
    /// A file was refused; nothing more is wanted.
    Failed,
}

impl Client {
    /// What an empty folder is given: the root to trust from now on.
    ///
    /// # Errors
    /// [`VerifyError`] for a root that is not signed by itself.
    pub fn init(root: &[u8]) -> Result<Write, VerifyError> {
        Chain::without_lint("the trusted root", root)?;
        Ok(Write::Put(ROOT.to_owned(), root.to_vec()))
    }

    /// Begins to refresh from the `files` of the folder; every expiry is judged by `now`.
    ///
    /// # Errors
    /// [`VerifyError`] without a sound root among the files.
    pub fn begin(files: BTreeMap<String, Vec<u8>>, now: Timestamp) -> Result<Self, VerifyError> {
        let mut held = files;
        let root = held.remove(ROOT).ok_or_else(|| missing(ROOT))?;
        Ok(Self {
            chain: Chain::without_lint(ROOT, &root)?,
            held,
            floors: Floors::default(),
            now,
            root_steps: 0,
            stage: Stage::Root,
            found: None,
        })
    }

    /// The file that is wanted; nothing when all is refreshed and no search is under way.
    #[must_use]
    pub fn next(&self) -> Option<WantedMetadata> {
        let (path, octets_max) = match &self.stage {
            Stage::Root => (self.root_file(), ROOT_OCTETS_MAX),
            Stage::Timestamp => (TIMESTAMP.to_owned(), TIMESTAMP_OCTETS_MAX),
            Stage::Snapshot => {
                let pin = self.chain.snapshot_pin()?;
                let octets_max = pin.length.unwrap_or(u64::MAX).min(SNAPSHOT_OCTETS_MAX);
                (self.path_of("snapshot", pin.version), octets_max)
            }
            Stage::Targets => self.role_file("targets"),
            Stage::Role(_, visit) => self.role_file(&visit.role),
            Stage::Done | Stage::Failed => return None,
        };
        Some(WantedMetadata { path, octets_max })
    }

    /// Judges what was got for the wanted file. The writes must be durable before the next
    /// request.
    ///
    /// # Errors
    /// [`VerifyError`]; what was trusted still is, but this refresh has failed.
    pub fn feed(&mut self, answer: Answer<'_>) -> Result<Vec<Write>, VerifyError> {
        let wanted = self.next().map_or_else(String::new, |wanted| wanted.path);
        match (std::mem::replace(&mut self.stage, Stage::Failed), answer) {
            (Stage::Root, Answer::File(bytes)) => self.feed_root(bytes),
            (Stage::Root, Answer::Absent) => self.end_roots(),
            (Stage::Timestamp, Answer::File(bytes)) => self.feed_timestamp(bytes),
            (Stage::Snapshot, Answer::File(bytes)) => self.feed_snapshot(bytes),
            (Stage::Targets, Answer::File(bytes)) => {
                self.chain.take_targets(bytes, self.now)?;
                self.stage = Stage::Done;
                Ok(vec![self.accept("targets.json".to_owned(), bytes)])
            }
            (Stage::Role(search, visit), Answer::File(bytes)) => {
                self.feed_role(search, visit, bytes)
            }
            (stage @ (Stage::Done | Stage::Failed), _) => {
                self.stage = stage;
                Ok(Vec::new())
            }
            (_, Answer::Absent | Answer::Unchanged | Answer::Stored(_)) => Err(missing(&wanted)),
        }
    }

    /// Begins to search for the target file of that path, when all is refreshed.
    pub fn seek(&mut self, path: &str) {
        if matches!(self.stage, Stage::Done) {
            self.go_on(Search::new(path));
        }
    }

    /// What the search has come to, once.
    ///
    /// # Errors
    /// [`VerifyError`] where no role that may speak for the path knows it, or the search
    /// cannot be carried on; so also where it has not ended, or all is not refreshed.
    pub fn take_found(&mut self) -> Result<Target, VerifyError> {
        self.found.take().unwrap_or_else(|| {
            Err(VerifyError::Malformed {
                file: "targets.json".to_owned(),
                reason: "is not refreshed, so that nothing can be found".to_owned(),
            })
        })
    }

    /// Whether a target file stands in the repository under a name with its hash.
    #[must_use]
    pub fn has_consistent_snapshot(&self) -> bool {
        self.chain.set().root().consistent_snapshot
    }

    /// N+1.root.json is there.
    fn feed_root(&mut self, bytes: &[u8]) -> Result<Vec<Write>, VerifyError> {
        let file = self.root_file();
        if self.root_steps >= ROOT_STEPS_MAX {
            let reason = format!("is beyond the {ROOT_STEPS_MAX} roots of one refresh");
            return Err(VerifyError::Malformed { file, reason });
        }
        self.chain.take_root(&file, bytes)?;
        self.root_steps = self.root_steps.saturating_add(1);
        self.stage = Stage::Root;
        Ok(vec![Write::Put(ROOT.to_owned(), bytes.to_vec())])
    }

    /// There is no newer root: from here on, what is held sets the floors.
    fn end_roots(&mut self) -> Result<Vec<Write>, VerifyError> {
        self.chain.check_root_fresh(self.now)?;
        self.set_floors();
        self.stage = Stage::Timestamp;
        Ok(Vec::new())
    }

    /// Takes the held timestamp and snapshot for what they say is too old. Once the root has
    /// replaced the keys of either, neither says anything: whoever had the keys may have
    /// raised the versions out of reach (the specification's section 5.3.11).
    fn set_floors(&mut self) {
        let snapshot = self.held.get(SNAPSHOT);
        let signed = snapshot.map(|bytes| self.signed_snapshot(bytes));
        if matches!(signed, Some(Err(VerifyError::ThresholdNotMet { .. }))) {
            return;
        }
        let timestamp = self.held.get(TIMESTAMP);
        if timestamp.is_none_or(|bytes| self.chain.take_timestamp(bytes, WHENEVER).is_err()) {
            return;
        }
        // The last refresh may have ended before it had the snapshot that is named now; the
        // one that is held counts all the same.
        if let Some(Ok(snapshot)) = signed {
            self.floors.snapshot = snapshot.version;
            for (file, pin) in &snapshot.meta {
                self.floors.roles.insert(file.clone(), pin.version);
            }
        }
        if let Some(bytes) = snapshot {
            let _ = self.chain.take_snapshot(bytes, WHENEVER);
        }
    }

    /// A snapshot that is signed by the present root's keys, whether it is the one that the
    /// timestamp names or not.
    fn signed_snapshot(&self, bytes: &[u8]) -> Result<Snapshot, VerifyError> {
        let refused = |error| VerifyError::from_rules(SNAPSHOT, error);
        let root = self.chain.set().root();
        let keys = root.role("snapshot").ok_or_else(|| missing(SNAPSHOT))?;
        let metadata = Metadata::<Snapshot>::from_slice(bytes).map_err(refused)?;
        metadata
            .verify_threshold(&root.keys, keys, SNAPSHOT)
            .map_err(refused)?;
        Ok(metadata.into_signed())
    }

    /// A timestamp; an equal version changes nothing.
    fn feed_timestamp(&mut self, bytes: &[u8]) -> Result<Vec<Write>, VerifyError> {
        let mut chain = self.chain.clone();
        let taken = chain.take_timestamp(bytes, self.now)?;
        let snapshot = chain.snapshot_pin().map_or(0, |pin| pin.version);
        if snapshot < self.floors.snapshot {
            return Err(rollback(SNAPSHOT, self.floors.snapshot, snapshot));
        }
        self.chain = chain;
        self.stage = Stage::Snapshot;
        let writes = match taken {
            Taken::New => vec![self.accept(TIMESTAMP.to_owned(), bytes)],
            Taken::Equal => Vec::new(),
        };
        self.settle_snapshot();
        Ok(writes)
    }

    /// The snapshot that the timestamp names.
    fn feed_snapshot(&mut self, bytes: &[u8]) -> Result<Vec<Write>, VerifyError> {
        let mut chain = self.chain.clone();
        chain.take_snapshot(bytes, self.now)?;
        let meta = chain.set().snapshot().map(|snapshot| &snapshot.meta);
        for (file, floor) in &self.floors.roles {
            match meta.and_then(|meta| meta.get(file)) {
                Some(pin) if pin.version < *floor => {
                    return Err(rollback(file, *floor, pin.version));
                }
                Some(_) => {}
                None => return Err(missing(file)),
            }
        }
        self.chain = chain;
        let write = self.accept(SNAPSHOT.to_owned(), bytes);
        self.settle_targets();
        Ok(vec![write])
    }

    /// The role that the search has come to.
    fn feed_role(
        &mut self,
        search: Search,
        visit: Visit,
        bytes: &[u8],
    ) -> Result<Vec<Write>, VerifyError> {
        let Visit { role, delegator } = &visit;
        self.chain
            .take_delegated_role(role, delegator, bytes, self.now)?;
        self.stage = Stage::Done;
        let write = self.accept(format!("{}.json", quoted(role)), bytes);
        self.visit(search, &visit);
        Ok(vec![write])
    }

    /// Goes on to the targets role when the snapshot that is named is held.
    fn settle_snapshot(&mut self) {
        let held = self.held.get(SNAPSHOT);
        if self.chain.has_current_snapshot(self.now)
            || held.is_some_and(|bytes| self.chain.take_snapshot(bytes, self.now).is_ok())
        {
            self.settle_targets();
        } else {
            self.stage = Stage::Snapshot;
        }
    }

    /// All is refreshed when the targets role that is named is held.
    fn settle_targets(&mut self) {
        let held = self.held.get("targets.json");
        let is_held = held.is_some_and(|bytes| self.chain.take_targets(bytes, self.now).is_ok());
        self.stage = if is_held { Stage::Done } else { Stage::Targets };
    }

    /// Carries the search on as far as the roles that are held lead.
    fn go_on(&mut self, mut search: Search) {
        let visit = match search.next() {
            Ok(visit) => visit,
            Err(error) => {
                self.found = Some(Err(error));
                return;
            }
        };
        let Visit { role, delegator } = &visit;
        if role == "targets" {
            return self.visit(search, &visit);
        }
        if self.chain.role_pin(role).is_none() {
            self.found = Some(Err(missing(&format!("{role}.json"))));
            return;
        }
        let held = self.held.get(&format!("{}.json", quoted(role)));
        let is_held = held.is_some_and(|bytes| {
            self.chain
                .take_delegated_role(role, delegator, bytes, self.now)
                .is_ok()
        });
        if is_held {
            self.visit(search, &visit);
        } else {
            self.stage = Stage::Role(search, visit);
        }
    }

    /// Looks into a role that is trusted, and goes on where it does not know the path.
    fn visit(&mut self, mut search: Search, visit: &Visit) {
        match self.chain.set().targets_role(&visit.role) {
            Some(targets) => match search.look_into(&visit.role, targets) {
                Ok(None) => self.go_on(search),
                Ok(Some(target)) => self.found = Some(Ok(target)),
                Err(error) => self.found = Some(Err(error)),
            },
            None => self.found = Some(Err(missing(&format!("{}.json", visit.role)))),
        }
    }

    /// Notes a file as trusted.
    fn accept(&mut self, file: String, bytes: &[u8]) -> Write {
        self.held.insert(file.clone(), bytes.to_vec());
        Write::Put(file, bytes.to_vec())
    }

    /// The file of the next root.
    fn root_file(&self) -> String {
        let version = self.chain.set().root().version.saturating_add(1);
        format!("{version}.root.json")
    }

    /// Path and limit of the file of a targets role.
    fn role_file(&self, role: &str) -> (String, u64) {
        let pin = self.chain.role_pin(role);
        let version = pin.map_or(0, |pin| pin.version);
        let length = pin.and_then(|pin| pin.length).unwrap_or(u64::MAX);
        (self.path_of(role, version), length.min(TARGETS_OCTETS_MAX))
    }

    /// The path of a file that its parent names with a version.
    fn path_of(&self, role: &str, version: u64) -> String {
        let role = quoted(role);
        if self.has_consistent_snapshot() {
            format!("{version}.{role}.json")
        } else {
            format!("{role}.json")
        }
    }
}

/// A name as one segment of a path, percent-encoded where it is not a letter, a digit or one
/// of `-_.~` (RFC 3986 section 2.3), so that it stays one in folders and addresses.
#[must_use]
pub fn quoted(name: &str) -> String {
    use std::fmt::Write as _;

    let mut quoted = String::with_capacity(name.len());
    for octet in name.bytes() {
        if octet.is_ascii_alphanumeric() || b"-_.~".contains(&octet) {
            quoted.push(char::from(octet));
        } else {
            // Writing to a string does not fail.
            let _ = write!(quoted, "%{octet:02X}");
        }
    }
    quoted
}

/// The error for a file that is not there.
fn missing(file: &str) -> VerifyError {
    VerifyError::Missing {
        file: file.to_owned(),
    }
}

/// The error for going back.
fn rollback(file: &str, trusted: u64, offered: u64) -> VerifyError {
    VerifyError::Rollback {
        file: file.to_owned(),
        trusted,
        offered,
    }
}

/// The file of the newest trusted root.
const ROOT: &str = "root.json";
/// The file of the trusted timestamp.
const TIMESTAMP: &str = "timestamp.json";
/// The file of the trusted snapshot.
const SNAPSHOT: &str = "snapshot.json";
/// The time by which files that were accepted once are judged: none of them is expired then.
const WHENEVER: Timestamp = Timestamp::MIN;
/// The most new roots of one refresh.
const ROOT_STEPS_MAX: u32 = 256;
