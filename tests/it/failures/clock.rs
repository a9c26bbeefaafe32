//! Clocks that are wrong, and lists that grow stale: the real program under Debian's
//! `faketime`, whose clock a file sets while it runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{block_list, blocked, metric, update};
use crate::harness::authority::Authority;
use crate::harness::client::until;
use crate::harness::must;
use crate::harness::node::Node;
use crate::harness::upstream::Upstream;
use crate::trust::forge::{self, hour};

/// A node whose clock the test sets.
struct Faked {
    authority: Authority,
    node: Node,
    clock: PathBuf,
    _upstream: Upstream,
}

impl Faked {
    fn new() -> Self {
        let authority = Authority::new();
        authority.delegate("list");
        authority.publish_rows("list", &["one.test".into()], "domains", Some("subtree"));
        let upstream = Upstream::start();
        let node = Node::new(&block_list(&authority), upstream.address);
        let clock = node.folder().join("clock");
        Self {
            authority,
            node,
            clock,
            _upstream: upstream,
        }
    }

    /// Sets the clock: `+400d` is relative to the real one, `@1980-01-01 00:00:00` is not.
    fn set(&self, clock: &str) {
        let new = self.clock.with_extension("new");
        fs::write(&new, format!("{clock}\n")).unwrap();
        fs::rename(new, &self.clock).unwrap();
    }

