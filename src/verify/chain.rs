//! [`Chain`]: the roles that are trusted now, from the pinned root on.

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};
use sigstore_tuf::{Error as Rules, Key, MetaFile, RoleKeys, TrustedMetadataSet};

use super::{Settings, VerifyError, hex, json, lint, signature};

/// Metadata that passed the rules of TUF (the library's) and the lint (ours). It remembers
/// no versions beyond the files it holds and does not know which file comes next; a step
/// that fails leaves it as it was.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) set: TrustedMetadataSet,
    min_root_threshold: u16,
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
        signature::install().map_err(|reason| malformed("the pinned root", reason))?;
        read_envelope("the pinned root", &settings.root, ROOT_OCTETS_MAX)?;
        let set = TrustedMetadataSet::from_root(&settings.root)
            .map_err(|error| VerifyError::from_rules("the pinned root", error))?;
        let chain = Self {
            set,
            min_root_threshold: settings.min_root_threshold,
        };
        chain.lint_root("the pinned root")?;
        Ok(chain)
    }

    /// The rules' own view of what is trusted.
    pub(super) const fn set(&self) -> &TrustedMetadataSet {
        &self.set
    }

    /// Takes the next root. All other roles are dropped and must be taken again.
    pub(super) fn take_root(&mut self, file: &str, bytes: &[u8]) -> Result<(), VerifyError> {
        read_envelope(file, bytes, ROOT_OCTETS_MAX)?;
        self.step(|next| {
            next.set
                .update_root(bytes)
                .map_err(|error| VerifyError::from_rules(file, error))?;
            next.lint_root(file)
        })
    }

    /// Takes a timestamp.
    pub(super) fn take_timestamp(
        &mut self,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Taken, VerifyError> {
        const FILE: &str = "timestamp.json";
        read_envelope(FILE, bytes, TIMESTAMP_OCTETS_MAX)?;
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
        let value = read_envelope(FILE, bytes, SNAPSHOT_OCTETS_MAX)?;
        check_pin(FILE, bytes, &value, pin)?;
        self.check_no_role_removed(&value)?;
        self.step(|next| {
            next.set
                .update_snapshot(bytes, now)
                .map_err(|error| VerifyError::from_rules(FILE, error))?;
            let snapshot = next.set.snapshot();
            if snapshot.is_some_and(|snapshot| snapshot.meta.len() > ROLES_MAX) {
                let reason = format!("names more than {ROLES_MAX} roles");
                return Err(lint_error(FILE, reason));
            }
            check_fresh(FILE, snapshot.map(|snapshot| snapshot.expires), now)
        })
    }

    /// Takes the top-level targets role that the snapshot names.
    pub(super) fn take_targets(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), VerifyError> {
        const FILE: &str = "targets.json";
        let value = read_envelope(FILE, bytes, TARGETS_OCTETS_MAX)?;
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
        lint::check_root(self.set.root(), self.min_root_threshold)
            .map_err(|reason| lint_error(file, reason))
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
            Some(issued) if issued.duration_since(now) > AHEAD_MAX => {
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
    if bytes.len() as u64 > octets_max {
        return Err(VerifyError::TooLong {
            file: file.to_owned(),
            octets_max,
        });
    }
    let value = json::read(bytes).map_err(|error| malformed(file, &error.to_string()))?;
    lint::check_envelope(&value).map_err(|reason| malformed(file, &reason))?;
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
        if found != *expected {
            return Err(differs(expected, found));
        }
    }
    Ok(())
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
/// The most roles that a snapshot names.
const ROLES_MAX: usize = 64;
/// How far the publisher's clock may be ahead of ours.
pub(super) const AHEAD_MAX: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);
