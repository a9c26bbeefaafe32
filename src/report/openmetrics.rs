//! [`Metrics`]: health and totals for Prometheus. Never a client, name or URL as a label.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{
    counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
    with_local_recorder,
};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::{AlarmKind, Probe, Severity, Summary};
use crate::count::Sum;
use crate::policy::{Kind, Surface};

/// The recorder behind `/metrics`. The other parts reach it through the `metrics` macros once
/// it is installed; what the report itself knows is brought up to date when it is rendered.
#[derive(Clone)]
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    /// The lists that were rendered before, so that one that is gone is not left at its last
    /// figures.
    seen: Arc<Mutex<BTreeSet<String>>>,
}

impl Metrics {
    /// A recorder of its own, with the report's metrics described.
    #[must_use]
    pub fn new() -> Self {
        let builder = PrometheusBuilder::new();
        let builder = buckets(builder, SWAP_SECONDS, &SWAP_BUCKETS);
        let builder = buckets(builder, ENFORCE_SECONDS, &ENFORCE_BUCKETS);
        let builder = buckets(builder, WITHDRAW_SECONDS, &ENFORCE_BUCKETS);
        let recorder = Arc::new(builder.build_recorder());
        let handle = recorder.handle();
        with_local_recorder(&recorder, describe);
        Self {
            recorder,
            handle,
            seen: Arc::default(),
        }
    }

    /// Makes it the recorder of the process, for the `metrics` macros everywhere. Says whether
    /// it now is; there can be one in the life of a process.
    pub fn install(&self) -> bool {
        metrics::set_global_recorder(self.recorder.clone()).is_ok()
    }

    /// Notes how long the swap of editions took.
    pub fn swapped(&self, took: Duration) {
        with_local_recorder(&self.recorder, || {
            histogram!(SWAP_SECONDS).record(took.as_secs_f64());
        });
    }

    /// Notes how long a version of a list took from its publication to being in force.
    pub fn enforced(&self, list: &str, took: Duration) {
        with_local_recorder(&self.recorder, || {
            histogram!(ENFORCE_SECONDS, "list" => list.to_owned()).record(took.as_secs_f64());
        });
    }

    /// Notes a mirror's file that was refused, by TUF's name for why.
    pub fn refused(&self, repository: &str, outcome: &'static str) {
        with_local_recorder(&self.recorder, || {
            let repository = repository.to_owned();
            counter!(REFUSALS, "repository" => repository, "outcome" => outcome).increment(1);
        });
    }

    /// Notes transfers that broke off and were taken up again.
    pub fn retried(&self, repository: &str, retries: u64) {
        with_local_recorder(&self.recorder, || {
            counter!(RETRIES, "repository" => repository.to_owned()).increment(retries);
        });
    }

    /// Notes how long a withdrawal took from its publication to the entry's being let through.
    pub fn withdrawn(&self, list: &str, took: Duration) {
        with_local_recorder(&self.recorder, || {
            histogram!(WITHDRAW_SECONDS, "list" => list.to_owned()).record(took.as_secs_f64());
        });
    }

    /// Notes how many queries or requests a self-test made on a surface.
    pub fn self_tested(&self, surface: Surface, requests: u64) {
        with_local_recorder(&self.recorder, || {
            counter!(SELF_TEST_REQUESTS, "surface" => surface.as_str()).increment(requests);
        });
    }

    /// Folds the samples of histograms together; to be called every few seconds, for they
    /// take room until then.
    pub fn fold(&self) {
        self.handle.run_upkeep();
    }

    /// Everything as Prometheus text. `totals` are all hits by list, surface and action.
    #[must_use]
    pub fn render(&self, summary: &Summary, totals: &[Sum]) -> String {
        with_local_recorder(&self.recorder, || {
            self.refresh_lists(summary);
            refresh_alarms(summary);
            gauge!(ALLOWED).set(summary.allowed as f64);
            refresh_self_test(summary);
            for sum in totals {
                counter!(
                    HITS,
                    "list" => sum.list.clone().unwrap_or_default(),
                    "surface" => sum.surface.as_str(),
                    "action" => sum.action.as_str()
                )
                .absolute(sum.hits);
            }
        });
        self.fold();
        self.handle.render()
    }

