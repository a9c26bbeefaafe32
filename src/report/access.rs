//! [`Access`]: who is asking, and what they may see.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::attempts::Attempts;
use super::password;
use super::problem::Problem;
use super::sessions::Sessions;
use super::users::{Role, User, Users, is_name};

/// Who may see what. Without a users file everyone who reaches the report is an operator, and
/// it is reached over loopback alone.
#[derive(Debug)]
pub(super) struct Access {
    users: Option<Users>,
    is_tls: bool,
    sessions: Mutex<Sessions>,
    attempts: Mutex<Attempts>,
    /// Passwords that were verified a moment ago, so that programs that ask often cost no
    /// hash each time.
    verified: Mutex<HashMap<[u8; 32], Timestamp>>,
    secret: [u8; 32],
    /// Hashes take memory and time: only so many at once.
    hashing: Arc<Semaphore>,
}

/// Who is asking.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Viewer {
    /// Their name; nothing where there are no users.
    pub(super) name: Option<String>,
    pub(super) role: Role,
    /// The lists that they may see; nothing for all.
    pub(super) lists: Option<Vec<String>>,
}

impl Viewer {
    /// Whether they may see that list.
    pub(super) fn sees(&self, list: &str) -> bool {
        self.lists
            .as_ref()
            .is_none_or(|lists| lists.iter().any(|seen| seen == list))
    }

    fn operator() -> Self {
        Self {
            name: None,
            role: Role::Operator,
            lists: None,
        }
    }
}

impl From<User> for Viewer {
    fn from(user: User) -> Self {
        Self {
            name: Some(user.name),
            role: user.role,
            lists: user.lists,
        }
    }
}

impl Access {
    /// Access by that users file.
    pub(super) fn new(users: Option<Users>, is_tls: bool) -> std::io::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Self {
            users,
            is_tls,
            sessions: Mutex::default(),
            attempts: Mutex::default(),
            verified: Mutex::default(),
            secret,
            hashing: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
        })
    }

    /// Who asks for a page: by the session's cookie.
    pub(super) fn by_session(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Viewer>, Problem> {
        let Some(users) = &self.users else {
            return own_name(headers).map(|()| Some(Viewer::operator()));
        };
        let Some(id) = self.session_id(headers) else {
            return Ok(None);
        };
        let Some((name, hash)) = lock(&self.sessions).user(id, now) else {
            return Ok(None);
        };
        Ok(users
            .find(&name)
            .filter(|user| user.password == hash)
            .map(Viewer::from))
    }

    /// Who asks the API: by name and password (RFC 7617), or by the session's cookie, so that
    /// links of the pages work.
    pub(super) async fn by_password_or_session(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Viewer, Problem> {
        if self.users.is_some()
            && let Some((name, password)) = basic(headers)
        {
            return self.login(&name, &password, now).await.map(Viewer::from);
        }
        self.by_session(headers, now)?.ok_or_else(Problem::login)
    }

    /// Logs in to the pages, and gives the cookie to set.
    pub(super) async fn begin_session(
        &self,
        name: &str,
        password: &str,
        now: Timestamp,
    ) -> Result<String, Problem> {
        let user = self.login(name, password, now).await?;
        let id = lock(&self.sessions)
            .begin(&user.name, &user.password, now)
            .ok_or_else(Problem::busy)?;
        Ok(self.cookie(&id))
    }

    /// Logs out, and gives the cookie to set.
    pub(super) fn end_session(&self, headers: &HeaderMap) -> String {
        if let Some(id) = self.session_id(headers) {
            lock(&self.sessions).end(id);
        }
        self.cookie("") + "; Max-Age=0"
    }

    async fn login(&self, name: &str, password: &str, now: Timestamp) -> Result<User, Problem> {
        let users = self.users.as_ref().ok_or_else(Problem::nothing_here)?;
        if !is_name(name) || password.len() > password::PASSWORD_OCTETS_MAX {
            return Err(Problem::login());
        }
        let user = users.find(name);
        if let Some(user) = &user
            && self.was_verified(user, password, now)
        {
            return Ok(user.clone());
        }
        if !lock(&self.attempts).may_try(name, now) {
            return Err(Problem::later());
        }
        let permit = self.hashing.clone().acquire_owned().await;
        let tried = password.to_owned();
        let verified = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            match user {
                Some(user) => password::verify(&tried, &user.password).then_some(user),
                None => {
                    password::verify_nobody(&tried);
                    None
                }
            }
        });
        let user = verified.await.ok().flatten().ok_or_else(Problem::login)?;
        lock(&self.attempts).succeeded(name);
        let mut remembered = lock(&self.verified);
        remembered.retain(|_, at| is_recent(*at, now));
        if remembered.len() < VERIFIED_MAX {
            let key = password::digest(&self.secret, name, password, &user.password);
            remembered.insert(key, now);
        }
        Ok(user)
    }

    fn was_verified(&self, user: &User, password: &str, now: Timestamp) -> bool {
        let key = password::digest(&self.secret, &user.name, password, &user.password);
        lock(&self.verified)
            .get(&key)
            .is_some_and(|at| is_recent(*at, now))
    }

    fn session_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == self.cookie_name())
            .map(|(_, id)| id)
    }

    fn cookie(&self, id: &str) -> String {
        let secure = if self.is_tls { "; Secure" } else { "" };
        let name = self.cookie_name();
        format!("{name}={id}; Path=/; HttpOnly; SameSite=Strict{secure}")
    }

    const fn cookie_name(&self) -> &'static str {
        // With this prefix a browser takes the cookie from this host over TLS alone.
        if self.is_tls {
            "__Host-cordon"
        } else {
            "cordon"
        }
    }
}

