//! [`LeftOut`]: rows that speak of a name or URL and are not enforced, each with why; for
//! `explain`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::Serialize;

use crate::compile::parse::{self, Parsed};
use crate::compile::{self, Blocklist};
use crate::config::Config;
use crate::control::rounds::Puller;
use crate::control::rulings::stored::text_of;
use crate::control::rulings::versions::current;
use crate::control::terminal::minute;
use crate::policy::{
    CanonicalUrl, Entry, Life, Name, Scope, Trigger, UrlScope, Withdrawal, Withdrawn,
};
use crate::verify::{ListFile, Text, Verified};

/// A row that speaks of what was asked and is not enforced.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct LeftOut {
    /// The list.
    pub(crate) list: String,
    /// Its row.
    pub(crate) line: u32,
    /// The entry's id, where the row could be read.
    pub(crate) entry: Option<String>,
    /// What the row says, where it could be read.
    pub(crate) value: Option<String>,
    /// Why it is not enforced, or not for this name.
    pub(crate) reason: String,
    /// Whether it is a wildcard of a policy zone.
    #[serde(skip)]
    is_wildcard: bool,
}

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    name: Option<Name>,
    url: Option<CanonicalUrl>,
    address: Option<IpAddr>,
    client: Option<IpAddr>,
    text: String,
}

impl Asked {
    /// Reads a name, URL or address, asked by a client.
    pub(crate) fn read(text: &str, client: Option<IpAddr>) -> Self {
        let url = CanonicalUrl::parse(text).ok();
        let address = text.parse().ok();
        let name = match (&url, address) {
            (Some(url), _) => url.host().as_name(),
            (None, Some(_)) => None,
            (None, None) => Name::from_text(text).ok(),
        };
        Self {
            name,
            url,
            address,
            client,
            text: text.to_ascii_lowercase(),
        }
    }
}

/// Reads the lists of a configuration again, as they are on disk, and finds the rows that
/// speak of what was asked and are not enforced. Those that may be enforced are handed to
/// `enforced`, without a reason, which says whether they match.
pub(crate) fn find(
    config: &Config,
    blocklist: &Blocklist,
    asked: &Asked,
    now: Timestamp,
    enforced: &mut dyn FnMut(&LeftOut) -> bool,
) -> Vec<LeftOut> {
    let mut pullers = pullers(config);
    let mut found = Vec::new();
    for settings in &config.lists {
        let file = current(config, settings, |version| {
            text_of(&config.state, settings, version, |name| {
                pullers.get_mut(name)
            })
        });
        if let Some(file) = file {
            let compiled = blocklist
                .lists()
                .iter()
                .find(|list| list.settings.name == settings.name);
            let rejects = compiled
                .map(|list| list.rejects.as_slice())
                .unwrap_or_default();
            let withdrawn = blocklist.levers().withdrawn.get(&settings.name);
            let withdrawn = withdrawn.map(Vec::as_slice).unwrap_or_default();
            let now = now.max(blocklist.levers().now);
            for mut row in read(settings, &file, (rejects, withdrawn), asked, now) {
                if row.reason.is_empty() {
                    if enforced(&row) || !row.is_wildcard {
                        continue;
                    }
                    HOLE.clone_into(&mut row.reason);
                }
                found.push(row);
            }
        }
    }
    found.truncate(LEFT_OUT_MAX);
    found
}

/// The rows of one list that speak of what was asked; without a reason where nothing keeps
/// them from being enforced.
fn read(
    settings: &compile::Settings,
    file: &Verified<ListFile>,
    (rejects, withdrawn): (&[compile::Reject], &[Withdrawal]),
    asked: &Asked,
    now: Timestamp,
) -> Vec<LeftOut> {
    let mut found = Vec::new();
    let reading = settings.reading();
    let text = &file.get().text;
    let row = |line: u32, entry: Option<&Entry>, reason: String| LeftOut {
        list: settings.name.clone(),
        line,
        entry: entry.map(|entry| entry.id.to_string()),
        value: entry.map(|entry| entry.trigger.value()),
        reason,
        is_wildcard: entry.is_some_and(|entry| {
            matches!(
                entry.trigger,
                Trigger::Name {
                    scope: Scope::Wildcard,
                    ..
                }
            )
        }),
    };
    parse::read(&reading, text, &mut |parsed| match parsed {
        Parsed::Entry(line, entry) => {
            if let Some(reason) = why_not(&entry, line, (rejects, withdrawn), asked, now) {
                found.push(row(line, Some(&entry), reason));
            }
        }
        Parsed::Reject(reject) if speaks_of(text, reject.line, &asked.text) => {
            found.push(row(
                reject.line,
                None,
                format!("quarantined: {}", reject.reason),
            ));
        }
        Parsed::Reject(_) | Parsed::Warning(_) | Parsed::Header(_) | Parsed::Soa(..) => {}
    });
    found
}

