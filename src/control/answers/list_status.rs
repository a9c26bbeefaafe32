//! [`ListStatus`]: how one list stands, for the admin.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::compile::CompiledList;
use crate::control::answers::bounds::{Bounds, Latency};
use crate::control::answers::trouble::ListTrouble;
use crate::control::terminal::short;
use crate::policy::Origin;
use crate::report::ListUpdates;

/// One configured list.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ListStatus {
    name: String,
    from: String,
    mode: &'static str,
    required: bool,
    in_force: bool,
    title: Option<String>,
    serial: Option<u64>,
    signers: Vec<String>,
    /// Whether so many of their keys are revoked that it could not be signed by them now.
    revoked: bool,
    /// How many signatures it needed.
    threshold: Option<usize>,
    /// How many keys may sign it.
    keys: Option<usize>,
    age_seconds: Option<i64>,
    expires: Option<String>,
    /// The list's role has expired: it stays in force, and nothing new is taken.
    expired: bool,
    entries: usize,
    not_in_effect: usize,
    quarantined: usize,
    /// The first of them.
    quarantined_rows: Vec<Row>,
    /// Rows that were taken and are strange.
    warned: usize,
    /// The first of them.
    warnings: Vec<Row>,
    /// Rules that do not act, for no name servers are looked up, by trigger.
    inactive_rules: BTreeMap<&'static str, usize>,
    /// Entries above a protected name, which passes all the same.
    holes: Vec<(String, String)>,
    last_attempt: Option<String>,
    last_success: Option<String>,
    next_attempt: Option<String>,
    /// Why the last round failed: its name and a sentence.
    error: Option<(String, String)>,
    security_events: u64,
    /// Entries that are withdrawn at the moment.
    withdrawn: usize,
    /// Entries in force again, for their withdrawal has ended.
    lapsed: usize,
    /// Entries whose review is overdue.
    overdue: usize,
    /// What its rows and changes must be within, and whether its repository says so.
    bounds: Bounds,
    held: Option<Held>,
    rejected: Option<Rejected>,
    pinned: Option<Pinned>,
    /// Versions that tripped a guard.
    guard_events: u64,
    /// Since when it is dropped, because it has expired.
    dropped: Option<String>,
    /// From the publication of a version to its being in force.
    enforce_latency: Option<Latency>,
    /// From the publication of a withdrawal to its effect.
    withdraw_latency: Option<Latency>,
    #[serde(flatten)]
    trouble: ListTrouble,
}

/// A version that a guard holds back.
#[derive(Clone, Debug, Serialize)]
struct Held {
    version: String,
    serial: Option<u64>,
    since: String,
    /// The guards that it trips, each with a sentence.
    guards: Vec<(&'static str, String)>,
    before: u64,
    added: u64,
    removed: u64,
    /// Why the authority signed it all the same, in its words.
    accepted: Option<String>,
}

/// A version that a person rejected, while none that came later is in force.
#[derive(Clone, Debug, Serialize)]
struct Rejected {
    version: String,
    since: String,
}

/// A version that a person went back to.
#[derive(Clone, Debug, Serialize)]
struct Pinned {
    version: String,
    left: String,
    since: String,
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    line: u32,
    reason: String,
}

impl ListStatus {
    pub(crate) fn empty(name: &str, from: String, mode: &'static str, required: bool) -> Self {
        Self {
            name: name.to_owned(),
            from,
            mode,
            required,
            in_force: false,
            title: None,
            serial: None,
            signers: Vec::new(),
            revoked: false,
            threshold: None,
            keys: None,
            age_seconds: None,
            expires: None,
            expired: false,
            entries: 0,
            not_in_effect: 0,
            quarantined: 0,
            quarantined_rows: Vec::new(),
            warned: 0,
            warnings: Vec::new(),
            inactive_rules: BTreeMap::new(),
            holes: Vec::new(),
            last_attempt: None,
            last_success: None,
            next_attempt: None,
            error: None,
            security_events: 0,
            withdrawn: 0,
            lapsed: 0,
            overdue: 0,
            bounds: Bounds::default(),
            held: None,
            rejected: None,
            pinned: None,
            guard_events: 0,
            dropped: None,
            enforce_latency: None,
            withdraw_latency: None,
            trouble: ListTrouble::default(),
        }
    }

