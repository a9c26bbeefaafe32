//! [`Sessions`]: who is logged in to the pages; in memory alone.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// The sessions of the pages, by the digest of their id: the id itself is known to the
/// browser alone. They end with the process.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    sessions: HashMap<[u8; 32], Session>,
}

/// One session.
#[derive(Clone, Debug)]
struct Session {
    user: String,
    /// The password's hash at the login: a new password ends the sessions of the old one.
    password: String,
    begun: Timestamp,
    seen: Timestamp,
}

impl Sessions {
    /// Begins a session for a user who has logged in, and gives its id; nothing when the
    /// system has no randomness to give. When there are [`SESSIONS_MAX`], the one that was
    /// not seen for longest ends.
    pub(super) fn begin(&mut self, user: &str, password: &str, now: Timestamp) -> Option<String> {
        let mut id = [0; 32];
        getrandom::fill(&mut id).ok()?;
        let id: String = id.iter().map(|octet| format!("{octet:02x}")).collect();
        self.sessions.retain(|_, session| session.lives(now));
        if self.sessions.len() >= SESSIONS_MAX {
            let oldest = self
                .sessions
                .iter()
                .min_by_key(|(_, session)| session.seen)
                .map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.sessions.remove(&oldest);
            }
        }
        let session = Session {
            user: user.to_owned(),
            password: password.to_owned(),
            begun: now,
            seen: now,
        };
        self.sessions.insert(digest(&id), session);
        Some(id)
    }

    /// The user of a session, and the hash of the password they logged in with.
    pub(super) fn user(&mut self, id: &str, now: Timestamp) -> Option<(String, String)> {
        let key = digest(id);
        let session = self.sessions.get_mut(&key)?;
        if !session.lives(now) {
            self.sessions.remove(&key);
            return None;
        }
        session.seen = session.seen.max(now);
        Some((session.user.clone(), session.password.clone()))
    }

    /// Ends a session.
    pub(super) fn end(&mut self, id: &str) {
        self.sessions.remove(&digest(id));
    }
}

impl Session {
    fn lives(&self, now: Timestamp) -> bool {
        now.duration_since(self.seen).unsigned_abs() < IDLE
            && now.duration_since(self.begun).unsigned_abs() < LIFETIME
    }
}

fn digest(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

/// A session ends when it was not used for this long.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// A session ends after this long in any case.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
/// The most sessions at a time.
const SESSIONS_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + minutes * 60).unwrap()
    }

    #[test]
    fn a_session_ends_when_idle_and_in_any_case() {
        let mut sessions = Sessions::default();
        let id = sessions.begin("alice", "hash", at(0)).unwrap();
        assert_eq!(id.len(), 64);
        let alice = Some(("alice".to_owned(), "hash".to_owned()));
        assert_eq!(sessions.user(&id, at(29)), alice);
        assert_eq!(sessions.user(&id, at(58)), alice);
        assert_eq!(sessions.user(&id, at(88)), None);
        let id = sessions.begin("alice", "hash", at(0)).unwrap();
        for minutes in (0..720).step_by(20) {
            assert_eq!(sessions.user(&id, at(minutes)), alice);
        }
        assert_eq!(sessions.user(&id, at(720)), None);
        let id = sessions.begin("alice", "hash", at(0)).unwrap();
        sessions.end(&id);
        assert_eq!(sessions.user(&id, at(0)), None);
        assert_eq!(sessions.user("", at(0)), None);
    }

    #[test]
    fn their_number_is_bounded() {
        let mut sessions = Sessions::default();
        let first = sessions.begin("alice", "hash", at(0)).unwrap();
        for _ in 0..SESSIONS_MAX {
            sessions.begin("bob", "hash", at(1)).unwrap();
        }
        assert_eq!(sessions.sessions.len(), SESSIONS_MAX);
        assert_eq!(sessions.user(&first, at(1)), None);
    }
}
