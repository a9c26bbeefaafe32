//! [`Users`]: who may see what; the users file, read anew when it changes.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;

use super::{ReportError, password};

/// The users of the report. The file is written by `cordon user add` and read anew as soon as
/// it changes; one that cannot be understood leaves the users as they were.
#[derive(Debug)]
pub struct Users {
    path: PathBuf,
    read: Mutex<(Stamp, Arc<[User]>)>,
}

/// One user.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name to log in with.
    pub name: String,
    /// What they may see.
    pub role: Role,
    /// The argon2id hash of the password, as a PHC string.
    pub password: String,
    /// Only these lists; nothing for all.
    #[serde(default)]
    pub lists: Option<Vec<String>>,
}

/// What somebody may see.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Exact figures on the pages.
    Operator,
    /// Figures with small counts of entries hidden.
    Regulator,
}

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSpec {
    version: u32,
    users: Vec<User>,
}

/// What changes when a file is replaced or written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl Users {
    /// Opens the users file.
    ///
    /// # Errors
    /// [`ReportError::Users`].
    pub fn open(path: &Path) -> Result<Self, ReportError> {
        let (stamp, users) = read(path)?;
        Ok(Self {
            path: path.to_owned(),
            read: Mutex::new((stamp, users.into())),
        })
    }

    /// The user of that name, as the file stands now. A file that is gone has no users.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<User> {
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match stamp(&self.path) {
            Ok(stamp) if stamp == known.0 => {}
            Ok(new_stamp) => match read(&self.path) {
                Ok((stamp, users)) => *known = (stamp, users.into()),
                Err(error) => {
                    tracing::warn!(%error, "the users stay as they were");
                    // Said once for each change.
                    known.0 = new_stamp;
                }
            },
            Err(_) => return None,
        }
        known.1.iter().find(|user| user.name == name).cloned()
    }
}

impl User {
    /// A user with that password.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the name or password.
    pub fn new(
        name: &str,
        role: Role,
        lists: Option<Vec<String>>,
        password: &str,
    ) -> Result<Self, String> {
        if !is_name(name) {
            return Err(format!(
                "a user's name is 1 to {NAME_CHARS_MAX} lower-case letters, digits, and . _ - @"
            ));
        }
        if password.chars().count() < password::PASSWORD_CHARS_MIN
            || password.len() > password::PASSWORD_OCTETS_MAX
        {
            return Err(format!(
                "a password has at least {} characters; a few random words are easy to remember",
                password::PASSWORD_CHARS_MIN
            ));
        }
        let password = password::hash(password)
            .ok_or_else(|| "the system gives no random numbers; try again".to_owned())?;
        Ok(Self {
            name: name.to_owned(),
            role,
            password,
            lists,
        })
    }

    /// Adds this user to a users file, or begins one; says whether there was one of that name,
    /// who is replaced when `replace` says so.
    ///
    /// # Errors
    /// [`ReportError::Users`].
    pub fn add_to(self, path: &Path, replace: bool) -> Result<bool, ReportError> {
        let failed = |reason: String| ReportError::Users {
            path: path.to_owned(),
            reason,
        };
        let mut users = match read(path) {
            Ok((_, users)) => users,
            Err(_) if !path.exists() => Vec::new(),
            Err(error) => return Err(error),
        };
        let before = users.len();
        users.retain(|user| user.name != self.name);
        let is_there = users.len() < before;
        if is_there && !replace {
            return Err(failed(format!(
                "there is a user {} already; --replace gives a new password and role",
                self.name
            )));
        }
        users.push(self);
        write(path, &render(&users)).map_err(|error| failed(error.to_string()))?;
        Ok(is_there)
    }
}

impl Role {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Regulator => "regulator",
        }
    }

    /// The role of that word; nothing for a word that is none.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Operator, Self::Regulator]
            .into_iter()
            .find(|role| role.as_str() == word)
    }
}

/// Whether a name can be a user's, or a list's as a user's file names it: no quoting needed.
pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'@'))
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let found = fs::metadata(path)?;
    Ok(Stamp {
        inode: found.ino(),
        len: found.len(),
        modified: (found.mtime(), found.mtime_nsec()),
    })
}

fn read(path: &Path) -> Result<(Stamp, Vec<User>), ReportError> {
    let failed = |reason: String| ReportError::Users {
        path: path.to_owned(),
        reason,
    };
    let stamp = stamp(path).map_err(|error| failed(error.to_string()))?;
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(FILE_OCTETS_MAX + 1).read_to_string(&mut text))
        .map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > FILE_OCTETS_MAX {
        return Err(failed(format!("it is longer than {FILE_OCTETS_MAX} bytes")));
    }
    let spec: FileSpec =
        serde_saphyr::from_str(&text).map_err(|error| failed(error.to_string()))?;
    if spec.version != VERSION {
        return Err(failed(format!(
            "it has version {}, and this cordon reads {VERSION}",
            spec.version
        )));
    }
    for (place, user) in spec.users.iter().enumerate() {
        if !is_name(&user.name) {
            return Err(failed(format!("{:?} is no name of a user", user.name)));
        }
        if !password::is_hash(&user.password) {
            return Err(failed(format!(
                "the password of {} is no argon2id hash",
                user.name
            )));
        }
        let mut before = spec.users.iter().take(place);
        if before.any(|other| other.name == user.name) {
            return Err(failed(format!("{} is there twice", user.name)));
        }
    }
    Ok((stamp, spec.users))
}