    pub(crate) fn with_list(mut self, compiled: Option<&CompiledList>, now: Timestamp) -> Self {
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
        self.warned = list.warned;
        self.warnings = list.warnings.iter().take(ROWS_SHOWN_MAX).map(row).collect();
        let inactive = list.inactive().into_iter();
        self.inactive_rules = inactive.filter(|(_, count)| *count > 0).collect();
        self.holes.clone_from(&list.holes);
        self.withdrawn = list.withdrawn;
        self.lapsed = list.lapsed;
        self.overdue = list.overdue;
        self.bounds = Bounds::of(&list.border);
        if let Origin::Signed {
            seq,
            signers,
            threshold,
            keys,
            issued_at,
            expires,
            ..
        } = &list.provenance.origin
        {
            self.serial = Some(*seq);
            self.signers.clone_from(signers);
            self.threshold = Some(*threshold);
            self.keys = Some(*keys);
            self.age_seconds = issued_at.map(|issued| now.as_second() - issued.as_second());
            self.expires = Some(expires.to_string());
            self.expired = *expires <= now;
        }
        self
    }

    pub(crate) fn with_round(mut self, round: Option<&ListUpdates>, now: Timestamp) -> Self {
        self.trouble = ListTrouble::of(round, now);
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
        self.guard_events = round.guard_events;
        self.dropped = time(round.dropped);
        self.held = round.held.as_ref().map(|held| Held {
            version: held.version.clone(),
            serial: held.serial,
            since: held.since.to_string(),
            guards: held.guards.clone(),
            before: held.before,
            added: held.added,
            removed: held.removed,
            accepted: held.accepted.clone(),
        });
        self.rejected = round.rejected.as_ref().map(|rejected| Rejected {
            version: rejected.version.clone(),
            since: rejected.since.to_string(),
        });
        self.pinned = round.pinned.as_ref().map(|pinned| Pinned {
            version: pinned.version.clone(),
            left: pinned.left.clone(),
            since: pinned.since.to_string(),
        });
        let deadline = |seconds: Option<u64>| seconds.map(Duration::from_secs);
        let add = deadline(self.bounds.add_within_seconds);
        let withdraw = deadline(self.bounds.withdraw_within_seconds);
        self.enforce_latency = round.enforce.figures(add).map(Latency::of);
        self.withdraw_latency = round.withdraw.figures(withdraw).map(Latency::of);
        if let (Some(renewed), Some(expires)) = (round.role_expires, self.expires.as_mut()) {
            *expires = renewed.to_string();
            self.expired = renewed <= now;
        }
        if let (Some(signers), Some(threshold)) = (&round.signers, self.threshold) {
            self.revoked = signers.len() < threshold;
            if !self.revoked {
                self.signers.clone_from(signers);
            }
        }
        self
    }

