//! A list as a card of the overview and the head of its own page.

use jiff::Timestamp;

use super::pages::{Status, Totals, When};
use super::words;
use crate::compile::Mode;
use crate::count::Sum;
use crate::policy::Origin;
use crate::report::summary::{Health, ListStatus};
use crate::report::{LatencyFigures, Severity};

/// A list as a card of the overview and the head of its own page.
pub(super) struct ListCard {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) issuer: Option<String>,
    pub(super) colour: usize,
    pub(super) status: Status,
    pub(super) required: bool,
    pub(super) monitors: bool,
    pub(super) in_force: bool,
    pub(super) signed: Option<SignedFacts>,
    pub(super) digest: Option<String>,
    pub(super) entries: String,
    pub(super) kinds: Vec<String>,
    pub(super) not_in_effect: u64,
    pub(super) rejected: u64,
    pub(super) warned: u64,
    /// Rules that do not act: how many, and of which trigger.
    pub(super) inactive: Vec<String>,
    pub(super) hits: Vec<(String, String)>,
    pub(super) updated: Option<When>,
    pub(super) next: Option<When>,
    pub(super) security_events: u64,
    pub(super) failure: Option<(String, String)>,
    /// Class of the badge, and for how long it is stale.
    pub(super) stale: Option<(&'static str, String)>,
    pub(super) is_persisted: bool,
    pub(super) withdrawn: u64,
    pub(super) overdue: u64,
    pub(super) guard_events: u64,
    pub(super) held: Option<HeldFacts>,
    /// What was rejected, and since when.
    pub(super) rejected_version: Option<(String, When)>,
    pub(super) pinned: Option<PinnedFacts>,
    pub(super) dropped: Option<When>,
    /// How long things took: what, and the figures.
    pub(super) latencies: Vec<(&'static str, String)>,
}

/// What is known of a version that a guard holds back.
pub(super) struct HeldFacts {
    pub(super) version: String,
    pub(super) since: When,
    pub(super) guards: Vec<String>,
    pub(super) before: u64,
    pub(super) added: u64,
    pub(super) removed: u64,
}

/// What is known of a version that the operator went back to.
pub(super) struct PinnedFacts {
    pub(super) version: String,
    pub(super) left: String,
    pub(super) since: When,
}

/// How long versions took to be in force, and withdrawals to act.
fn latencies(list: &ListStatus) -> Vec<(&'static str, String)> {
    let figures = [
        ("From publication to in force", list.enforce_latency()),
        ("From withdrawal to let through", list.withdraw_latency()),
    ];
    let words = |figures: LatencyFigures| {
        let within = figures.within_percent.map_or_else(String::new, |percent| {
            format!("; {percent:.0} % within the deadline")
        });
        format!(
            "half within {:.1} s, 95 % within {:.1} s, the longest {:.1} s, of {}{within}",
            figures.p50, figures.p95, figures.max, figures.count
        )
    };
    let known = figures.into_iter();
    known
        .filter_map(|(what, figures)| Some((what, words(figures?))))
        .collect()
}

/// What is known of a signed list.
pub(super) struct SignedFacts {
    pub(super) repository: String,
    pub(super) serial: u64,
    pub(super) signers: Vec<String>,
    pub(super) threshold: usize,
    pub(super) keys: usize,
    pub(super) issued: Option<When>,
    pub(super) age: Option<String>,
    pub(super) expires: When,
    pub(super) left: String,
    pub(super) is_expired: bool,
}

impl ListCard {
    pub(super) fn new(list: &ListStatus, place: usize, now: Timestamp, hours: &[Sum]) -> Self {
        let compiled = list.compiled.as_ref();
        let own = |sum: &&Sum| sum.list.as_ref() == Some(&list.name);
        let own: Vec<Sum> = hours.iter().filter(own).cloned().collect();
        let hits = Totals::of(&own)
            .shown()
            .map(|(surface, hits)| {
                let surface = surface.as_str().to_uppercase();
                (format!("{surface} blocked, 24 h"), words::number(hits))
            })
            .collect();
        let kinds = compiled.map(|list| list.entries.as_slice());
        let updates = list.updates.as_ref();
        Self {
            name: list.name.clone(),
            title: list.title().to_owned(),
            issuer: compiled.and_then(|list| list.provenance.issuer.clone()),
            colour: place.min(super::chart::COLOURS),
            status: match list.health(now) {
                Health::Good => Status {
                    class: "good",
                    word: "In force",
                },
                Health::Attention => Status {
                    class: "attention",
                    word: "In force, needs attention",
                },
                Health::Missing => Status {
                    class: "missing",
                    word: "Not in force",
                },
            },
            required: list.required,
            monitors: compiled.is_some_and(|list| list.settings.mode == Mode::Monitor),
            in_force: compiled.is_some(),
            signed: SignedFacts::of(list, now),
            digest: match list.origin() {
                Some(Origin::Signed { state, .. }) => Some(words::short(state)),
                Some(Origin::Unsigned { digest, .. }) => Some(words::short(digest)),
                None => None,
            },
            entries: words::number(list.entries() as u64),
            kinds: kinds
                .unwrap_or_default()
                .iter()
                .map(|(kind, count)| format!("{} {}", words::number(*count as u64), kind.as_str()))
                .collect(),
            not_in_effect: compiled.map_or(0, |list| list.not_in_effect as u64),
            rejected: list.rejected() as u64,
            warned: list.warned() as u64,
            inactive: list
                .inactive()
                .into_iter()
                .filter(|(_, rules)| *rules > 0)
                .map(|(trigger, rules)| {
                    let rules = words::number(rules as u64);
                    format!("{rules} {}", trigger.to_uppercase())
                })
                .collect(),
            hits,
            updated: updates
                .and_then(|updates| updates.last_success)
                .map(When::new),
            next: updates
                .and_then(|updates| updates.next_attempt)
                .map(When::new),
            security_events: updates.map_or(0, |updates| updates.security_events),
            failure: list
                .failure()
                .map(|failure| (failure.name.to_owned(), failure.sentence.clone())),
            stale: stale(list, now),
            is_persisted: list.is_persisted(),
            withdrawn: list.withdrawn() as u64,
            overdue: list.overdue() as u64,
            guard_events: list.guard_events(),
            held: list.held().map(|held| HeldFacts {
                version: held.version.clone(),
                since: When::new(held.since),
                guards: held.guards.iter().map(|(_, why)| why.clone()).collect(),
                before: held.before,
                added: held.added,
                removed: held.removed,
            }),
            rejected_version: list
                .rejected_version()
                .map(|rejected| (rejected.version.clone(), When::new(rejected.since))),
            pinned: list.pinned().map(|pinned| PinnedFacts {
                version: pinned.version.clone(),
                left: pinned.left.clone(),
                since: When::new(pinned.since),
            }),
            dropped: list.dropped().map(When::new),
            latencies: latencies(list),
        }
    }
}

/// The class of the badge, and for how long a list is stale, where that is worth a look.
fn stale(list: &ListStatus, now: Timestamp) -> Option<(&'static str, String)> {
    let class = match list.staleness(now)? {
        Severity::Warning => "attention",
        Severity::Alarm => "missing",
    };
    Some((class, words::duration(list.stale(now)?)))
}

impl SignedFacts {
    fn of(list: &ListStatus, now: Timestamp) -> Option<Self> {
        let Some(Origin::Signed {
            repository,
            seq,
            signers,
            threshold,
            keys,
            issued_at,
            expires,
            ..
        }) = list.origin()
        else {
            return None;
        };
        let left = expires.duration_since(now);
        Some(Self {
            repository: repository.clone(),
            serial: *seq,
            signers: signers.iter().map(|key| words::short(key)).collect(),
            threshold: *threshold,
            keys: *keys,
            issued: issued_at.map(When::new),
            age: list.age(now).map(words::duration),
            expires: When::new(*expires),
            left: words::duration(left),
            is_expired: left.is_negative(),
        })
    }
}
