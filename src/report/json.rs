//! The API's JSON, format 1. These shapes are a promise: fields are added, never renamed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::suppression::{Figure, Shown};
use super::timeline::{End, ListInForce, Period};
use super::{LatencyFigures, ListStatus, Probe, SelfTest, Summary};
use crate::compile::{Mode, Reject};
use crate::count::{By, Per};
use crate::policy::Origin;

/// The version of these shapes.
const FORMAT: u32 = 1;

/// What is printed with every figure (field.md section 5.1).
pub(super) const METHOD: &str = "A hit is an answered DNS query, HTTP request or TLS connection that an \
entry decided. Hits are not people: one page makes many requests, programs ask again, and caches keep \
answers back. Surfaces are never added up.";

/// `/api/v1/hits`.
#[derive(Serialize)]
pub(super) struct Hits<'a> {
    format: u32,
    from: String,
    to: String,
    by: &'a str,
    per: &'a str,
    small_counts_below: u64,
    method: &'static str,
    rows: Vec<HitRow<'a>>,
}

#[derive(Serialize)]
struct HitRow<'a> {
    start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authority: Option<&'a str>,
    surface: &'a str,
    action: &'a str,
    hits: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed: Option<String>,
}

/// What was asked, as the answer repeats it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) by: By,
    pub(super) per: Per,
    pub(super) below: u64,
}

impl<'a> Hits<'a> {
    pub(super) fn new(asked: Asked, figures: &'a [Figure]) -> Self {
        let rows = figures.iter().map(|figure| HitRow {
            start: figure.of.start.start().to_string(),
            list: figure.of.list.as_deref(),
            entry: figure.of.entry.as_deref(),
            category: figure.of.category.as_deref(),
            authority: figure.of.authority.as_deref(),
            surface: figure.of.surface.as_str(),
            action: figure.of.action.as_str(),
            hits: figure.hits(),
            suppressed: suppressed(figure, asked.below),
        });
        Self {
            format: FORMAT,
            from: asked.from.to_string(),
            to: asked.to.to_string(),
            by: asked.by.as_str(),
            per: per_word(asked.per),
            small_counts_below: asked.below,
            method: METHOD,
            rows: rows.collect(),
        }
    }
}

/// What stands for a number that is not shown.
pub(super) fn suppressed(figure: &Figure, below: u64) -> Option<String> {
    match figure.shown {
        Shown::Hits(_) => None,
        Shown::Below => Some(format!("<{below}")),
        Shown::Suppressed => Some("suppressed".into()),
        Shown::Withheld => Some("withheld".into()),
    }
}

/// The word for it in the API.
pub(super) const fn per_word(per: Per) -> &'static str {
    match per {
        Per::Hour => "hour",
        Per::Day => "day",
        Per::Whole => "whole",
    }
}

/// `/api/v1/lists`.
#[derive(Serialize)]
pub(super) struct Lists<'a> {
    format: u32,
    lists: Vec<List<'a>>,
}

#[derive(Serialize)]
struct List<'a> {
    name: &'a str,
    title: &'a str,
    issuer: Option<&'a str>,
    in_force: bool,
    required: bool,
    mode: Option<&'static str>,
    signed: Option<bool>,
    repository: Option<&'a str>,
    serial: Option<u64>,
    generation: Option<u64>,
    digest: Option<&'a str>,
    signers: &'a [String],
    issued_at: Option<String>,
    expires: Option<String>,
    age_seconds: Option<i64>,
    expires_seconds: Option<i64>,
    /// For how long it is not known whether it is the newest.
    stale_seconds: Option<i64>,
    /// The next start would begin with it.
    persisted: bool,
    entries: BTreeMap<&'static str, usize>,
    not_in_effect: usize,
    quarantined: usize,
    rejects: Vec<RejectedRow<'a>>,
    warned: usize,
    warnings: Vec<RejectedRow<'a>>,
    inactive_rules: BTreeMap<&'static str, usize>,
    update: Option<Update<'a>>,
    withdrawn: usize,
    overdue: usize,
    guard_events: u64,
    held: Option<Held<'a>>,
    rejected: Option<Rejected<'a>>,
    pinned: Option<Pinned<'a>>,
    dropped: Option<String>,
    enforce_latency: Option<Latency>,
    withdraw_latency: Option<Latency>,
}

/// A version that a guard holds back: counts, and no entry.
#[derive(Serialize)]
struct Held<'a> {
    version: &'a str,
    serial: Option<u64>,
    since: String,
    guards: Vec<HeldBy<'a>>,
    before: u64,
    added: u64,
    removed: u64,
}

#[derive(Serialize)]
struct HeldBy<'a> {
    guard: &'a str,
    sentence: &'a str,
}

/// A version that the operator rejected, while none that came later is in force.
#[derive(Serialize)]
struct Rejected<'a> {
    version: &'a str,
    since: String,
}

/// A version that the operator went back to.
#[derive(Serialize)]
struct Pinned<'a> {
    version: &'a str,
    left: &'a str,
    since: String,
}

