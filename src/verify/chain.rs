//! [`Chain`]: the roles that are trusted now, from the pinned root on.

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};
use sigstore_tuf::{
    Error as Rules, Key, MetaFile, Role, RoleKeys, Root, Snapshot, Targets, TrustedMetadataSet,
};

use super::{Settings, VerifyError, alias, hex, json, lint, signature};

/// Metadata that passed the rules of TUF (the library's) and the lint (ours). It remembers
/// no versions beyond the files it holds and does not know which file comes next; a step
/// that fails leaves it as it was.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) set: TrustedMetadataSet,
    pub(super) lint: Lint,
}

/// What is demanded of a file beyond the rules of TUF.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lint {
    /// What a node demands (trust.md section 7.4).
    Border {
        /// A root with a lower threshold is refused.
        min_root_threshold: u16,
    },
    /// Nothing: any repository of TUF will do.
    Off,
}

impl Lint {
    /// Reads a signed file within its limit.
    pub(super) fn read(
        self,
        file: &str,
        bytes: &[u8],
        octets_max: u64,
    ) -> Result<Value, VerifyError> {
        match self {
            Self::Border { .. } => read_envelope(file, bytes, octets_max),
            Self::Off => read_json(file, bytes, octets_max),
        }
    }
}

/// What a timestamp brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Taken {
    /// A newer version; it is trusted now.
    New,
    /// The version that is trusted already; the old file is kept.
    Equal,
}

impl Chain {
    /// The chain that begins at the pinned root.
    ///
    /// # Errors
    /// [`VerifyError`] for a root that is not signed by itself or fails the lint.
    pub(super) fn new(settings: &Settings) -> Result<Self, VerifyError> {
        let lint = Lint::Border {
            min_root_threshold: settings.min_root_threshold,
        };
        Self::begin("the pinned root", &settings.root, lint)
    }

    /// The chain that begins at a root of any repository of TUF; the lint is for lists alone.
    ///
    /// # Errors
    /// [`VerifyError`] for a root that is not signed by itself.
    pub(super) fn without_lint(file: &str, root: &[u8]) -> Result<Self, VerifyError> {
        Self::begin(file, root, Lint::Off)
    }

    /// The chain of that root alone.
    fn begin(file: &str, root: &[u8], lint: Lint) -> Result<Self, VerifyError> {
        signature::install().map_err(|reason| malformed(file, reason))?;
        lint.read(file, root, ROOT_OCTETS_MAX)?;
        let set = TrustedMetadataSet::from_root(root)
            .map_err(|error| VerifyError::from_rules(file, error))?;
        let chain = Self { set, lint };
        chain.lint_root(file)?;
        chain.count_keys_once::<Root>(file, root, "root")?;
        Ok(chain)
    }

    /// The rules' own view of what is trusted.
    pub(super) const fn set(&self) -> &TrustedMetadataSet {
        &self.set
    }

    /// Takes the next root. All other roles are dropped and must be taken again.
    pub(super) fn take_root(&mut self, file: &str, bytes: &[u8]) -> Result<(), VerifyError> {
        self.lint.read(file, bytes, ROOT_OCTETS_MAX)?;
        self.count_keys_once::<Root>(file, bytes, "root")?;
        self.step(|next| {
            next.set
                .update_root(bytes)
                .map_err(|error| VerifyError::from_rules(file, error))?;
            next.lint_root(file)?;
            next.count_keys_once::<Root>(file, bytes, "root")
        })
    }