/// Refuses a form that a page of another site has sent.
pub(super) fn same_site(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    if let Some(site) = text("sec-fetch-site")
        && !matches!(site, "same-origin" | "none")
    {
        return Err(Problem::other_site());
    }
    match (text("origin"), text("host")) {
        (None, _) => Ok(()),
        (Some(origin), Some(host)) => {
            let of = origin.split_once("://").map(|(_, authority)| authority);
            if of == Some(host) {
                Ok(())
            } else {
                Err(Problem::other_site())
            }
        }
        (Some(_), None) => Err(Problem::other_site()),
    }
}

/// Refuses a request for any name but this machine's own, as a browser sends it that was told
/// a foreign name is at this address (DNS rebinding).
fn own_name(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(host) = headers.get(header::HOST) else {
        return Ok(());
    };
    let host = host.to_str().unwrap_or("");
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let is_own = name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if is_own {
        Ok(())
    } else {
        Err(Problem::other_name())
    }
}

/// Name and password of an `Authorization: Basic` head.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, text) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let octets = decode_base64(text.trim())?;
    let text = String::from_utf8(octets).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// The octets of base64 with padding (RFC 4648 section 4).
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let mut octets = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            octets.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    Some(octets)
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at).unsigned_abs() < VERIFIED_FOR
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many passwords are hashed at once.
const HASHES_AT_ONCE: usize = 2;
/// How long a verified password is remembered.
const VERIFIED_FOR: Duration = Duration::from_secs(60);
/// How many verified passwords are remembered.
const VERIFIED_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let name = header::HeaderName::from_static(name);
                (name, value.parse().unwrap())
            })
            .collect()
    }

    #[track_caller]
    fn check_own(host: &str, expected: bool) {
        assert_eq!(
            own_name(&headers(&[("host", host)])).is_ok(),
            expected,
            "{host}"
        );
    }

    #[test]
    fn only_this_machines_names_are_its_own() {
        check_own("localhost", true);
        check_own("LOCALHOST:8450", true);
        check_own("127.0.0.1:8450", true);
        check_own("[::1]:8450", true);
        check_own("[::1]", true);
        check_own("rebound.example:8450", false);
        check_own("127.0.0.1.example", false);
        check_own("192.0.2.1", false);
        check_own("", false);
    }

    #[track_caller]
    fn check_site(pairs: &[(&'static str, &str)], expected: bool) {
        assert_eq!(same_site(&headers(pairs)).is_ok(), expected, "{pairs:?}");
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        check_site(&[("host", "a.example")], true);
        check_site(
            &[("host", "a.example"), ("origin", "https://a.example")],
            true,
        );
        check_site(
            &[("host", "a.example"), ("origin", "https://b.example")],
            false,
        );
        check_site(&[("host", "a.example"), ("origin", "null")], false);
        check_site(&[("origin", "https://a.example")], false);
        check_site(&[("sec-fetch-site", "same-origin")], true);
        check_site(&[("sec-fetch-site", "cross-site")], false);
        check_site(&[("sec-fetch-site", "same-site")], false);
    }

    #[test]
    fn basic_credentials_are_read() {
        let read = |value: &str| basic(&headers(&[("authorization", value)]));
        let alice = Some(("alice".to_owned(), "pass:word".to_owned()));
        assert_eq!(read("Basic YWxpY2U6cGFzczp3b3Jk"), alice);
        assert_eq!(read("basic YWxpY2U6cGFzczp3b3Jk"), alice);
        assert_eq!(read("Basic YTpi"), Some(("a".into(), "b".into())));
        assert_eq!(read("Basic w6Q6w6Q="), Some(("ä".into(), "ä".into())));
        assert_eq!(read("Basic YWI="), None, "no colon");
        assert_eq!(read("Basic !!"), None);
        assert_eq!(read("Bearer YTpi"), None);
    }
}