/// How long things took, in seconds.
#[derive(Serialize)]
struct Latency {
    count: usize,
    p50: f64,
    p95: f64,
    max: f64,
    within_percent: Option<f64>,
}

impl Latency {
    const fn of(figures: LatencyFigures) -> Self {
        Self {
            count: figures.count,
            p50: figures.p50,
            p95: figures.p95,
            max: figures.max,
            within_percent: figures.within_percent,
        }
    }
}

#[derive(Serialize)]
struct RejectedRow<'a> {
    line: u32,
    reason: &'a str,
}

#[derive(Serialize)]
struct Update<'a> {
    last_attempt: Option<String>,
    last_success: Option<String>,
    next_attempt: Option<String>,
    security_events: u64,
    rounds: &'a BTreeMap<&'static str, u64>,
    error: Option<UpdateError<'a>>,
}

#[derive(Serialize)]
struct UpdateError<'a> {
    name: &'a str,
    sentence: &'a str,
}

impl<'a> Lists<'a> {
    pub(super) fn new(summary: &'a Summary) -> Self {
        Self {
            format: FORMAT,
            lists: lists(summary),
        }
    }
}

fn lists(summary: &Summary) -> Vec<List<'_>> {
    summary
        .lists
        .iter()
        .map(|list| List::new(list, summary.now))
        .collect()
}

impl<'a> List<'a> {
    fn new(list: &'a ListStatus, now: Timestamp) -> Self {
        let (repository, generation, digest, signers, issued_at, expires) = match list.origin() {
            Some(Origin::Signed {
                repository,
                generation,
                state,
                signers,
                issued_at,
                ..
            }) => (
                Some(repository.as_str()),
                Some(*generation),
                Some(state.as_str()),
                signers.as_slice(),
                issued_at.map(|at| at.to_string()),
                list.expires().map(|expires| expires.to_string()),
            ),
            Some(Origin::Unsigned { digest, .. }) => {
                (None, None, Some(digest.as_str()), [].as_slice(), None, None)
            }
            None => (None, None, None, [].as_slice(), None, None),
        };
        let compiled = list.compiled.as_ref();
        let rows = |rows: Option<&'a Vec<Reject>>| -> Vec<RejectedRow<'a>> {
            rows.into_iter()
                .flatten()
                .map(|row| RejectedRow {
                    line: row.line,
                    reason: &row.reason,
                })
                .collect()
        };
        let entries = compiled.map(|list| list.entries.as_slice());
        Self {
            name: &list.name,
            title: list.title(),
            issuer: compiled.and_then(|list| list.provenance.issuer.as_deref()),
            in_force: compiled.is_some(),
            required: list.required,
            mode: compiled.map(|list| mode_word(list.settings.mode)),
            signed: list
                .origin()
                .map(|origin| matches!(origin, Origin::Signed { .. })),
            repository,
            serial: list.serial(),
            generation,
            digest,
            signers,
            issued_at,
            expires,
            age_seconds: list.age(now).map(|age| age.as_secs()),
            expires_seconds: list.expires_in(now).map(|left| left.as_secs()),
            stale_seconds: list.stale(now).map(|stale| stale.as_secs()),
            persisted: list.is_persisted(),
            entries: entries
                .unwrap_or_default()
                .iter()
                .map(|(kind, count)| (kind.as_str(), *count))
                .collect(),
            not_in_effect: compiled.map_or(0, |list| list.not_in_effect),
            quarantined: list.rejected(),
            rejects: rows(compiled.map(|list| &list.rejects)),
            warned: list.warned(),
            warnings: rows(compiled.map(|list| &list.warnings)),
            inactive_rules: list.inactive().into_iter().collect(),
            update: list.updates.as_ref().map(|updates| Update {
                last_attempt: updates.last_attempt.map(|at| at.to_string()),
                last_success: updates.last_success.map(|at| at.to_string()),
                next_attempt: updates.next_attempt.map(|at| at.to_string()),
                security_events: updates.security_events,
                rounds: &updates.rounds,
                error: updates.failure.as_ref().map(|failure| UpdateError {
                    name: failure.name,
                    sentence: &failure.sentence,
                }),
            }),
            withdrawn: list.withdrawn(),
            overdue: list.overdue(),
            guard_events: list.guard_events(),
            held: list.held().map(|held| Held {
                version: &held.version,
                serial: held.serial,
                since: held.since.to_string(),
                guards: held
                    .guards
                    .iter()
                    .map(|(guard, sentence)| HeldBy { guard, sentence })
                    .collect(),
                before: held.before,
                added: held.added,
                removed: held.removed,
            }),
            rejected: list.rejected_version().map(|rejected| Rejected {
                version: &rejected.version,
                since: rejected.since.to_string(),
            }),
            pinned: list.pinned().map(|pinned| Pinned {
                version: &pinned.version,
                left: &pinned.left,
                since: pinned.since.to_string(),
            }),
            dropped: list.dropped().map(|since| since.to_string()),
            enforce_latency: list.enforce_latency().map(Latency::of),
            withdraw_latency: list.withdraw_latency().map(Latency::of),
        }
    }
}

