//! [`Status`]: what is in force, and how it is, for the admin.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

use super::trouble::{ListTrouble, NodeTrouble};
use crate::compile::{CompiledList, From, Mode};
use crate::config::{Config, Repository};
use crate::enforce::Edition;
use crate::policy::Origin;
use crate::report::{ListUpdates, Updates};

/// What is in force, and how it is.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    node: String,
    /// Every required list is in force.
    ready: bool,
    #[serde(flatten)]
    trouble: NodeTrouble,
    edition: u64,
    since: String,
    lists: Vec<ListStatus>,
    surfaces: Vec<Surface>,
    protected_names: usize,
    repositories: Vec<RepositoryStatus>,
    /// Why hits cannot be settled at the moment; they are counted all the same.
    ledger_error: Option<String>,
}

/// One repository.
#[derive(Clone, Debug, Serialize)]
struct RepositoryStatus {
    name: String,
    /// How many keys must sign its root; at 1, one key decides.
    root_threshold: Option<u64>,
}

/// One configured list.
#[derive(Clone, Debug, Serialize)]
struct ListStatus {
    name: String,
    from: String,
    mode: &'static str,
    required: bool,
    in_force: bool,
    title: Option<String>,
    serial: Option<u64>,
    signers: Vec<String>,
    age_seconds: Option<i64>,
    expires: Option<String>,
    /// The list's role has expired: it stays in force, and nothing new is taken.
    expired: bool,
    entries: usize,
    not_in_effect: usize,
    quarantined: usize,
    /// The first of them.
    quarantined_rows: Vec<Row>,
    /// Entries above a protected name, which passes all the same.
    holes: Vec<(String, String)>,
    last_attempt: Option<String>,
    last_success: Option<String>,
    next_attempt: Option<String>,
    /// Why the last round failed: its name and a sentence.
    error: Option<(String, String)>,
    security_events: u64,
    #[serde(flatten)]
    trouble: ListTrouble,
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    line: u32,
    reason: String,
}

/// Where clients are answered.
#[derive(Clone, Debug, Serialize)]
struct Surface {
    surface: &'static str,
    addresses: Vec<String>,
}

impl Status {
    /// The status at `now`.
    #[must_use]
    pub(super) fn of(
        config: &Config,
        edition: &Edition,
        updates: &Updates,
        ready: bool,
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
            let mut status = empty.with_list(compiled, now).with_round(round);
            status.trouble = ListTrouble::of(round, now);
            status
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
            ready,
            trouble: NodeTrouble::of(&config.node, edition, updates, now),
            edition: edition.number,
            since: edition.since.to_string(),
            lists: lists.collect(),
            surfaces,
            protected_names: config.protect.names().len(),
            repositories: config
                .repositories
                .iter()
                .map(|repository| repository_status(config, repository))
                .collect(),
            ledger_error: None,
        }
    }

    /// The same, with why the ledger cannot be written at the moment.
    #[must_use]
    pub(super) fn with_ledger(mut self, error: Option<&String>) -> Self {
        self.ledger_error = error.cloned();
        self
    }

    /// The status for people.
    #[must_use]
    pub(super) fn to_text(&self) -> String {
        let ready = if self.ready {
            "ready"
        } else {
            "NOT READY: a required list is not in force"
        };
        let mut text = format!(
            "{} · cordon {} · {ready}{}\nedition {} since {}\n",
            self.node,
            self.version,
            self.trouble.word(),
            self.edition,
            short(&self.since)
        );
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
        if self.lists.is_empty() {
            text += "\nNo list is configured: nothing is blocked.\n";
        }
        for list in &self.lists {
            list.write(&mut text);
        }
        text
    }
}

impl ListStatus {
    fn empty(name: &str, from: String, mode: &'static str, required: bool) -> Self {
        Self {
            name: name.to_owned(),
            from,
            mode,
            required,
            in_force: false,
            title: None,
            serial: None,
            signers: Vec::new(),
            age_seconds: None,
            expires: None,
            expired: false,
            entries: 0,
            not_in_effect: 0,
            quarantined: 0,
            quarantined_rows: Vec::new(),
            holes: Vec::new(),
            last_attempt: None,
            last_success: None,
            next_attempt: None,
            error: None,
            security_events: 0,
            trouble: ListTrouble::default(),
        }
    }