/// Why an entry that speaks of what was asked does not act on it; empty where it does,
/// nothing where it speaks of something else.
fn why_not(
    entry: &Entry,
    line: u32,
    (rejects, withdrawn): (&[compile::Reject], &[Withdrawal]),
    asked: &Asked,
    now: Timestamp,
) -> Option<String> {
    match relation(&entry.trigger, asked)? {
        Relation::Exact => {
            Some("exact only: it covers the name itself, and nothing below it".to_owned())
        }
        Relation::Covers => {
            if let Some(reject) = rejects.iter().find(|reject| reject.line == line) {
                return Some(format!("quarantined: {}", reject.reason));
            }
            let is_it = |withdrawal: &&Withdrawal| {
                let is_named = match &withdrawal.what {
                    Withdrawn::Id(id) => *id == entry.id,
                    Withdrawn::Value(value) => *value == entry.trigger.value(),
                };
                is_named && now < withdrawal.until
            };
            if let Some(withdrawal) = withdrawn.iter().find(is_it) {
                return Some(format!(
                    "withdrawn by its authority ({}): it passes until {}, and for good once the list drops it",
                    withdrawal.reason.as_str(),
                    minute(withdrawal.until)
                ));
            }
            Some(standing(&entry.life, now))
        }
    }
}

/// Why an entry is not in effect; empty where it is.
fn standing(life: &Life, now: Timestamp) -> String {
    match (life.effective_from, life.expires_at) {
        _ if life.is_effective(now) => String::new(),
        (Some(from), _) if now < from => format!("not yet in effect: it begins at {from}"),
        (_, Some(end)) if end <= now => format!("expired at {end}"),
        _ => match life
            .windows
            .iter()
            .map(|window| window.from)
            .filter(|from| *from > now)
            .min()
        {
            Some(next) => format!("outside its windows: the next begins at {next}"),
            None => "outside its windows, the last of which has ended".to_owned(),
        },
    }
}

/// The trust of the repositories of which something is on disk; makes no folder.
pub(crate) fn pullers(config: &Config) -> BTreeMap<String, Puller> {
    let mut pullers = BTreeMap::new();
    for repository in &config.repositories {
        let folder = config.state.join("repositories").join(&repository.name);
        if folder.is_dir()
            && let Ok(puller) = Puller::open(&config.state, &repository.source, &repository.verify)
        {
            pullers.insert(repository.name.clone(), puller);
        }
    }
    pullers
}

/// How a trigger stands to what was asked.
enum Relation {
    Covers,
    Exact,
}

fn relation(trigger: &Trigger, asked: &Asked) -> Option<Relation> {
    match trigger {
        Trigger::Name { name, scope } => {
            let below = asked.name.filter(|asked| asked.is_at_or_below(name))?;
            match scope {
                Scope::Exact if below != *name => Some(Relation::Exact),
                Scope::Children | Scope::Wildcard if below == *name => None,
                _ => Some(Relation::Covers),
            }
        }
        Trigger::Url { url, scope, .. } => {
            let asked = asked.url.as_ref()?;
            let same = match scope {
                UrlScope::Exact => asked.path() == url.path(),
                UrlScope::Prefix => asked.path().starts_with(url.path()),
            };
            (same && asked.authority() == url.authority()).then_some(Relation::Covers)
        }
        Trigger::Address(range) | Trigger::NsAddress(range) => {
            let asked = asked.address?;
            range.contains(asked).then_some(Relation::Covers)
        }
        Trigger::Client(range) => {
            let asked = asked.address.or(asked.client)?;
            range.contains(asked).then_some(Relation::Covers)
        }
        Trigger::NsName { name, .. } => {
            let asked = asked.name?;
            asked.is_at_or_below(name).then_some(Relation::Covers)
        }
    }
}