/// The word for it in the configuration.
pub(super) const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Monitor => "monitor",
    }
}

/// `/api/v1/summary`.
#[derive(Serialize)]
pub(super) struct Overview<'a> {
    format: u32,
    node: &'a str,
    now: String,
    ready: bool,
    health: &'static str,
    alarms: Vec<AlarmOf<'a>>,
    /// How many names the operator lets through by hand at the moment.
    allowed_names: usize,
    edition: EditionInForce,
    lists: Vec<List<'a>>,
    self_test: Option<SelfTestOf<'a>>,
    hits_24h: HitsOfDay<'a>,
}

/// The node's last test of itself, here and in `cordon status --json`.
#[derive(Clone, Debug, Serialize)]
pub struct SelfTestOf<'a> {
    at: String,
    edition: u64,
    passed: bool,
    asked: usize,
    /// What was tested, and whether it passed.
    probes: BTreeMap<&'static str, bool>,
    failures: Vec<SelfTestFailureOf<'a>>,
    /// Lists of which nothing can be asked, each with why.
    untested: BTreeMap<&'a str, &'static str>,
}

#[derive(Clone, Debug, Serialize)]
struct SelfTestFailureOf<'a> {
    probe: &'static str,
    list: Option<&'a str>,
    sentence: &'a str,
    since: String,
}

impl<'a> SelfTestOf<'a> {
    /// A test as the API gives it.
    #[must_use]
    pub fn new(test: &'a SelfTest) -> Self {
        let outcomes = Probe::ALL
            .into_iter()
            .filter_map(|probe| Some((probe.as_str(), test.outcome(probe)?)));
        let failures = test.failures.iter().map(|failure| SelfTestFailureOf {
            probe: failure.probe.as_str(),
            list: failure.list.as_deref(),
            sentence: &failure.sentence,
            since: failure.since.to_string(),
        });
        Self {
            at: test.at.to_string(),
            edition: test.edition,
            passed: test.passed(),
            asked: test.asked,
            probes: outcomes.collect(),
            failures: failures.collect(),
            untested: test
                .untested
                .iter()
                .map(|(list, why)| (list.as_str(), *why))
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct AlarmOf<'a> {
    name: &'static str,
    severity: &'static str,
    since: String,
    sentence: &'a str,
}

#[derive(Serialize)]
struct EditionInForce {
    number: u64,
    since: String,
}

#[derive(Serialize)]
struct HitsOfDay<'a> {
    from: String,
    to: String,
    method: &'static str,
    rows: Vec<HitRow<'a>>,
}

impl<'a> Overview<'a> {
    pub(super) fn new(summary: &'a Summary, asked: Asked, figures: &'a [Figure]) -> Self {
        let hits = Hits::new(asked, figures);
        Self {
            format: FORMAT,
            node: &summary.node,
            now: summary.now.to_string(),
            ready: summary.ready,
            health: summary.health().as_str(),
            alarms: summary
                .alarms
                .iter()
                .map(|alarm| AlarmOf {
                    name: alarm.kind.as_str(),
                    severity: alarm.severity.as_str(),
                    since: alarm.since.to_string(),
                    sentence: &alarm.sentence,
                })
                .collect(),
            allowed_names: summary.allowed,
            edition: EditionInForce {
                number: summary.edition,
                since: summary.since.to_string(),
            },
            lists: lists(summary),
            self_test: summary.self_test.as_ref().map(SelfTestOf::new),
            hits_24h: HitsOfDay {
                from: hits.from,
                to: hits.to,
                method: METHOD,
                rows: hits.rows,
            },
        }
    }
}

/// `/api/v1/timeline`.
#[derive(Serialize)]
pub(super) struct TimelineOf<'a> {
    format: u32,
    periods: Vec<PeriodOf<'a>>,
}

#[derive(Serialize)]
struct PeriodOf<'a> {
    edition: u64,
    from: String,
    to: Option<String>,
    ended: &'static str,
    lists: &'a [ListInForce],
}

impl<'a> TimelineOf<'a> {
    pub(super) fn new(periods: &'a [Period]) -> Self {
        let periods = periods.iter().map(|period| {
            let (to, ended) = end(period.end);
            PeriodOf {
                edition: period.edition,
                from: period.from.to_string(),
                to,
                ended,
                lists: &period.lists,
            }
        });
        Self {
            format: FORMAT,
            periods: periods.collect(),
        }
    }
}

/// When a period ended, and the word for how. Of one that was lost only an upper bound is
/// known.
pub(super) fn end(end: End) -> (Option<String>, &'static str) {
    match end {
        End::InForce => (None, "in_force"),
        End::Replaced(at) => (Some(at.to_string()), "replaced"),
        End::Stopped(at) => (Some(at.to_string()), "stopped"),
        End::Lost(at) => (Some(at.to_string()), "lost_before"),
    }
}
