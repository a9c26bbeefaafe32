//! [`ConfigChange`]: what differs between two configurations, and what it takes to get from
//! one to the other. Pure.

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;

use super::{Config, Repository};
use crate::compile;
use crate::enforce;

/// What has to be done to put a new configuration in force in place of an old one.
///
/// | what changed | what happens |
/// |---|---|
/// | repositories: mirrors, trust, poll | [`Part::Updates`] is started anew; traffic is unaffected |
/// | lists, protected names, what the node itself stands on | [`Part::Lists`]: compiled anew into the next edition |
/// | upstreams, stop page, limits, report | that part is started anew on the same sockets, and the old one drains |
/// | the level of the log, the self-test | taken live |
/// | listen addresses, threads, state folder, format of the log | [`NeedsRestart`]; the old configuration stays |
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConfigChange {
    /// The parts that are started anew or told, in the order in which that is to be done.
    pub parts: BTreeSet<Part>,
}

/// A part of the program that a configuration can change while it runs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// The lowest level that is logged.
    LogLevel,
    /// The rounds that ask repositories for news.
    Updates,
    /// The lists and protected names of the edition in force.
    Lists,
    /// The resolver of `dns`.
    Resolver,
    /// The proxy's own resolver.
    ProxyResolver,
    /// The DNS surface.
    Dns,
    /// The stop page's server and the forward proxy.
    Proxy,
    /// The report server.
    Report,
    /// The self-test.
    SelfTest,
}

/// A new configuration changes what is fixed at start.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("needs a restart: {}; the old configuration stays in force", .keys.join(", "))]
pub struct NeedsRestart {
    /// The keys that differ.
    pub keys: Vec<&'static str>,
}

impl ConfigChange {
    /// What it takes to get from `old` to `new`.
    ///
    /// # Errors
    /// [`NeedsRestart`] where something differs that is fixed at start.
    pub fn between(old: &Config, new: &Config) -> Result<Self, NeedsRestart> {
        let keys = fixed(old, new);
        if !keys.is_empty() {
            return Err(NeedsRestart { keys });
        }
        let differs = [
            (Part::LogLevel, old.log.level != new.log.level),
            (
                Part::Updates,
                old.repositories != new.repositories || subscriptions(old) != subscriptions(new),
            ),
            (
                Part::Lists,
                old.lists != new.lists || old.protect != new.protect,
            ),
            (Part::Resolver, old.resolver != new.resolver),
            (
                Part::ProxyResolver,
                old.proxy_resolver != new.proxy_resolver,
            ),
            (Part::Dns, old.dns != new.dns),
            (Part::Proxy, old.proxy != new.proxy),
            (Part::Report, old.report != new.report),
            (Part::SelfTest, old.self_test != new.self_test),
        ];
        let parts = differs.into_iter().filter(|(_, differs)| *differs);
        Ok(Self {
            parts: parts.map(|(part, _)| part).collect(),
        })
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether a part is started anew or told.
    #[must_use]
    pub fn concerns(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

/// The keys that differ and are fixed at start.
fn fixed(old: &Config, new: &Config) -> Vec<&'static str> {
    fn dns(config: &Config) -> Option<&enforce::dns::Settings> {
        config.dns.as_ref()
    }
    let http = |config: &Config| config.proxy.as_ref().map(|proxy| proxy.http.clone());
    let forward = |config: &Config| config.proxy.as_ref().map(|proxy| proxy.forward.clone());
    let report = |config: &Config| config.report.as_ref().map(|report| report.listen.clone());
    // A part that is off listens nowhere, which is the same as an empty list.
    let differs = [
        ("state", old.state != new.state || old.count != new.count),
        ("log.format", old.log.format != new.log.format),
        (
            "dns.listen",
            dns(old).map(|dns| &dns.listen) != dns(new).map(|dns| &dns.listen),
        ),
        (
            "dns.threads",
            matches!((dns(old), dns(new)), (Some(old), Some(new)) if old.threads != new.threads),
        ),
        (
            "proxy.http.listen",
            http(old).unwrap_or_default() != http(new).unwrap_or_default(),
        ),
        (
            "proxy.forward.listen",
            forward(old).unwrap_or_default() != forward(new).unwrap_or_default(),
        ),
        ("report.listen", report(old) != report(new)),
    ];
    let keys = differs.into_iter().filter(|(_, differs)| *differs);
    keys.map(|(key, _)| key).collect()
}

/// Which lists are pulled from where.
fn subscriptions(config: &Config) -> Vec<(&String, &compile::From)> {
    let known = |name: &String| {
        let same = |repository: &Repository| repository.name == *name;
        config.repositories.iter().any(same)
    };
    let lists = config.lists.iter().map(|list| (&list.name, &list.from));
    lists
        .filter(|(_, from)| match from {
            compile::From::Repository { repository, .. } => known(repository),
            compile::From::File { .. } => false,
        })
        .collect()
}

impl Part {
    /// What it is called in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LogLevel => "log level",
            Self::Updates => "updates",
            Self::Lists => "lists",
            Self::Resolver => "resolver",
            Self::ProxyResolver => "proxy resolver",
            Self::Dns => "dns",
            Self::Proxy => "proxy",
            Self::Report => "report",
            Self::SelfTest => "self-test",
        }
    }
}