/// Whether a row that could not be read holds the text that was asked.
fn speaks_of(list: &Text, line: u32, text: &str) -> bool {
    let mut ahead = line;
    let mut speaks = false;
    let read = list.each_line(|row| {
        ahead = ahead.saturating_sub(1);
        if ahead > 0 {
            return ControlFlow::Continue(());
        }
        let row = String::from_utf8_lossy(row).to_ascii_lowercase();
        speaks = text.len() > 3 && row.contains(text);
        ControlFlow::Break(())
    });
    read.is_ok() && speaks
}

/// Why a wildcard does not match a name below it.
const HOLE: &str = "no match: a wildcard stops at the names of its policy zone, and a rule of the zone makes one at or above this name (RFC 4592); `cordon status` names such holes";
/// How many such rows are shown at most.
const LEFT_OUT_MAX: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{Compiler, Format, From, PassThru, Protected};

    #[track_caller]
    fn check(asked: &str, expected: &[(u32, &str)]) {
        let settings = compile::Settings {
            passthru: PassThru::List,
            required: false,
            ..compile::Settings::new(
                "l",
                From::File {
                    path: "x".into(),
                    format: Format::Native,
                    scope: None,
                },
            )
        };
        let rows = [
            r#"{"format":1,"list":"l","defaults":{"category":"phishing","legal":{"basis":"b","authority":"a"}}}"#,
            r#"{"id":"1","kind":"domain","match":"exact","value":"one.test"}"#,
            r#"{"id":"2","kind":"domain","match":"subtree","value":"old.test","expires_at":"2026-01-01T00:00:00Z"}"#,
            r#"{"id":"3","kind":"domain","match":"subtree","value":"shop.bank.test"}"#,
            r#"{"id":"4","kind":"domain","match":"sideways","value":"odd.test"}"#,
            r#"{"id":"5","kind":"url","value":"http://u.test/a","effective_from":"2027-01-01T00:00:00Z"}"#,
            r#"{"id":"6","kind":"domain","match":"exact","value":"live.test","window":[{"from":"2026-11-20T18:00:00Z","to":"2026-11-20T20:00:00Z"},{"from":"2026-11-27T18:00:00Z","to":"2026-11-27T20:00:00Z"}]}"#,
        ];
        let file = Verified::unsigned("l", "x", rows.join("\n").into_bytes());
        let now = "2026-11-24T06:00:00Z".parse().unwrap();
        let names = vec![Name::from_text("bank.test").unwrap()];
        let protected = Protected::new(names, Vec::new());
        let mut compiler = Compiler::new(&protected, now);
        compiler.add(&settings, &file);
        let blocklist = compiler.finish();
        let found = read(
            &settings,
            &file,
            (&blocklist.lists()[0].rejects, &[]),
            &Asked::read(asked, None),
            now,
        );
        let found: Vec<(u32, String)> = found
            .into_iter()
            .filter(|row| !row.reason.is_empty())
            .map(|row| (row.line, row.reason))
            .collect();
        assert_eq!(found.len(), expected.len(), "{asked}: {found:?}");
        for ((line, reason), (expected_line, part)) in found.iter().zip(expected) {
            assert_eq!(line, expected_line);
            assert!(reason.contains(part), "{reason}");
        }
    }

    #[test]
    fn rows_that_do_not_act_say_why() {
        check("one.test", &[]);
        check("www.one.test", &[(2, "exact only")]);
        check("www.old.test", &[(3, "expired at 2026-01-01")]);
        check("shop.bank.test", &[(4, "protected")]);
        check("odd.test", &[(5, "quarantined")]);
        check("http://u.test/a", &[(6, "not yet in effect")]);
        check("http://u.test/b", &[]);
        check("live.test", &[(7, "the next begins at 2026-11-27T18")]);
        check("other.test", &[]);
    }
}