    /// Takes a timestamp.
    pub(super) fn take_timestamp(
        &mut self,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Taken, VerifyError> {
        const FILE: &str = "timestamp.json";
        self.lint.read(FILE, bytes, TIMESTAMP_OCTETS_MAX)?;
        self.count_keys_once::<sigstore_tuf::Timestamp>(FILE, bytes, "timestamp")?;
        let taken = self.step(|next| {
            match next.set.update_timestamp(bytes, now) {
                Ok(()) => {}
                Err(Rules::EqualVersion { .. }) => return Ok(Taken::Equal),
                Err(error) => return Err(VerifyError::from_rules(FILE, error)),
            }
            if next.snapshot_pin().is_none() {
                return Err(malformed(FILE, "names no snapshot"));
            }
            next.check_issued(now)?;
            Ok(Taken::New)
        })?;
        self.check_timestamp_fresh(now)?;
        Ok(taken)
    }

    /// Takes the snapshot that the timestamp names.
    pub(super) fn take_snapshot(
        &mut self,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<(), VerifyError> {
        const FILE: &str = "snapshot.json";
        let pin = self
            .snapshot_pin()
            .ok_or_else(|| malformed(FILE, "is named by no timestamp"))?;
        let value = self.lint.read(FILE, bytes, SNAPSHOT_OCTETS_MAX)?;
        self.count_keys_once::<Snapshot>(FILE, bytes, "snapshot")?;
        check_pin(FILE, bytes, &value, pin)?;
        self.check_no_role_removed(&value)?;
        self.step(|next| {
            next.set
                .update_snapshot(bytes, now)
                .map_err(|error| VerifyError::from_rules(FILE, error))?;
            let snapshot = next.set.snapshot();
            let roles = snapshot.map_or(0, |snapshot| snapshot.meta.len());
            if roles > ROLES_MAX && next.lint != Lint::Off {
                let reason = format!("names more than {ROLES_MAX} roles");
                return Err(lint_error(FILE, reason));
            }
            check_fresh(FILE, snapshot.map(|snapshot| snapshot.expires), now)
        })
    }

    /// Takes the top-level targets role that the snapshot names.
    pub(super) fn take_targets(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), VerifyError> {
        const FILE: &str = "targets.json";
        let value = self.lint.read(FILE, bytes, TARGETS_OCTETS_MAX)?;
        self.count_keys_once::<Targets>(FILE, bytes, "targets")?;
        let pin = self
            .role_pin("targets")
            .ok_or_else(|| malformed(FILE, "is not named by the snapshot"))?;
        check_pin(FILE, bytes, &value, pin)?;
        self.step(|next| {
            let targets = next
                .set
                .update_targets(bytes, now)
                .map_err(|error| VerifyError::from_rules(FILE, error))?;
            check_fresh(FILE, Some(targets.expires), now)
        })
    }

    /// Which snapshot the timestamp names.
    pub(super) fn snapshot_pin(&self) -> Option<&MetaFile> {
        self.set.timestamp().and_then(|file| file.snapshot_meta())
    }

    /// Which version of a targets role the snapshot names.
    pub(super) fn role_pin(&self, role: &str) -> Option<&MetaFile> {
        let snapshot = self.set.snapshot()?;
        snapshot.meta.get(&format!("{role}.json"))
    }

    /// When the publisher signed the timestamp, by its own clock.
    pub(super) fn issued_at(&self) -> Option<Timestamp> {
        let issued = self.set.timestamp()?.extra.get("x-issued")?.as_str()?;
        issued.parse().ok()
    }

    /// The keys of the online roles; floors fall when they change.
    pub(super) fn online_keys(&self) -> Vec<(&RoleKeys, Vec<&Key>)> {
        let root = self.set.root();
        ["timestamp", "snapshot"]
            .into_iter()
            .filter_map(|name| root.role(name))
            .map(|role| {
                let keys = role.keyids.iter().filter_map(|id| root.keys.get(id));
                (role, keys.collect())
            })
            .collect()
    }

    /// Whether the root is still in its time.
    pub(super) fn check_root_fresh(&self, now: Timestamp) -> Result<(), VerifyError> {
        check_fresh("root.json", Some(self.set.root().expires), now)
    }

    /// Whether the timestamp is still in its time.
    pub(super) fn check_timestamp_fresh(&self, now: Timestamp) -> Result<(), VerifyError> {
        let expires = self.set.timestamp().map(|timestamp| timestamp.expires);
        check_fresh("timestamp.json", expires, now)
    }

    /// Whether the trusted snapshot is the one the timestamp names, and in its time.
    pub(super) fn has_current_snapshot(&self, now: Timestamp) -> bool {
        let named = self.snapshot_pin().map(|pin| pin.version);
        self.set
            .snapshot()
            .is_some_and(|snapshot| Some(snapshot.version) == named && snapshot.expires > now)
    }

    /// Whether the trusted targets role is the one the snapshot names, and in its time.
    pub(super) fn has_current_role(&self, role: &str, now: Timestamp) -> bool {
        let named = self.role_pin(role).map(|pin| pin.version);
        self.set
            .targets_role(role)
            .is_some_and(|targets| Some(targets.version) == named && targets.expires > now)
    }

    /// Does one step on a copy, and keeps the copy when it succeeds.
    pub(super) fn step<T>(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<T, VerifyError>,
    ) -> Result<T, VerifyError> {
        let mut next = self.clone();
        let done = step(&mut next)?;
        *self = next;
        Ok(done)
    }

    /// The lint of the newest root.
    fn lint_root(&self, file: &str) -> Result<(), VerifyError> {
        let Lint::Border { min_root_threshold } = self.lint else {
            return Ok(());
        };
        lint::check_root(self.set.root(), min_root_threshold)
            .map_err(|reason| lint_error(file, reason))
    }

    /// Whether a file of a top-level role is signed by enough keys when each counts once,
    /// under however many ids the newest root has it.
    fn count_keys_once<T: Role>(
        &self,
        file: &str,
        bytes: &[u8],
        role: &str,
    ) -> Result<(), VerifyError> {
        let root = self.set.root();
        match root.role(role) {
            Some(role) => alias::count_once::<T>(file, bytes, &root.keys, role),
            None => Ok(()),
        }
    }

    /// Refuses a snapshot in which a role that was there is not any more.
    fn check_no_role_removed(&self, offered: &Value) -> Result<(), VerifyError> {
        let Some(trusted) = self.set.snapshot() else {
            return Ok(());
        };
        let meta = offered.pointer("/signed/meta");
        let gone = trusted
            .meta
            .keys()
            .find(|file| meta.and_then(|meta| meta.get(file.as_str())).is_none());
        match gone {
            Some(file) => Err(VerifyError::Missing { file: file.clone() }),
            None => Ok(()),
        }
    }

    /// Refuses a timestamp issued by a clock more than a day ahead of ours: with one of
    /// the two so wrong, expiry would mean nothing.
    fn check_issued(&self, now: Timestamp) -> Result<(), VerifyError> {
        match self.issued_at() {
            Some(issued) if self.lint != Lint::Off && issued.duration_since(now) > AHEAD_MAX => {
                Err(VerifyError::FromTheFuture {
                    file: "timestamp.json".to_owned(),
                    issued,
                    now,
                })
            }
            _ => Ok(()),
        }
    }
}

/// Reads a signed file within its limit; what readers may disagree about is refused.
pub(super) fn read_envelope(
    file: &str,
    bytes: &[u8],
    octets_max: u64,
) -> Result<Value, VerifyError> {
    let value = read_json(file, bytes, octets_max)?;
    lint::check_envelope(&value).map_err(|reason| malformed(file, &reason))?;
    Ok(value)
}

/// Reads any JSON file within its limit.
fn read_json(file: &str, bytes: &[u8], octets_max: u64) -> Result<Value, VerifyError> {
    if bytes.len() as u64 > octets_max {
        return Err(VerifyError::TooLong {
            file: file.to_owned(),
            octets_max,
        });
    }
    let value = json::read(bytes).map_err(|error| malformed(file, &error.to_string()))?;
    let spec_version = value
        .pointer("/signed/spec_version")
        .and_then(Value::as_str);
    if spec_version.is_some_and(|version| !version.starts_with("1.")) {
        return Err(VerifyError::Unsupported {
            file: file.to_owned(),
            reason: "has a spec_version of TUF above 1".to_owned(),
        });
    }
    Ok(value)
}

/// Compares a file with what its parent role says of it.
pub(super) fn check_pin(
    file: &str,
    bytes: &[u8],
    value: &Value,
    pin: &MetaFile,
) -> Result<(), VerifyError> {
    let differs = |expected: &str, found: String| VerifyError::HashMismatch {
        file: file.to_owned(),
        expected: expected.to_owned(),
        found,
    };
    let found = value.pointer("/signed/version").and_then(Value::as_u64);
    let found = found.ok_or_else(|| malformed(file, "has no version"))?;
    if found != pin.version {
        return Err(VerifyError::VersionMismatch {
            file: file.to_owned(),
            expected: pin.version,
            found,
        });
    }
    let octets = bytes.len() as u64;
    if let Some(length) = pin.length.filter(|length| *length != octets) {
        return Err(differs(&format!("{length} octets"), octets.to_string()));
    }
    for (algorithm, expected) in pin.hashes.iter().flatten() {
        let found = match algorithm.as_str() {
            "sha256" => hex(&Sha256::digest(bytes)),
            "sha512" => hex(&Sha512::digest(bytes)),
            _ => continue,
        };
        if !found.eq_ignore_ascii_case(expected) {
            return Err(differs(expected, found));
        }
    }
    Ok(())
}

/// Whether a file of the version that its parent role names is what is named; one of another
/// version is not judged.
pub(super) fn is_as_named(bytes: &[u8], pin: &MetaFile) -> bool {
    let value = serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let version = value.pointer("/signed/version").and_then(Value::as_u64);
    version != Some(pin.version) || check_pin("", bytes, &value, pin).is_ok()
}

/// Whether something that expires then is still in its time. Unlike the library, a file is
/// expired at the very moment it names, as the specification has it.
pub(super) fn check_fresh(
    file: &str,
    expires: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), VerifyError> {
    match expires {
        Some(expires) if expires <= now => Err(VerifyError::Expired {
            file: file.to_owned(),
            expires,
        }),
        _ => Ok(()),
    }
}

/// The error for a file that does not look as such a file does.
pub(super) fn malformed(file: &str, reason: &str) -> VerifyError {
    VerifyError::Malformed {
        file: file.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The error for what the lint does not have.
pub(super) fn lint_error(file: &str, reason: String) -> VerifyError {
    VerifyError::Lint {
        file: file.to_owned(),
        reason,
    }
}

/// The most octets of a root.
pub const ROOT_OCTETS_MAX: u64 = 512 << 10;
/// The most octets of a timestamp.
pub(super) const TIMESTAMP_OCTETS_MAX: u64 = 16 << 10;
/// The most octets of a snapshot.
pub(super) const SNAPSHOT_OCTETS_MAX: u64 = 256 << 10;
/// The most octets of a targets role.
pub(super) const TARGETS_OCTETS_MAX: u64 = 1 << 20;
/// The most roles that a snapshot names, and that a search visits.
pub(super) const ROLES_MAX: usize = 64;
/// How far the publisher's clock may be ahead of ours.
pub(super) const AHEAD_MAX: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);