impl fmt::Display for ConfigChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing changed");
        }
        let parts: Vec<&str> = self.parts.iter().map(|part| part.as_str()).collect();
        write!(f, "changed: {}", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A configuration with everything on; `%` marks where a case puts its change.
    const BASE: &str = r#"
version: 1
node: a
log: { level: info, format: text }
lists:
  - { name: rules, from: { file: Cargo.toml, format: hosts }, unsigned: true, mode: enforce }
protect: { names: [bank.example] }
dns:
  listen: ["127.0.0.1:5300"]
  threads: 1
  ttl: 10s
  resolver: { forward: ["198.51.100.53"] }
proxy:
  http: { listen: ["127.0.0.1:8451"] }
  resolver: { forward: ["198.51.100.54"] }
stop_page: { languages: [en] }
report: { listen: ["127.0.0.1:8450"], small_counts_below: 10 }
self_test: { interval: 60s }
"#;

    #[track_caller]
    fn check(from: &str, to: &str, expected: &str) {
        assert!(BASE.contains(from), "{from}");
        let read = |text: &str| {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("test.yaml");
            Config::parse(&file, text).unwrap()
        };
        let (old, new) = (read(BASE), read(&BASE.replacen(from, to, 1)));
        let found = match ConfigChange::between(&old, &new) {
            Ok(change) => change.to_string(),
            Err(restart) => restart.to_string(),
        };
        assert!(found.starts_with(expected), "{from} to {to}: {found}");
    }

    #[test]
    fn each_change_concerns_its_part_alone() {
        // Whom this node asks may not be blocked, so that lists are compiled anew for it.
        check("version", "version", "nothing changed");
        check("level: info", "level: debug", "changed: log level");
        check("enforce", "monitor", "changed: lists");
        check("bank", "shop", "changed: lists");
        check("ttl: 10s", "ttl: 11s", "changed: dns");
        check("100.53", "100.52", "changed: lists, resolver");
        check("100.54", "100.52", "changed: lists, proxy resolver");
        check("[en]", "[de]", "changed: proxy");
        check("below: 10", "below: 5", "changed: report");
        check("node: a", "node: b", "changed: report");
        check("60s", "50s", "changed: self-test");
    }

    #[test]
    fn what_is_fixed_at_start_needs_a_restart() {
        check("5300", "5301", "needs a restart: dns.listen;");
        check("threads: 1", "threads: 2", "needs a restart: dns.threads;");
        check("8451", "8452", "needs a restart: proxy.http.listen;");
        check(
            "[\"127.0.0.1:8450\"]",
            "[]",
            "needs a restart: report.listen;",
        );
        check(
            "format: text",
            "format: json",
            "needs a restart: log.format;",
        );
        check("node: a", "state: /elsewhere", "needs a restart: state;");
    }
}