    pub(crate) fn write(&self, text: &mut String) {
        let _ = write!(text, "\n{} ({}", self.name, self.from);
        if self.mode == "monitor" {
            *text += ", only watches";
        }
        *text += ")\n";
        match (self.in_force, self.serial) {
            (false, _) if self.required && self.dropped.is_none() => {
                *text += "  NOT IN FORCE, and required\n";
            }
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
        if let (Some(threshold), Some(keys)) = (self.threshold, self.keys) {
            let short = |id: &String| id.get(..8).unwrap_or(id).to_owned();
            let signers: Vec<String> = self.signers.iter().map(short).collect();
            let _ = write!(
                text,
                "  signed by {} of {keys} keys, threshold {threshold}: {}",
                signers.len(),
                signers.join(", ")
            );
            *text += match self.revoked {
                true => {
                    "; REVOKED since: it stays in force until a version comes that others signed\n"
                }
                false => "\n",
            };
        }
        if let Some(expires) = self.expires.as_ref().filter(|_| !self.revoked) {
            let word = if self.expired {
                "EXPIRED"
            } else {
                "valid until"
            };
            let _ = writeln!(text, "  {word} {}", short(expires));
        }
        self.write_standing(text);
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
        for (count, be, what) in [
            (self.not_in_effect, true, "not in effect now"),
            (
                self.withdrawn,
                true,
                "withdrawn by the authority and let through",
            ),
            (self.overdue, false, "should have been reviewed by now"),
        ] {
            let (entries, be) = match (count, be) {
                (0, _) => continue,
                (1, true) => ("entry", "is "),
                (1, false) => ("entry", ""),
                (_, true) => ("entries", "are "),
                (_, false) => ("entries", ""),
            };
            let _ = writeln!(text, "  {count} {entries} {be}{what}");
        }
        self.write_latencies(text);
        self.write_rows(text);
        for (entry, name) in &self.holes {
            let _ = writeln!(
                text,
                "  entry {entry} stands above the protected name {name}, which passes all the same"
            );
        }
    }
}

impl ListStatus {
    /// What guards and people decided.
    fn write_standing(&self, text: &mut String) {
        if let Some(since) = &self.dropped {
            let _ = writeln!(
                text,
                "  DROPPED since {}: it has expired, and its signed policy says so",
                short(since)
            );
        }
        if let Some(rejected) = &self.rejected {
            let _ = writeln!(
                text,
                "  REJECTED: {} since {}, and never in force; the next one is judged anew",
                rejected.version,
                short(&rejected.since)
            );
        }
        if let Some(pinned) = &self.pinned {
            let _ = writeln!(
                text,
                "  PINNED to {} since {}, until one comes after {}",
                pinned.version,
                short(&pinned.since),
                pinned.left
            );
        }
        if let Some(held) = &self.held {
            let _ = writeln!(
                text,
                "  HELD: {} since {}, +{} -{} entries upon {}; decide with `cordon hold`",
                held.version,
                short(&held.since),
                held.added,
                held.removed,
                held.before
            );
            for (guard, sentence) in &held.guards {
                let _ = writeln!(text, "    {guard}: {sentence}");
            }
            if let Some(reason) = &held.accepted {
                let _ = writeln!(text, "    the authority knew, and says: {reason}");
            }
        }
        if self.guard_events > 0 {
            let versions = match self.guard_events {
                1 => "1 version".to_owned(),
                many => format!("{many} versions"),
            };
            let _ = writeln!(text, "  {versions} tripped a guard");
        }
        if self.bounds.signed {
            *text += "  bounded by the signed policy of its repository\n";
        }
    }

    /// How long things took.
    fn write_latencies(&self, text: &mut String) {
        for (what, latency) in [
            ("enforced after", &self.enforce_latency),
            ("let through after", &self.withdraw_latency),
        ] {
            if let Some(latency) = latency {
                latency.write(what, text);
            }
        }
    }
}

/// Rows.
impl ListStatus {
    /// What became of rows of its text that is not what they ask for.
    pub(crate) fn write_rows(&self, text: &mut String) {
        for (trigger, count) in &self.inactive_rules {
            let _ = writeln!(
                text,
                "  INACTIVE: {count} rules on {}: no name servers are looked up; `ns_lookup: true` does",
                trigger.to_uppercase()
            );
        }
        for (count, rows, what) in [
            (self.quarantined, &self.quarantined_rows, "rows quarantined"),
            (
                self.warned,
                &self.warnings,
                "warnings about rows that are enforced",
            ),
        ] {
            if count == 0 {
                continue;
            }
            let _ = writeln!(text, "  {count} {what}:");
            for row in rows {
                let _ = writeln!(text, "    line {}: {}", row.line, row.reason);
            }
            if count > rows.len() {
                *text += "    …\n";
            }
        }
    }
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
