//! [`Status`]: what is in force, and how it is, for the admin.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

use crate::compile::{From, Mode};
use crate::config::{Config, Repository};
use crate::control::answers::list_status::ListStatus;
use crate::control::answers::trouble::NodeTrouble;
use crate::control::terminal::short;
use crate::enforce::Edition;
use crate::report::{Probe, SelfTest, SelfTestOf, Updates};

/// What is in force, and how it is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Status<'a> {
    version: &'static str,
    node: String,
    /// Every required list is in force.
    ready: bool,
    /// Why it is not.
    waiting: Vec<String>,
    #[serde(flatten)]
    trouble: NodeTrouble,
    edition: u64,
    since: String,
    lists: Vec<ListStatus>,
    surfaces: Vec<Surface>,
    protected_names: usize,
    /// How many names a person lets through; `cordon allow` shows them.
    allowed_names: usize,
    repositories: Vec<RepositoryStatus>,
    /// Why hits cannot be settled at the moment; they are counted all the same.
    ledger_error: Option<String>,
    /// The node's last test of itself; nothing before the first.
    self_test: Option<SelfTestOf<'a>>,
    #[serde(skip)]
    tested: Option<&'a SelfTest>,
}

/// One repository.
#[derive(Clone, Debug, Serialize)]
struct RepositoryStatus {
    name: String,
    /// How many keys must sign its root; at 1, one key decides.
    root_threshold: Option<u64>,
}

/// Where clients are answered.
#[derive(Clone, Debug, Serialize)]
struct Surface {
    surface: &'static str,
    addresses: Vec<String>,
}

impl<'a> Status<'a> {
    /// The status at `now`; `waiting` says why the node is not ready.
    #[must_use]
    pub(crate) fn of(
        config: &Config,
        edition: &Edition,
        updates: &Updates,
        waiting: Vec<String>,
        now: Timestamp,
    ) -> Self {
        let rounds = updates.lists();
        let lists = config.lists.iter().map(|settings| {
            let compiled = edition
                .blocklist
                .lists()
                .iter()
                .find(|list| list.settings.name == settings.name);
            let round = rounds.iter().find(|round| round.list == settings.name);
            let from = match &settings.from {
                From::Repository { repository, list } => {
                    format!("repository {repository}, list {list}")
                }
                From::File { path, .. } => format!("file {}, unsigned", path.display()),
            };
            let mode = if settings.mode == Mode::Monitor {
                "monitor"
            } else {
                "enforce"
            };
            let empty = ListStatus::empty(&settings.name, from, mode, settings.required);
            empty.with_list(compiled, now).with_round(round, now)
        });
        let addresses = |addresses: &[std::net::SocketAddr]| {
            addresses.iter().map(ToString::to_string).collect()
        };
        let mut surfaces = Vec::new();
        if let Some(dns) = &config.dns {
            surfaces.push(Surface {
                surface: "dns",
                addresses: addresses(&dns.listen),
            });
        }
        if let Some(proxy) = &config.proxy {
            surfaces.push(Surface {
                surface: "stop page",
                addresses: addresses(&proxy.http),
            });
            surfaces.push(Surface {
                surface: "forward proxy",
                addresses: addresses(&proxy.forward),
            });
        }
        if let Some(report) = &config.report {
            surfaces.push(Surface {
                surface: "report",
                addresses: addresses(&report.listen),
            });
        }
        surfaces.retain(|surface| !surface.addresses.is_empty());
        Self {
            version: env!("CARGO_PKG_VERSION"),
            node: config.node.clone(),
            ready: waiting.is_empty(),
            waiting,
            trouble: NodeTrouble::of(&config.node, edition, updates, now),
            edition: edition.number,
            since: edition.since.to_string(),
            lists: lists.collect(),
            surfaces,
            allowed_names: edition.blocklist.levers().allowed.len(),
            protected_names: config.protect.names().len(),
            repositories: config
                .repositories
                .iter()
                .map(|repository| repository_status(config, repository))
                .collect(),
            ledger_error: None,
            self_test: None,
            tested: None,
        }
    }