    fn with_list(mut self, compiled: Option<&CompiledList>, now: Timestamp) -> Self {
        let Some(list) = compiled else { return self };
        self.in_force = true;
        self.title = Some(list.provenance.title.clone());
        self.entries = list.entries.iter().map(|(_, count)| count).sum();
        self.not_in_effect = list.not_in_effect;
        self.quarantined = list.rejected;
        let row = |reject: &crate::compile::Reject| Row {
            line: reject.line,
            reason: reject.reason.clone(),
        };
        self.quarantined_rows = list.rejects.iter().take(ROWS_SHOWN_MAX).map(row).collect();
        self.holes.clone_from(&list.holes);
        if let Origin::Signed {
            seq,
            signers,
            issued_at,
            expires,
            ..
        } = &list.provenance.origin
        {
            self.serial = Some(*seq);
            self.signers.clone_from(signers);
            self.age_seconds = issued_at.map(|issued| now.as_second() - issued.as_second());
            self.expires = Some(expires.to_string());
            self.expired = *expires <= now;
        }
        self
    }

    fn with_round(mut self, round: Option<&ListUpdates>) -> Self {
        let Some(round) = round else { return self };
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        self.last_attempt = time(round.last_attempt);
        self.last_success = time(round.last_success);
        self.next_attempt = time(round.next_attempt);
        self.error = round
            .failure
            .as_ref()
            .map(|failure| (failure.name.to_owned(), failure.sentence.clone()));
        self.security_events = round.security_events;
        self
    }

    fn write(&self, text: &mut String) {
        let _ = write!(text, "\n{} ({}", self.name, self.from);
        if self.mode == "monitor" {
            *text += ", only watches";
        }
        *text += ")\n";
        match (self.in_force, self.serial) {
            (false, _) if self.required => *text += "  NOT IN FORCE, and required\n",
            (false, _) => *text += "  not in force\n",
            (true, Some(serial)) => {
                let age = self
                    .age_seconds
                    .map(|age| format!(", issued {} ago", span(age)))
                    .unwrap_or_default();
                let _ = writeln!(
                    text,
                    "  serial {serial} in force, {} entries{age}",
                    self.entries
                );
            }
            (true, None) => {
                let _ = writeln!(text, "  in force, {} entries", self.entries);
            }
        }
        if !self.signers.is_empty() {
            let signers: Vec<&str> = self
                .signers
                .iter()
                .map(|id| id.get(..8).unwrap_or(id))
                .collect();
            let _ = writeln!(text, "  signed by {}", signers.join(", "));
        }
        if let Some(expires) = &self.expires {
            let word = if self.expired {
                "EXPIRED"
            } else {
                "valid until"
            };
            let _ = writeln!(text, "  {word} {}", short(expires));
        }
        if let Some((name, sentence)) = &self.error {
            let _ = writeln!(text, "  LAST ROUND FAILED ({name}): {sentence}");
        }
        self.trouble.write(text);
        if self.security_events > 0 {
            let _ = writeln!(
                text,
                "  {} rounds since the start met what may be an attack",
                self.security_events
            );
        }
        if self.not_in_effect > 0 {
            let _ = writeln!(
                text,
                "  {} entries are not in effect now",
                self.not_in_effect
            );
        }
        if self.quarantined > 0 {
            let _ = writeln!(text, "  {} rows quarantined:", self.quarantined);
            for row in &self.quarantined_rows {
                let _ = writeln!(text, "    line {}: {}", row.line, row.reason);
            }
            if self.quarantined > self.quarantined_rows.len() {
                *text += "    …\n";
            }
        }
        for (entry, name) in &self.holes {
            let _ = writeln!(
                text,
                "  entry {entry} stands above the protected name {name}, which passes all the same"
            );
        }
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

/// A time to the minute, for people.
fn short(time: &str) -> String {
    let minute = time.get(..16).unwrap_or(time);
    format!("{} UTC", minute.replace('T', " "))
}

/// A span of time in its largest unit.
fn span(seconds: i64) -> String {
    match seconds {
        ..0 => "0 s".to_owned(),
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How many quarantined rows of a list are shown.
const ROWS_SHOWN_MAX: usize = 10;
