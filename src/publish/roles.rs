//! [`Role`]: the signed part of one role, as it is and as it will be signed next.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::signature::is_key_of;

/// The signed part of one role. Members that are not known here are kept as they are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Role {
    /// Its name: `root`, `targets`, `snapshot`, `timestamp`, `list-X`.
    pub(super) name: String,
    /// What its signatures cover.
    pub(super) signed: Map<String, Value>,
}

/// Who signs a role.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Signers {
    /// The ids of its keys.
    pub(super) keyids: Vec<String>,
    /// How many of them must sign.
    pub(super) threshold: usize,
}

impl Role {
    /// A role that was never signed: version 0.
    pub(super) fn new(name: &str, kind: &str, content: Value) -> Self {
        let mut signed = Map::new();
        signed.insert("_type".to_owned(), kind.into());
        signed.insert("spec_version".to_owned(), SPEC_VERSION.into());
        signed.insert("version".to_owned(), 0.into());
        if let Value::Object(content) = content {
            signed.extend(content);
        }
        Self {
            name: name.to_owned(),
            signed,
        }
    }

    /// The role in a signed file.
    pub(super) fn read(name: &str, file: &[u8]) -> Option<Self> {
        let file: Value = serde_json::from_slice(file).ok()?;
        let signed = file.get("signed")?.as_object()?.clone();
        let role = Self {
            name: name.to_owned(),
            signed,
        };
        (role.version() > 0).then_some(role)
    }

    /// Its version; 0 before it is signed first.
    pub(super) fn version(&self) -> u64 {
        let version = self.signed.get("version").and_then(Value::as_u64);
        version.unwrap_or(0)
    }

    /// When it expires.
    pub(super) fn expires(&self) -> Timestamp {
        let expires = self.signed.get("expires").and_then(Value::as_str);
        expires
            .and_then(|text| text.parse().ok())
            .unwrap_or_default()
    }

    /// When it is to be renewed: past half its life.
    pub(super) fn due(&self) -> Timestamp {
        let half = SignedDuration::from_hours(self.hours() / 2);
        self.expires().checked_sub(half).unwrap_or(Timestamp::MIN)
    }

    /// Makes it the next version, issued at `now`.
    pub(super) fn renew(&mut self, now: Timestamp) {
        let version = self.version().saturating_add(1);
        let expires = now
            .checked_add(SignedDuration::from_hours(self.hours()))
            .unwrap_or(Timestamp::MAX);
        self.signed.insert("version".to_owned(), version.into());
        self.signed
            .insert("expires".to_owned(), utc(expires).into());
        if self.name == "timestamp" {
            self.signed.insert("x-issued".to_owned(), utc(now).into());
        }
    }

    /// The file it is in, below `metadata`.
    pub(super) fn file(&self) -> String {
        match self.name.as_str() {
            "timestamp" => "metadata/timestamp.json".to_owned(),
            name => format!("metadata/{}.{name}.json", self.version()),
        }
    }

    /// Who signs a top-level role, by this root.
    pub(super) fn signers_of(&self, role: &str) -> Signers {
        let role = self.signed.get("roles").and_then(|roles| roles.get(role));
        role.map(Signers::read).unwrap_or_default()
    }

    /// The delegated roles of this targets role, in order.
    pub(super) fn delegated(&self) -> &[Value] {
        let roles = self
            .signed
            .get("delegations")
            .and_then(|delegations| delegations.get("roles"))
            .and_then(Value::as_array);
        roles.map_or(&[], Vec::as_slice)
    }

    /// One delegated role.
    pub(super) fn delegation(&self, role: &str) -> Option<&Value> {
        let name =
            |delegation: &&Value| delegation.get("name").and_then(Value::as_str) == Some(role);
        self.delegated().iter().find(name)
    }

    /// The first key id, among those that this root or targets role lets sign, that is not the
    /// digest of the key under it (trust.md section 7.4).
    pub(super) fn misnamed_key(&self) -> Option<String> {
        let keys = match self.name.as_str() {
            "root" => self.signed.get("keys"),
            _ => self.signed.get("delegations").and_then(|it| it.get("keys")),
        };
        let roles = self.signed.get("roles").and_then(Value::as_object);
        let roles = roles.into_iter().flat_map(Map::values);
        let mut ids = roles
            .chain(self.delegated())
            .flat_map(|role| Signers::read(role).keyids);
        ids.find(|id| {
            let key = keys.and_then(|keys| keys.get(id));
            !key.is_some_and(|key| is_key_of(id, key))
        })
    }

    /// Changes a member that is an object; it is made where it is not there.
    pub(super) fn edit(&mut self, name: &str, edit: impl FnOnce(&mut Map<String, Value>)) {
        let mut object = match self.signed.remove(name) {
            Some(Value::Object(object)) => object,
            _ => Map::new(),
        };
        edit(&mut object);
        self.signed.insert(name.to_owned(), Value::Object(object));
    }

    /// How long a version lives (trust.md section 7.2), in hours.
    fn hours(&self) -> i64 {
        match self.name.as_str() {
            "root" => 365 * 24,
            "targets" => 90 * 24,
            "snapshot" => 2 * 24,
            "timestamp" => 6,
            _ => 7 * 24,
        }
    }
}

impl Signers {
    /// Who signs, as a root or a delegation has it.
    pub(super) fn read(role: &Value) -> Self {
        let keyids = role.get("keyids").and_then(Value::as_array);
        let threshold = role.get("threshold").and_then(Value::as_u64);
        Self {
            keyids: keyids
                .into_iter()
                .flatten()
                .filter_map(|id| id.as_str().map(str::to_owned))
                .collect(),
            threshold: usize::try_from(threshold.unwrap_or(u64::MAX)).unwrap_or(usize::MAX),
        }
    }
}

/// A time in whole seconds, as TUF writes it.
pub(super) fn utc(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second())
        .unwrap_or(time)
        .to_string()
}

/// The version of the specification that is followed.
const SPEC_VERSION: &str = "1.0.34";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(name: &str, expires: &str, due: &str) {
        let now: Timestamp = "2026-11-24T06:00:00.7Z".parse().unwrap();
        let mut role = Role::new(name, "targets", json!({"x-kept": 1}));
        role.renew(now);
        assert_eq!(role.signed["expires"], expires);
        assert_eq!(role.due().to_string(), due);
        let file = serde_json::to_vec(&json!({"signed": role.signed, "signatures": []})).unwrap();
        let mut read = Role::read(name, &file).unwrap();
        assert_eq!(read, role);
        read.renew(now);
        assert_eq!((read.version(), &read.signed["x-kept"]), (2, &json!(1)));
    }

    #[test]
    fn roles_live_as_long_as_the_design_says() {
        check("root", "2027-11-24T06:00:00Z", "2027-05-25T18:00:00Z");
        check("targets", "2027-02-22T06:00:00Z", "2027-01-08T06:00:00Z");
        check("list-a", "2026-12-01T06:00:00Z", "2026-11-27T18:00:00Z");
        check("snapshot", "2026-11-26T06:00:00Z", "2026-11-25T06:00:00Z");
        check("timestamp", "2026-11-24T12:00:00Z", "2026-11-24T09:00:00Z");
    }

    #[test]
    fn a_file_without_a_version_is_no_role() {
        assert_eq!(Role::read("root", b"{\"signed\":{}}"), None);
        assert_eq!(Role::read("root", b"no"), None);
    }
}