fn render(users: &[User]) -> String {
    let mut text = format!(
        "# Users of the report, written by `cordon user add`. Take a user out by removing their lines.\n\
         version: {VERSION}\nusers:\n"
    );
    for user in users {
        text += &format!(
            "  - name: \"{}\"\n    role: {}\n    password: \"{}\"\n",
            user.name,
            user.role.as_str(),
            user.password
        );
        if let Some(lists) = &user.lists {
            let lists: Vec<String> = lists.iter().map(|list| format!("{list:?}")).collect();
            text += &format!("    lists: [{}]\n", lists.join(", "));
        }
    }
    text
}

/// Replaces the file at once. It stays with who owned it; a new one is readable by the group
/// of its folder, which is how the daemon's user gets at what root wrote.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut new = path.to_owned().into_os_string();
    new.push(".new");
    let new = PathBuf::from(new);
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    // The daemon that reads it may run as another user, to whom the file was given.
    if let Ok(old) = fs::metadata(path) {
        let _ = std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()));
        file.set_permissions(old.permissions())?;
    } else if let Some(folder) = path.parent().and_then(|folder| fs::metadata(folder).ok()) {
        // Whoever may not give it away keeps it, and the daemon then runs as the same user.
        if std::os::unix::fs::fchown(&file, None, Some(folder.gid())).is_ok() {
            file.set_permissions(fs::Permissions::from_mode(0o640))?;
        }
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// The version that is written and read.
const VERSION: u32 = 1;
/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 64;
/// A longer users file is not read.
const FILE_OCTETS_MAX: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdCE$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn user(name: &str, lists: Option<&[&str]>) -> User {
        User {
            name: name.into(),
            role: Role::Regulator,
            password: HASH.into(),
            lists: lists.map(|lists| lists.iter().map(|&list| list.into()).collect()),
        }
    }

    #[test]
    fn what_is_added_is_found_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.yaml");
        assert!(Users::open(&path).is_err());
        assert!(!user("alice", None).add_to(&path, false).unwrap());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        let users = Users::open(&path).unwrap();
        assert_eq!(users.find("alice"), Some(user("alice", None)));
        assert_eq!(users.find("bob"), None);
        let bob = user("bob", Some(&["csam", "a\"b"]));
        bob.clone().add_to(&path, false).unwrap();
        assert_eq!(users.find("bob"), Some(bob));
        let error = user("bob", None).add_to(&path, false).unwrap_err();
        assert!(error.to_string().contains("--replace"), "{error}");
        assert!(user("bob", None).add_to(&path, true).unwrap());
        assert_eq!(users.find("bob"), Some(user("bob", None)));

        fs::write(&path, "version: 1\nusers: [").unwrap();
        assert!(users.find("bob").is_some(), "a mistake changes nothing");
        assert!(
            user("carol", None).add_to(&path, false).is_err(),
            "nor is it overwritten"
        );
        fs::remove_file(&path).unwrap();
        assert_eq!(users.find("bob"), None);
    }

    #[track_caller]
    fn check(text: &str, reason: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.yaml");
        fs::write(&path, text).unwrap();
        let error = Users::open(&path).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn a_wrong_file_is_refused() {
        check("version: 2\nusers: []\n", "version 2");
        check("version: 1\nusers: []\nmore: 1\n", "more");
        let one = format!("  - {{ name: a, role: operator, password: \"{HASH}\" }}\n");
        check(&format!("version: 1\nusers:\n{one}{one}"), "twice");
        check(
            "version: 1\nusers:\n  - { name: a, role: operator, password: secret }\n",
            "no argon2id hash",
        );
        check(
            &format!("version: 1\nusers:\n  - {{ name: a, role: root, password: \"{HASH}\" }}\n"),
            "root",
        );
    }

    #[test]
    fn names_and_passwords_have_rules() {
        assert!(User::new("Alice", Role::Operator, None, "long enough password").is_err());
        assert!(User::new("", Role::Operator, None, "long enough password").is_err());
        assert!(User::new("alice", Role::Operator, None, "too short").is_err());
        let alice = User::new("alice", Role::Operator, None, "long enough password").unwrap();
        assert!(password::verify("long enough password", &alice.password));
    }
}
