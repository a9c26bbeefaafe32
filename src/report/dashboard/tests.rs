//! The pages say what the facts say, hide what is to be hidden, and need nothing but their
//! style sheet.

use super::*;
use crate::count::{Bucket, Sum};
use crate::policy::{Action, Surface};
use crate::report::{
    Alarm, AlarmKind, End, Failure, ListInForce, ListUpdates, Period, Probe, SelfTest,
    SelfTestFailure, Severity, Summary, example,
};

fn page(hides_below: Option<u64>) -> Page {
    Page {
        node: "resolver-1.example".into(),
        now: example::NOW.parse().unwrap(),
        user: hides_below.map(|_| "regina".into()),
        hides_below,
        refresh: None,
        notice: None,
    }
}

fn summary() -> Summary {
    let updates = [
        ListUpdates {
            list: "gambling".into(),
            required: true,
            security_events: 2,
            newest_at: Some("2026-11-24T01:30:00Z".parse().unwrap()),
            not_persisted: Some("No space left.".into()),
            failure: Some(Failure {
                name: "Rollback",
                sentence: "The mirror <offers> an older version.".into(),
                is_security: true,
            }),
            ..ListUpdates::default()
        },
        ListUpdates {
            list: "house-rules".into(),
            ..ListUpdates::default()
        },
        ListUpdates {
            list: "missing".into(),
            ..ListUpdates::default()
        },
    ];
    let now = example::NOW.parse().unwrap();
    Summary::new(
        "resolver-1.example",
        &example::edition(),
        &updates,
        now,
        &|_| true,
    )
    .with_alarms(vec![Alarm {
        kind: AlarmKind::Clock,
        severity: Severity::Alarm,
        sentence: "Clock or <publisher>?".into(),
        since: now,
    }])
}

fn sum(list: &str, hours_ago: i64, surface: Surface, action: Action, hits: u64) -> Sum {
    Sum {
        start: Bucket::of(example::NOW.parse().unwrap()).plus_hours(-hours_ago),
        list: Some(list.into()),
        category: Some("gambling".into()),
        authority: None,
        entry: Some("G-1".into()),
        surface,
        action,
        hits,
    }
}

fn effect(entries: TopEntries) -> Effect {
    let hours = vec![
        sum("gambling", 0, Surface::Dns, Action::Block, 1200),
        sum("gambling", 3, Surface::Dns, Action::NxDomain, 34),
        sum("house-rules", 3, Surface::Http, Action::Block, 5),
        sum("house-rules", 3, Surface::Dns, Action::Monitor, 77),
    ];
    Effect {
        days: hours.clone(),
        categories: hours.clone(),
        hours,
        entries,
    }
}

#[track_caller]
fn says(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "{part} is missing:\n{page}");
    }
}

#[track_caller]
fn stands_alone(page: &str) {
    for part in [
        "<script", "style=\"", "http://", "https://", "onload", "url(",
    ] {
        assert!(!page.contains(part), "{part} is there:\n{page}");
    }
}

#[test]
fn the_overview_says_how_the_node_stands() {
    let figure = sum("gambling", 0, Surface::Dns, Action::Block, 1234);
    let html = overview(
        &page(None),
        &summary(),
        &effect(TopEntries::Exact(vec![figure])),
    );
    stands_alone(&html);
    says(
        &html,
        &[
            r#"<data id="blocked-dns-24h" value="1234">"#,
            r#"<data id="blocked-http-24h" value="5">"#,
            r#"<data id="lists-in-force" value="2">2 of 3</data>"#,
            "77 DNS queries matched entries that only watch.",
            "Register of unlicensed gambling",
            r#"<data value="7">7</data>"#,
            "<code>a1b2</code> <code>c3d4</code>",
            "2 hours ago",
            "29 days",
            "Unsigned: nobody vouches for it",
            "Not in force",
            "<b>Rollback.</b> The mirror &#60;offers&#62; an older version.",
            "2 security events",
            r#"<span class="badge missing">Stale for 7 hours</span>"#,
            "Not stored on disk",
            "<b>Alarm.</b> Clock or &#60;publisher&#62;?",
            "Ready, needs attention",
            "Hits are not people",
            "<code>G-1</code>",
            "1\u{202f}234",
            "Unlicensed gambling",
        ],
    );
    assert!(
        !html.contains("TLS connections blocked"),
        "none were counted"
    );
    assert!(!html.contains("one.test"), "entries go by their id");
    assert!(!html.contains("Log out"));
}