    fn start(&mut self) {
        let library = format!(
            "/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1",
            std::env::consts::ARCH
        );
        assert!(
            fs::exists(&library).unwrap(),
            "{library} is missing; `tests/run` installs the Debian package faketime"
        );
        self.node.start_with(&[
            ("LD_PRELOAD", &library),
            ("FAKETIME_TIMESTAMP_FILE", self.clock.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]);
    }

    #[track_caller]
    fn status_says(&self, parts: &[&str]) {
        let status = self.node.command(&["status"]);
        for part in parts {
            assert!(status.contains(part), "{part}: {status}");
        }
        assert!(blocked(&self.node, "one.test"), "{status}");
        assert_eq!(self.node.report("/readyz").status, 200);
    }
}

#[test]
fn clock_far_ahead_keeps_enforcing_and_recovers_when_the_clock_does() {
    let mut faked = Faked::new();
    faked.set("+0");
    faked.start();
    faked.status_says(&["ready\n"]);
    faked.set("+400d");
    assert!(!update(&faked.node).status.success());
    faked.status_says(&[
        "ready, DEGRADED",
        "ALARM (clock)",
        "clock or publisher? root.json expired",
        "EXPIRED",
        "ceremony is overdue",
    ]);
    // A restart in between loses nothing either.
    faked.node.stop();
    faked.start();
    faked.status_says(&["EXPIRED"]);
    faked.set("+0");
    assert!(update(&faked.node).status.success());
    faked.status_says(&["ready\n"]);
}

#[test]
fn a_list_that_has_expired_is_dropped_where_its_policy_says_so() {
    let mut faked = Faked::new();
    let policy = faked.node.folder().join("policy.yaml");
    fs::write(
        &policy,
        "lists: { list: { on_expiry: drop, drop_after: 1d } }\n",
    )
    .unwrap();
    must(faked.authority.repo("policy").arg("--from").arg(&policy));
    faked.set("+0");
    faked.start();
    // The role of a list ends after a week; then the policy's day runs.
    faked.set("+180h");
    assert!(!update(&faked.node).status.success());
    faked.status_says(&["EXPIRED"]);
    faked.set("+193h");
    assert!(!update(&faked.node).status.success());
    assert!(!blocked(&faked.node, "one.test"));
    for restarts in [false, true] {
        if restarts {
            faked.node.stop();
            faked.start();
        }
        // That is its own rule, so that a node whose list is required stays ready.
        let status = faked.node.command(&["status"]);
        for part in ["ready, DEGRADED", "ALARM (dropped)", "DROPPED since"] {
            assert!(status.contains(part), "{part}: {status}");
        }
        assert_eq!(faked.node.report("/readyz").status, 200);
        assert!(!blocked(&faked.node, "one.test"));
    }
    faked.set("+0");
    assert!(update(&faked.node).status.success());
    faked.status_says(&["ready\n"]);
    assert!(!faked.node.command(&["status"]).contains("dropped"));
}

#[test]
fn clock_unknown_at_boot_enforces_what_is_stored_and_accepts_nothing() {
    let mut faked = Faked::new();
    faked.set("+0");
    faked.start();
    faked.node.stop();
    faked.set("@1980-01-01 00:00:00");
    faked.start();
    faked.authority.publish_rows(
        "list",
        &["one.test".into(), "two.test".into()],
        "domains",
        Some("subtree"),
    );
    assert!(!update(&faked.node).status.success());
    faked.status_says(&["ALARM (clock)", "before this version of cordon was made"]);
    assert!(!blocked(&faked.node, "two.test"));
    faked.set("+0");
    assert!(update(&faked.node).status.success());
    faked.status_says(&["ready\n"]);
    assert!(blocked(&faked.node, "two.test"));
}

#[test]
fn clock_steps_back_is_tolerated_with_a_warning() {
    let mut faked = Faked::new();
    faked.set("+0");
    faked.start();
    faked.set("-2h");
    faked.authority.publish_rows(
        "list",
        &["one.test".into(), "two.test".into()],
        "domains",
        Some("subtree"),
    );
    assert!(update(&faked.node).status.success());
    assert!(blocked(&faked.node, "two.test"));
    faked.status_says(&["WARNING (clock)", "min behind the publisher's"]);
    assert!(faked.node.log().contains("stepped back"));
}

#[test]
fn timestamp_unobtainable_goes_stale_with_a_warning_then_an_alarm() {
    let mut faked = Faked::new();
    faked.set("+0");
    faked.start();
    until("the first round is over", Duration::from_secs(10), || {
        update(&faked.node).status.success()
    });
    let repository = faked.authority.folder();
    fs::rename(&repository, repository.with_extension("gone")).unwrap();
    let stale = || metric(&faked.node, r#"cordon_list_stale_seconds{list="list"}"#);
    assert!(stale() < 60.0);
    for (clock, hours, parts) in [
        ("+2h", 2.0, ["ready, DEGRADED", "stale: for 12"]),
        ("+5h", 5.0, ["ready, DEGRADED", "stale: for 30"]),
        ("+7h", 7.0, ["ready, DEGRADED", "STALE: for 42"]),
    ] {
        faked.set(clock);
        assert!(!update(&faked.node).status.success());
        faked.status_says(&parts);
        assert!(
            (stale() / 3600.0 - hours).abs() < 0.1,
            "{clock}: {}",
            stale()
        );
    }
    let summary = faked.node.report("/api/v1/summary").body;
    assert!(summary.contains(r#""health":"degraded""#), "{summary}");
    let dashboard = faked.node.report("/").body;
    assert!(dashboard.contains("Stale for 7 hours"), "{dashboard}");
    // A restart does not make a list look new.
    faked.node.stop();
    faked.start();
    faked.status_says(&["STALE: for 42"]);
    fs::rename(repository.with_extension("gone"), &repository).unwrap();
    faked.set("+0");
    assert!(update(&faked.node).status.success());
    faked.status_says(&["ready\n"]);
}

#[test]
fn clock_sweep_from_a_day_back_to_two_years_ahead_never_loses_a_list() {
    let authority = forge::Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = forge::Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    let mut outcomes = BTreeSet::new();
    for hours in (-24..48).chain((2..730).step_by(7).map(|day| day * 24)) {
        outcomes.insert(node.outcome(hour(hours)));
        assert_eq!(node.seq("a"), Some(1), "{hours} h");
    }
    assert_eq!(outcomes, BTreeSet::from(["expired", "unchanged"]));
    authority.publish("a", &["two.test"], hour(1));
    assert_eq!(node.outcome(hour(1)), "new", "it recovers by itself");
}