    fn refresh_lists(&self, summary: &Summary) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = std::mem::take(&mut *seen);
        for list in &summary.lists {
            let name = list.name.clone();
            gone.remove(&name);
            seen.insert(name.clone());
            let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
            gauge!(SERIAL, "list" => name.clone()).set(number(list.serial().map(|seq| seq as f64)));
            let age = list.age(summary.now).map(|age| age.as_secs_f64());
            gauge!(AGE, "list" => name.clone()).set(number(age));
            let left = list.expires_in(summary.now).map(|left| left.as_secs_f64());
            gauge!(EXPIRES, "list" => name.clone()).set(number(left));
            let stale = list.stale(summary.now).map(|stale| stale.as_secs_f64());
            gauge!(STALE, "list" => name.clone()).set(number(stale));
            let persisted = f64::from(u8::from(list.is_persisted()));
            gauge!(PERSISTED, "list" => name.clone()).set(persisted);
            gauge!(QUARANTINED, "list" => name.clone()).set(list.rejected() as f64);
            for (trigger, rules) in list.inactive() {
                gauge!(INACTIVE, "list" => name.clone(), "trigger" => trigger).set(rules as f64);
            }
            gauge!(WITHDRAWN, "list" => name.clone()).set(list.withdrawn() as f64);
            gauge!(OVERDUE, "list" => name.clone()).set(list.overdue() as f64);
            for (metric, is_so) in [
                (HELD, list.held().is_some()),
                (PINNED, list.pinned().is_some()),
                (DROPPED, list.dropped().is_some()),
            ] {
                gauge!(metric, "list" => name.clone()).set(f64::from(u8::from(is_so)));
            }
            counter!(GUARD_EVENTS, "list" => name.clone()).absolute(list.guard_events());
            for kind in Kind::ALL {
                let entries = list.compiled.iter().flat_map(|list| &list.entries);
                let count = entries
                    .filter(|(of, _)| *of == kind)
                    .map(|(_, count)| count);
                gauge!(ENTRIES, "list" => name.clone(), "kind" => kind.as_str())
                    .set(count.sum::<usize>() as f64);
            }
            for (outcome, rounds) in list.updates.iter().flat_map(|updates| &updates.rounds) {
                counter!(UPDATES, "list" => name.clone(), "outcome" => *outcome).absolute(*rounds);
            }
        }
        for name in gone {
            for metric in [
                SERIAL,
                AGE,
                EXPIRES,
                STALE,
                PERSISTED,
                QUARANTINED,
                WITHDRAWN,
                OVERDUE,
                HELD,
                PINNED,
                DROPPED,
            ] {
                gauge!(metric, "list" => name.clone()).set(f64::NAN);
            }
            for kind in Kind::ALL {
                gauge!(ENTRIES, "list" => name.clone(), "kind" => kind.as_str()).set(f64::NAN);
            }
            for trigger in ["nsdname", "nsip"] {
                gauge!(INACTIVE, "list" => name.clone(), "trigger" => trigger).set(f64::NAN);
            }
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn buckets(builder: PrometheusBuilder, name: &str, bounds: &[f64]) -> PrometheusBuilder {
    // It refuses an empty slice alone, and the bounds below are none.
    builder
        .set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds)
        .unwrap_or_default()
}

/// Each kind of alarm is there at every moment, so that a rule can tell 0 from nothing.
fn refresh_alarms(summary: &Summary) {
    for kind in AlarmKind::ALL {
        for severity in Severity::ALL {
            let stands = summary
                .alarms
                .iter()
                .any(|alarm| (alarm.kind, alarm.severity) == (kind, severity));
            gauge!(ALARM, "alarm" => kind.as_str(), "severity" => severity.as_str())
                .set(f64::from(u8::from(stands)));
        }
    }
}

fn refresh_self_test(summary: &Summary) {
    for probe in Probe::ALL {
        let test = summary.self_test.as_ref();
        let outcome = test.and_then(|test| test.outcome(probe));
        let value = outcome.map_or(f64::NAN, |passed| f64::from(u8::from(passed)));
        gauge!(SELF_TEST, "probe" => probe.as_str()).set(value);
    }
}

fn describe() {
    describe_counter!(HITS, "Hits that were settled, by list, surface and action.");
    describe_counter!(
        UPDATES,
        "Update rounds of a list since the start, by outcome."
    );
    describe_gauge!(SERIAL, "The serial of the list in force.");
    describe_gauge!(ENTRIES, "Entries in force by kind.");
    describe_gauge!(AGE, "Seconds since the authority issued the list in force.");
    describe_gauge!(
        EXPIRES,
        "Seconds until the list in force expires; negative after."
    );
    describe_gauge!(
        STALE,
        "Seconds for which it is not known whether the list in force is the newest."
    );
    describe_gauge!(
        PERSISTED,
        "Whether the next start would begin with the list in force; 0 while the disk is full."
    );
    describe_gauge!(ALARM, "Whether such an alarm stands.");
    describe_counter!(
        REFUSALS,
        "Files of mirrors that were refused since the start, by why."
    );
    describe_counter!(
        RETRIES,
        "Transfers that broke off and were taken up again since the start."
    );
    describe_gauge!(QUARANTINED, "Rows of the list in force that were left out.");
    describe_gauge!(
        INACTIVE,
        "Rules of the list in force that do not act, for no name servers are looked up."
    );
    describe_gauge!(
        HELD,
        "1 where a guard holds a version of the list back until somebody decides, else 0."
    );
    describe_gauge!(
        PINNED,
        "1 where a person went back to an earlier version of the list, else 0."
    );
    describe_counter!(GUARD_EVENTS, "Versions of the list that tripped a guard.");
    describe_gauge!(
        WITHDRAWN,
        "Entries of the list in force that are withdrawn at the moment."
    );
    describe_gauge!(
        OVERDUE,
        "Entries of the list in force whose review is overdue."
    );
    describe_gauge!(
        DROPPED,
        "1 where the list expired and is dropped, as its signed policy says, else 0."
    );
    describe_gauge!(ALLOWED, "Names that a person lets through at the moment.");
    describe_histogram!(
        WITHDRAW_SECONDS,
        "From a withdrawal's publication to the entry's being let through."
    );
    describe_gauge!(
        SELF_TEST,
        "The node's last test of itself: 1 passed, 0 failed, NaN where there was nothing to ask."
    );
    describe_counter!(
        SELF_TEST_REQUESTS,
        "What self-tests asked; it is also among the queries and requests."
    );
    describe_histogram!(SWAP_SECONDS, "How long the swap of editions took.");
    describe_histogram!(
        ENFORCE_SECONDS,
        "From a list's publication to its being in force."
    );
}

const HITS: &str = "cordon_hits_total";
const UPDATES: &str = "cordon_updates_total";
const SERIAL: &str = "cordon_list_serial";
const ENTRIES: &str = "cordon_list_entries";
const AGE: &str = "cordon_list_age_seconds";
const EXPIRES: &str = "cordon_list_expires_seconds";
const STALE: &str = "cordon_list_stale_seconds";
const PERSISTED: &str = "cordon_list_persisted";
const ALARM: &str = "cordon_alarm";
const REFUSALS: &str = "cordon_refusals_total";
const RETRIES: &str = "cordon_download_retries_total";
const QUARANTINED: &str = "cordon_quarantined_rows";
const INACTIVE: &str = "cordon_inactive_rules";
const HELD: &str = "cordon_list_held";
const PINNED: &str = "cordon_list_pinned";
const GUARD_EVENTS: &str = "cordon_guard_events_total";
const WITHDRAWN: &str = "cordon_withdrawn_entries";
const OVERDUE: &str = "cordon_overdue_entries";
const DROPPED: &str = "cordon_list_dropped";
const ALLOWED: &str = "cordon_allowed_names";
const WITHDRAW_SECONDS: &str = "cordon_withdraw_latency_seconds";
const SELF_TEST: &str = "cordon_self_test";
const SELF_TEST_REQUESTS: &str = "cordon_self_test_requests_total";
const SWAP_SECONDS: &str = "cordon_edition_swap_seconds";
const ENFORCE_SECONDS: &str = "cordon_enforce_latency_seconds";
const SWAP_BUCKETS: [f64; 6] = [0.000_001, 0.000_01, 0.000_1, 0.001, 0.01, 0.1];
const ENFORCE_BUCKETS: [f64; 9] = [
    1.0, 5.0, 30.0, 60.0, 300.0, 1_800.0, 3_600.0, 86_400.0, 172_800.0,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Bucket;
    use crate::policy::Action;
    use crate::report::{ListUpdates, SelfTest, example};

    #[test]
    fn every_metric_of_the_report_is_rendered() {
        let metrics = Metrics::new();
        metrics.swapped(Duration::from_micros(5));
        metrics.enforced("gambling", Duration::from_secs(2));
        metrics.refused("hotlines", "rollback");
        metrics.retried("hotlines", 2);
        let updates = [ListUpdates {
            list: "gambling".into(),
            rounds: [("new", 2)].into(),
            newest_at: Some("2026-11-24T08:29:00Z".parse().unwrap()),
            not_persisted: Some("No space left.".into()),
            ..ListUpdates::default()
        }];
        let now = example::NOW.parse().unwrap();
        let test = SelfTest {
            at: now,
            edition: 3,
            asked: 4,
            probes: [Probe::DnsBlock].into(),
            failures: Vec::new(),
            untested: Vec::new(),
        };
        let summary = Summary::new("n", &example::edition(), &updates, now, &|_| true)
            .with_self_test(Some(test), &|_| true);
        metrics.self_tested(Surface::Dns, 4);
        let total = Sum {
            start: Bucket::from_number(0),
            list: Some("gambling".into()),
            category: None,
            authority: None,
            entry: None,
            surface: Surface::Dns,
            action: Action::Block,
            hits: 12,
        };
        let text = metrics.render(&summary, &[total]);
        for line in [
            r#"cordon_hits_total{list="gambling",surface="dns",action="block"} 12"#,
            r#"cordon_list_serial{list="gambling"} 7"#,
            r#"cordon_list_serial{list="house-rules"} NaN"#,
            r#"cordon_list_entries{list="gambling",kind="domain"} 2"#,
            r#"cordon_list_entries{list="gambling",kind="url"} 1"#,
            r#"cordon_list_age_seconds{list="gambling"} 9000"#,
            r#"cordon_list_expires_seconds{list="gambling"} 2583000"#,
            r#"cordon_list_stale_seconds{list="gambling"} 60"#,
            r#"cordon_list_stale_seconds{list="house-rules"} NaN"#,
            r#"cordon_list_persisted{list="gambling"} 0"#,
            r#"cordon_list_persisted{list="house-rules"} 1"#,
            r#"cordon_alarm{alarm="clock",severity="alarm"} 0"#,
            r#"cordon_refusals_total{repository="hotlines",outcome="rollback"} 1"#,
            r#"cordon_download_retries_total{repository="hotlines"} 2"#,
            r#"cordon_quarantined_rows{list="gambling"} 1"#,
            r#"cordon_inactive_rules{list="gambling",trigger="nsdname"} 0"#,
            r#"cordon_list_entries{list="gambling",kind="client"} 0"#,
            r#"cordon_updates_total{list="gambling",outcome="new"} 2"#,
            r#"cordon_self_test{probe="dns_block"} 1"#,
            r#"cordon_self_test{probe="dns_pass"} NaN"#,
            r#"cordon_self_test_requests_total{surface="dns"} 4"#,
            r#"cordon_edition_swap_seconds_bucket{le="0.00001"} 1"#,
            r#"cordon_enforce_latency_seconds_bucket{list="gambling",le="5"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let mut fewer = summary;
        fewer.lists.truncate(1);
        let text = metrics.render(&fewer, &[]);
        assert!(text.contains(r#"cordon_list_entries{list="house-rules",kind="domain"} NaN"#));
    }
}