#[test]
fn the_overview_says_how_the_node_tested_itself() {
    let shown = |test: Option<SelfTest>| {
        let summary = summary().with_self_test(test, &|_| true);
        let html = overview(&page(None), &summary, &effect(TopEntries::TooMany));
        stands_alone(&html);
        html
    };
    says(&shown(None), &["has not tested itself"]);
    let at = example::NOW.parse().unwrap();
    let mut test = SelfTest {
        at,
        edition: 3,
        asked: 1_200,
        probes: [Probe::DnsBlock, Probe::HttpBlock].into(),
        failures: Vec::new(),
        untested: vec![("house-rules".into(), "nobody signed it")],
    };
    says(
        &shown(Some(test.clone())),
        &[
            r#"class="badge good">Passed"#,
            "<code>house-rules</code>, because nobody signed it.",
            "1\u{202f}200 times",
        ],
    );
    test.failures.push(SelfTestFailure {
        probe: Probe::DnsBlock,
        list: Some("gambling".into()),
        subject: "gambling.canary.invalid".into(),
        sentence: "It is <not> blocked.".into(),
        since: at,
    });
    says(
        &shown(Some(test)),
        &[
            r#"class="badge missing">Failed"#,
            r#"class="badge missing">Not so: Test entries are blocked over DNS"#,
            "It is &#60;not&#62; blocked. Since",
        ],
    );
}

#[test]
fn a_regulator_reads_what_is_hidden_and_why() {
    let figure = |entry: &str, hits, has_hidden_days| EntryFigure {
        list: "gambling".into(),
        entry: entry.into(),
        surface: Surface::Dns,
        action: Action::Block,
        hits,
        has_hidden_days,
    };
    let entries = vec![
        figure("G-1", 40, false),
        figure("G-2", 25, true),
        figure("G-3", 0, true),
    ];
    let effect = effect(TopEntries::Published(entries));
    let html = overview(&page(Some(10)), &summary(), &effect);
    says(
        &html,
        &[
            "<td class=\"n\">40</td>",
            "at least 25",
            "<td class=\"n\">suppressed</td>",
            "below 10 are not shown",
            "regina",
            "Log out",
        ],
    );
}

#[test]
fn a_list_shows_the_rows_that_were_left_out() {
    let summary = summary();
    let facts = summary.list("gambling").unwrap();
    let html = list(&page(None), facts, &effect(TopEntries::TooMany));
    stands_alone(&html);
    let reject = &facts.compiled.as_ref().unwrap().rejects[0];
    says(
        &html,
        &[
            "1 row cannot be enforced",
            &reject.line.to_string(),
            "cannot be ranked here",
            "2 domain, 1 url",
        ],
    );
    let html = list(
        &page(None),
        summary.list("missing").unwrap(),
        &effect(TopEntries::TooMany),
    );
    says(&html, &["Not in force"]);
}

#[test]
fn the_timeline_says_from_when_to_when() {
    let at = |hour: u32| format!("2026-11-24T{hour:02}:00:00Z").parse().unwrap();
    let period = |edition, from, end| Period {
        edition,
        from: at(from),
        end,
        lists: vec![ListInForce {
            name: "gambling".into(),
            serial: Some(7),
            digest: "ab".repeat(32),
            signers: Vec::new(),
            entries: 3,
        }],
    };
    let periods = [
        period(2, 8, End::InForce),
        period(1, 7, End::Replaced(at(8))),
        period(9, 5, End::Lost(at(7))),
    ];
    let html = timeline(&page(None), &periods);
    stands_alone(&html);
    says(
        &html,
        &[
            "Edition 2",
            "now, <b>in force</b>",
            "24 Nov 2026, 08:00 UTC",
            "replaced by the next",
            "without a word",
            "serial 7",
            "abababababab\u{2026}",
        ],
    );
}

#[test]
fn forms_and_problems_are_pages_too() {
    let html = login("resolver-1.example", Some("That is <wrong>."));
    stands_alone(&html);
    says(
        &html,
        &[
            "That is &#60;wrong&#62;.",
            "action=\"/login\"",
            "type=\"password\"",
        ],
    );
    says(
        &problem("n", "Not Found", "There is nothing here."),
        &["There is nothing here."],
    );
}

#[test]
fn a_page_that_refreshes_says_so_to_the_browser() {
    let mut page = page(None);
    page.refresh = Some(60);
    page.notice = Some("The latest hits are missing.".into());
    let html = overview(&page, &summary(), &effect(TopEntries::TooMany));
    says(
        &html,
        &[
            r#"http-equiv="refresh" content="60""#,
            "Stop refreshing",
            "The latest hits are missing.",
        ],
    );
}