    /// The same, with why the ledger cannot be written at the moment.
    #[must_use]
    pub(crate) fn with_ledger(mut self, error: Option<&String>) -> Self {
        self.ledger_error = error.cloned();
        self
    }

    /// The same, with the node's last test of itself.
    #[must_use]
    pub(crate) fn with_self_test(mut self, test: Option<&'a SelfTest>) -> Self {
        self.self_test = test.map(SelfTestOf::new);
        self.tested = test;
        self
    }

    /// The status for people.
    #[must_use]
    pub(crate) fn to_text(&self) -> String {
        let ready = if self.ready { "ready" } else { "NOT READY" };
        let mut text = format!(
            "{} · cordon {} · {ready}{}\nedition {} since {}\n",
            self.node,
            self.version,
            self.trouble.word(),
            self.edition,
            short(&self.since)
        );
        for why in &self.waiting {
            let _ = writeln!(text, "NOT READY: {why}");
        }
        self.trouble.write(&mut text);
        for surface in &self.surfaces {
            let _ = writeln!(
                text,
                "{}: {}",
                surface.surface,
                surface.addresses.join(", ")
            );
        }
        if self.protected_names > 0 {
            let _ = writeln!(
                text,
                "{}",
                match self.protected_names {
                    1 => "1 protected name outranks every list".to_owned(),
                    many => format!("{many} protected names outrank every list"),
                }
            );
        }
        if self.allowed_names > 0 {
            let _ = writeln!(
                text,
                "{} let through by hand, with all below; `cordon allow` shows which",
                match self.allowed_names {
                    1 => "1 name is".to_owned(),
                    many => format!("{many} names are"),
                }
            );
        }
        for repository in self
            .repositories
            .iter()
            .filter(|repository| repository.root_threshold == Some(1))
        {
            let _ = writeln!(
                text,
                "repository {}: one key decides (its root has a threshold of 1)",
                repository.name
            );
        }
        if let Some(error) = &self.ledger_error {
            let _ = writeln!(
                text,
                "LEDGER: {error}; hits wait in the counters and nothing is lost while this process or its machine runs"
            );
        }
        write_self_test(self.tested, &mut text);
        if self.lists.is_empty() {
            text += "\nNo list is configured: nothing is blocked.\n";
        }
        for list in &self.lists {
            list.write(&mut text);
        }
        text
    }
}

/// How the node's last test of itself went.
fn write_self_test(test: Option<&SelfTest>, text: &mut String) {
    let Some(test) = test else {
        *text += "self-test: not yet\n";
        return;
    };
    let at = test.at.strftime("%H:%M:%S");
    if test.passed() {
        let _ = writeln!(text, "self-test: passed {at} UTC, {} questions", test.asked);
    } else {
        let _ = writeln!(text, "SELF-TEST FAILED {at} UTC:");
    }
    for (probes, failure) in test.causes() {
        let probes: Vec<&str> = probes.into_iter().map(Probe::as_str).collect();
        let _ = writeln!(
            text,
            "  {} since {}: {}",
            probes.join(", "),
            short(&failure.since.to_string()),
            failure.sentence
        );
    }
    for (list, why) in &test.untested {
        let _ = writeln!(text, "  list {list} is not tested: {why}");
    }
}

/// What the newest root in the state folder demands, else the pinned one.
fn repository_status(config: &Config, repository: &Repository) -> RepositoryStatus {
    let newest = config
        .state
        .join("repositories")
        .join(&repository.name)
        .join("root.json");
    let root = std::fs::read(newest).unwrap_or_else(|_| repository.verify.root.clone());
    let root: serde_json::Value = serde_json::from_slice(&root).unwrap_or_default();
    RepositoryStatus {
        name: repository.name.clone(),
        root_threshold: root
            .pointer("/signed/roles/root/threshold")
            .and_then(serde_json::Value::as_u64),
    }
}
