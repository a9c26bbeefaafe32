//! What a blocklist says equals a naive linear scan over its entries, and the contract's
//! examples hold.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::policy::{
    Action, CanonicalUrl, Decision, EntryId, Host, Kind, Name, Provenance, RuleId, Scope, UrlScope,
    Withdrawal, WithdrawalReason, Withdrawn,
};
use crate::verify::{Applied, ListFile, Text, Verified};

fn settings(name: &str) -> Settings {
    Settings {
        passthru: PassThru::List,
        required: false,
        ..Settings::new(
            name,
            From::File {
                path: "x".into(),
                format: Format::Native,
                scope: None,
            },
        )
    }
}

/// One entry in short: action, match, value.
type Row = (Action, &'static str, String);

fn native(list: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "{{\"format\":1,\"list\":\"{list}\",\"defaults\":{{\"category\":\"phishing\",\"legal\":{{\"basis\":\"b\",\"authority\":\"a\"}}}}}}\n"
    );
    for (number, (action, word, value)) in rows.iter().enumerate() {
        let (kind, query) = match (value.starts_with("http"), *word) {
            (true, "ignore") => ("url", r#","query":"ignore""#),
            (true, _) => ("url", ""),
            (false, _) if *action == Action::PassThru => ("exception", ""),
            (false, _) => ("domain", ""),
        };
        let word = if *word == "ignore" { "exact" } else { word };
        text += &format!(
            "{{\"action\":\"{}\",\"id\":\"{list}-{number}\",\"kind\":\"{kind}\",\"match\":\"{word}\"{query},\"value\":\"{value}\"}}\n",
            action.as_str()
        );
    }
    text
}

fn compile(lists: &[(Settings, Vec<Row>)], protected: &[&str]) -> Blocklist {
    let names = protected.iter().map(|name| Name::from_text(name).unwrap());
    let protected = Protected::new(names.collect(), Vec::new());
    let mut compiler = Compiler::new(&protected, "2026-11-24T06:00:00Z".parse().unwrap());
    for (settings, rows) in lists {
        let text = native(&settings.name, rows);
        compiler.add(
            settings,
            &Verified::unsigned(&settings.name, "x", text.into_bytes()),
        );
    }
    compiler.finish()
}

/// What was decided about a name or URL: the id of the deciding entry and its action.
fn ask(blocklist: &Blocklist, asked: &str) -> Option<(String, Action)> {
    let decision = decide(blocklist, asked);
    decision
        .act
        .map(|(rule, action)| (blocklist.rule(rule).unwrap().entry_id.to_owned(), action))
}

fn decide(blocklist: &Blocklist, asked: &str) -> Decision {
    if asked.starts_with("http") {
        blocklist.decide_url(&CanonicalUrl::parse(asked).unwrap(), None)
    } else {
        blocklist.decide_name(&Name::from_text(asked).unwrap(), None)
    }
}

#[track_caller]
fn check(rows: &[(Action, &'static str, &str)], cases: &[(&str, Option<usize>)]) {
    let rows: Vec<Row> = rows
        .iter()
        .map(|(action, word, value)| (*action, *word, (*value).to_owned()))
        .collect();
    let blocklist = compile(&[(settings("l"), rows)], &[]);
    for (asked, expected) in cases {
        let found = ask(&blocklist, asked).map(|(id, _)| id);
        assert_eq!(
            found,
            expected.map(|number| format!("l-{number}")),
            "{asked}"
        );
    }
}

const B: Action = Action::Block;

#[test]
fn rows_that_say_the_same_are_left_out_and_so_are_too_many_of_a_name() {
    let row = |word, value: &str| (B, word, value.to_owned());
    let rows = vec![
        row("exact", "a.test"),
        row("subtree", "a.test"),
        row("exact", "a.test"),
        row("subtree", "a.test"),
        (Action::NoData, "exact", "a.test".to_owned()),
        row("exact", "http://a.test/x"),
        row("ignore", "http://a.test/x"),
        row("exact", "http://A.test/x"),
    ];
    let again = (settings("again"), vec![row("exact", "a.test")]);
    let blocklist = compile(&[(settings("l"), rows), again], &[]);
    let rejects = &blocklist.lists()[0].rejects;
    let found: Vec<(u32, &str)> = rejects
        .iter()
        .map(|reject| (reject.line, reject.reason.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (4, "this row says again what line 2 says"),
            (5, "this row says again what line 3 says"),
            (9, "this row says again what line 7 says"),
        ]
    );
    assert!(blocklist.lists()[1].rejects.is_empty());

    let mut text = native("l", &[]);
    for day in 0..400 {
        let expires = Timestamp::from_second(1_900_000_000 + day).unwrap();
        text += &format!(
            "{{\"id\":\"{day}\",\"kind\":\"domain\",\"match\":\"subtree\",\"value\":\"a.test\",\"expires_at\":\"{expires}\"}}\n"
        );
    }
    let mut compiler = Compiler::new(&Protected::default(), Timestamp::UNIX_EPOCH);
    compiler.add(
        &settings("l"),
        &Verified::unsigned("l", "x", text.into_bytes()),
    );
    let blocklist = compiler.finish();
    assert_eq!(
        (blocklist.rule_count(), blocklist.lists()[0].rejected),
        (16, 384)
    );
    let name = Name::from_text("www.a.test").unwrap();
    assert_eq!(blocklist.matches(Some(&name), None).len(), 16);
}

#[test]
fn names() {
    check(
        &[
            (B, "exact", "exact.test"),
            (B, "subtree", "sub.test"),
            (B, "children", "kids.test"),
        ],
        &[
            ("exact.test", Some(0)),
            ("www.exact.test", None),
            ("sub.test", Some(1)),
            ("www.sub.test", Some(1)),
            ("a.b.sub.test", Some(1)),
            ("xsub.test", None),
            ("test", None),
            ("kids.test", None),
            ("www.kids.test", Some(2)),
        ],
    );
}

#[test]
fn urls() {
    check(
        &[
            (B, "exact", "http://u.test/a?q"),
            (B, "prefix", "http://u.test/foo"),
            (B, "ignore", "http://u.test/b"),
            (B, "prefix", "http://u.test/foo/deep"),
            (B, "prefix", "http://u.test/dir/"),
            (B, "prefix", "http://all.test/"),
        ],
        &[
            ("http://u.test/a?q", Some(0)),
            ("https://U.test:443/%61?q", Some(0)),
            ("http://u.test/a", None),
            ("http://u.test:8080/a?q", None),
            ("http://u.test/foo", Some(1)),
            ("http://u.test/foo/", Some(1)),
            ("http://u.test/foo/x", Some(1)),
            ("http://u.test/foo?x", Some(1)),
            ("http://u.test/foobar", None),
            ("http://u.test/foo/deep/er", Some(3)),
            ("http://u.test/b?anything", Some(2)),
            ("http://u.test/dir", None),
            ("http://u.test/dir/", Some(4)),
            ("http://u.test/dir/x/y/z", Some(4)),
            ("http://all.test/any/where?x", Some(5)),
            ("http://www.all.test/", None),
            ("u.test", None),
        ],
    );
}

#[test]
fn closer_wins_within_a_list() {
    check(
        &[
            (B, "subtree", "c.test"),
            (B, "exact", "c.test"),
            (B, "subtree", "w.c.test"),
            (B, "prefix", "http://c.test/p"),
            (B, "exact", "http://c.test/p/x"),
        ],
        &[
            ("c.test", Some(1)),
            ("x.c.test", Some(0)),
            ("x.w.c.test", Some(2)),
            ("http://c.test/", Some(1)),
            ("http://c.test/p/y", Some(3)),
            ("http://c.test/p/x", Some(4)),
        ],
    );
}

#[test]
fn the_order_of_lists_decides_first() {
    let first = (
        settings("first"),
        vec![(Action::NoData, "subtree", "o.test".to_owned())],
    );
    let second = (
        settings("second"),
        vec![(B, "exact", "x.o.test".to_owned())],
    );
    let blocklist = compile(&[first, second], &[]);
    assert_eq!(
        ask(&blocklist, "x.o.test"),
        Some(("first-0".into(), Action::NoData))
    );
}

#[test]
fn an_exception_spares_a_name_from_its_own_list_or_from_all() {
    let rows = |list: &str| {
        vec![
            (B, "subtree", "e.test".to_owned()),
            (
                Action::PassThru,
                "subtree",
                format!(
                    "ok.{}",
                    if list == "first" {
                        "e.test"
                    } else {
                        "none.test"
                    }
                ),
            ),
        ]
    };
    let lists = |reach| {
        let mut first = settings("first");
        first.passthru = reach;
        compile(
            &[(first, rows("first")), (settings("second"), rows("second"))],
            &[],
        )
    };
    assert_eq!(
        ask(&lists(PassThru::List), "www.ok.e.test"),
        Some(("second-0".into(), B))
    );
    assert_eq!(
        ask(&lists(PassThru::All), "www.ok.e.test"),
        Some(("first-1".into(), Action::PassThru))
    );
    assert_eq!(
        ask(&lists(PassThru::List), "www.e.test"),
        Some(("first-0".into(), B))
    );
    let alone = compile(&[(settings("first"), rows("first"))], &[]);
    assert_eq!(
        ask(&alone, "ok.e.test"),
        Some(("first-1".into(), Action::PassThru))
    );
}

#[test]
fn watchers_are_noted_and_passed_over() {
    let mut watching = settings("watching");
    watching.mode = Mode::Monitor;
    let rows = vec![
        (B, "subtree", "m.test".to_owned()),
        (B, "exact", "m.test".to_owned()),
    ];
    let single = vec![
        (Action::Monitor, "exact", "m.test".to_owned()),
        (B, "subtree", "m.test".to_owned()),
    ];
    let blocklist = compile(&[(watching, rows), (settings("second"), single)], &[]);
    let decision = decide(&blocklist, "m.test");
    let ids: Vec<_> = decision
        .monitored
        .iter()
        .map(|rule| blocklist.rule(*rule).unwrap().entry_id)
        .collect();
    assert_eq!(ids, ["watching-1", "second-0"]);
    assert_eq!(ask(&blocklist, "m.test"), Some(("second-1".into(), B)));
}

#[test]
fn an_override_replaces_actions_but_never_an_exception() {
    let mut list = settings("l");
    list.action = Some(Action::NxDomain);
    let rows = vec![
        (B, "subtree", "v.test".to_owned()),
        (Action::PassThru, "exact", "ok.v.test".to_owned()),
    ];
    let blocklist = compile(&[(list, rows)], &[]);
    assert_eq!(
        ask(&blocklist, "v.test"),
        Some(("l-0".into(), Action::NxDomain))
    );
    assert_eq!(
        ask(&blocklist, "ok.v.test"),
        Some(("l-1".into(), Action::PassThru))
    );
}

#[test]
fn a9_an_alias_of_the_very_name_passes_also_where_a_wildcard_leads_to_it() {
    let from = From::File {
        path: "x".into(),
        format: Format::Rpz,
        scope: None,
    };
    let mut compiler = Compiler::new(&Protected::default(), Timestamp::UNIX_EPOCH);
    let zone = "$TTL 60\n@ SOA . . 1 2 3 4 5\n*.shop.test CNAME www.shop.test.\n";
    compiler.add(
        &Settings::new("zone", from),
        &Verified::unsigned("zone", "x", zone.as_bytes().to_vec()),
    );
    let blocklist = compiler.finish();
    let action = |asked| ask(&blocklist, asked).map(|(_, action)| action);
    assert_eq!(action("www.shop.test"), Some(Action::PassThru));
    assert_eq!(action("x.shop.test"), Some(Action::LocalData));
}

#[test]
fn protected_names_outrank_every_list() {
    let rows = [
        "below.bank.test",
        "bank.test",
        "test2",
        "up.test",
        "http://www.bank.test/x",
    ]
    .map(|value| {
        (
            B,
            if value.starts_with("http") {
                "exact"
            } else {
                "subtree"
            },
            value.to_owned(),
        )
    });
    let blocklist = compile(
        &[(settings("l"), rows.to_vec())],
        &["bank.test", "shop.up.test"],
    );
    let list = &blocklist.lists()[0];
    assert_eq!(
        list.rejects
            .iter()
            .map(|reject| reject.line)
            .collect::<Vec<_>>(),
        [2, 3, 6]
    );
    assert_eq!(list.holes, [("l-3".to_owned(), "shop.up.test".to_owned())]);
    assert_eq!(ask(&blocklist, "up.test"), Some(("l-3".into(), B)));
    assert_eq!(ask(&blocklist, "www.shop.up.test"), None);
    assert_eq!(ask(&blocklist, "http://shop.up.test/"), None);
    assert_eq!(ask(&blocklist, "below.bank.test"), None);
}

#[test]
fn a_public_suffix_is_no_subtree() {
    let rows = ["co.uk", "com", "github.io", "example.co.uk"]
        .map(|value| (B, "subtree", value.to_owned()));
    let blocklist = compile(&[(settings("l"), rows.to_vec())], &[]);
    let rejects = &blocklist.lists()[0].rejects;
    assert_eq!(
        rejects.iter().map(|reject| reject.line).collect::<Vec<_>>(),
        [2, 3, 4]
    );
    assert!(
        rejects[0].reason.contains("public suffix"),
        "{}",
        rejects[0].reason
    );
}

#[test]
fn a_never_block_name_below_an_entry_is_an_exception_of_that_list_alone() {
    let rows = vec![
        (B, "subtree", "big.test".to_owned()),
        (B, "exact", "drive.big.test".to_owned()),
    ];
    let never: Vec<Name> = ["drive.big.test", "open.test"]
        .iter()
        .map(|name| Name::from_text(name).unwrap())
        .collect();
    let first = settings("first");
    let border = Border::of(&first, None, Reserved::new(never.into()).into());
    let mut compiler = Compiler::new(&Protected::default(), Timestamp::UNIX_EPOCH);
    let text = native("first", &rows).into_bytes();
    compiler.add_within(&first, &border, &Verified::unsigned("first", "x", text));
    let blocklist = compiler.finish();
    let list = &blocklist.lists()[0];
    assert_eq!(
        list.holes,
        [("first-0".to_owned(), "drive.big.test".to_owned())]
    );
    assert_eq!((list.rejected, list.never_blocked), (1, 1));
    assert!(list.rejects[0].reason.contains("never-block list"));
    assert_eq!(ask(&blocklist, "www.big.test"), Some(("first-0".into(), B)));
    assert_eq!(
        decide(&blocklist, "user.drive.big.test"),
        Decision::default()
    );
    assert_eq!(
        decide(&blocklist, "http://drive.big.test/x"),
        Decision::default()
    );
    let name = Name::from_text("user.drive.big.test").unwrap();
    let never = blocklist.never_blocks(0, &name).map(Name::to_string);
    assert_eq!(never.as_deref(), Some("drive.big.test"));

    let mut compiler = Compiler::new(&Protected::default(), Timestamp::UNIX_EPOCH);
    for (settings, border) in [(&first, &border), (&settings("second"), &Border::default())] {
        let text = native(&settings.name, &rows).into_bytes();
        compiler.add_within(settings, border, &Verified::unsigned("x", "x", text));
    }
    let blocklist = compiler.finish();
    assert_eq!(
        ask(&blocklist, "user.drive.big.test"),
        Some(("second-0".into(), B)),
        "another repository's list is not spared"
    );
}

#[test]
fn entries_begin_and_end() {
    let text = native("l", &[]).into_bytes();
    let rows = [
        r#"{"id":"past","kind":"domain","match":"exact","value":"past.test","expires_at":"2026-11-24T06:00:00Z"}"#,
        r#"{"id":"soon","kind":"domain","match":"exact","value":"soon.test","expires_at":"2026-11-24T06:00:10Z"}"#,
        r#"{"id":"later","kind":"domain","match":"exact","value":"later.test","effective_from":"2026-11-24T06:00:05Z"}"#,
    ];
    let text = [text, rows.join("\n").into_bytes()].concat();
    let at = |time: &str| {
        let now: Timestamp = time.parse().unwrap();
        let mut compiler = Compiler::new(&Protected::default(), now);
        compiler.add(&settings("l"), &Verified::unsigned("l", "x", text.clone()));
        let blocklist = compiler.finish();
        let names: Vec<_> = ["past.test", "soon.test", "later.test"]
            .into_iter()
            .filter(|name| ask(&blocklist, name).is_some())
            .collect();
        (names, blocklist.next_change().map(|time| time.to_string()))
    };
    assert_eq!(
        at("2026-11-24T06:00:00Z"),
        (vec!["soon.test"], Some("2026-11-24T06:00:05Z".into()))
    );
    assert_eq!(
        at("2026-11-24T06:00:05Z"),
        (
            vec!["soon.test", "later.test"],
            Some("2026-11-24T06:00:10Z".into())
        )
    );
    assert_eq!(at("2026-11-24T06:00:10Z"), (vec!["later.test"], None));
}

/// The same question answered by looking at every rule, straight from the contract's words.
fn naive(blocklist: &Blocklist, asked: &str) -> (Option<(RuleId, Action)>, Vec<RuleId>) {
    let url = CanonicalUrl::parse(asked).ok();
    let host = match &url {
        Some(url) => match url.host() {
            Host::Name(name) => name.clone(),
            Host::Address(_) => return (None, Vec::new()),
        },
        None => asked.to_owned(),
    };
    let name = Name::from_text(&host).unwrap();
    if blocklist.is_protected(&name) || blocklist.allowed(&name).is_some() {
        return (None, Vec::new());
    }
    let mut found = Vec::new();
    for number in 0..blocklist.rule_count() {
        let id = RuleId(u32::try_from(number).unwrap());
        if !blocklist.is_active(id) {
            continue;
        }
        let rule = blocklist.rule(id).unwrap();
        let is_harmless = rule.canary || rule.action == Action::PassThru;
        if !is_harmless && blocklist.never_blocks(rule.list_index, &name).is_some() {
            continue;
        }
        // Less is closer: (class, how far, acts).
        let closeness = if rule.kind == Kind::Url {
            let Some(url) = &url else { continue };
            let entry = CanonicalUrl::parse(rule.value).unwrap();
            let below = url.path().strip_prefix(entry.path());
            let is_prefix = rule.match_word == UrlScope::Prefix.as_str();
            let covers = if is_prefix {
                below.is_some_and(|rest| {
                    rest.is_empty() || rest.starts_with('/') || entry.path().ends_with('/')
                })
            } else {
                below == Some("") && entry.query() == url.query()
            };
            if entry.authority() != url.authority() || !covers {
                continue;
            }
            if is_prefix {
                (1, 10_000 - entry.path().len())
            } else {
                (0, 0)
            }
        } else {
            let below = host == rule.value || host.ends_with(&format!(".{}", rule.value));
            let covers = match Scope::from_word(rule.match_word).unwrap() {
                Scope::Exact => host == rule.value,
                Scope::Subtree => below,
                Scope::Children | Scope::Wildcard => below && host != rule.value,
            };
            if !covers {
                continue;
            }
            let labels = host.split('.').count() - rule.value.split('.').count();
            (2, labels * 2 + usize::from(rule.match_word != "exact"))
        };
        found.push((
            rule.list_index,
            closeness,
            rule.action != Action::PassThru,
            rule.entry_id,
            id,
        ));
    }
    found.sort();
    let mut monitored = Vec::new();
    let mut spared = None;
    let mut exception = None;
    for (list, _, _, _, id) in found {
        let rule = blocklist.rule(id).unwrap();
        if spared == Some(list) {
            continue;
        }
        if rule.list.settings.mode == Mode::Monitor {
            if rule.action != Action::PassThru {
                monitored.push(id);
            }
            spared = Some(list);
        } else if rule.action == Action::Monitor {
            monitored.push(id);
        } else if rule.action == Action::PassThru && rule.list.settings.passthru == PassThru::List {
            spared = Some(list);
            exception = exception.or(Some((id, Action::PassThru)));
        } else {
            return (Some((id, rule.action)), monitored);
        }
    }
    (exception, monitored)
}

fn any_row() -> impl Strategy<Value = Row> {
    let action = prop_oneof![4 => Just(B), 1 => Just(Action::NxDomain), 1 => Just(Action::Monitor), 1 => Just(Action::PassThru)];
    let name = "([ab]\\.){0,3}[ab]\\.test";
    let named = (
        action,
        prop_oneof![Just("exact"), Just("subtree"), Just("children")],
        name,
    );
    let url = (
        "([ab]\\.){0,1}[ab]\\.test",
        "(/[ab]{0,1}){1,3}",
        "(\\?[ab])?",
        any::<bool>(),
    );
    prop_oneof![
        3 => named,
        2 => url.prop_map(|(host, path, query, prefix)| {
            let query = if prefix { String::new() } else { query };
            (B, if prefix { "prefix" } else { "exact" }, format!("http://{host}{path}{query}"))
        }),
    ]
}

proptest! {
    #[test]
    fn never_block_names_change_nothing_but_what_they_cover(
        rows in prop::collection::vec(any_row(), 0..16),
        never in prop::collection::vec("([ab]\\.){1,2}[ab]\\.test", 0..3),
        asked in prop::collection::vec(
            prop_oneof!["([ab]\\.){0,4}[ab]\\.test", "http://([ab]\\.){0,1}[ab]\\.test(/[ab]{0,1}){1,4}"], 1..20),
    ) {
        let names: Vec<Name> = never.iter().map(|name| Name::from_text(name).unwrap()).collect();
        let settings = settings("l");
        let border = Border::of(&settings, None, Reserved::new(names.clone().into()).into());
        let text = native("l", &rows).into_bytes();
        let mut compiler = Compiler::new(&Protected::default(), Timestamp::UNIX_EPOCH);
        compiler.add_within(&settings, &border, &Verified::unsigned("l", "x", text));
        let (within, without) = (compiler.finish(), compile(&[(settings, rows)], &[]));
        for asked in &asked {
            let host = asked.trim_start_matches("http://").split('/').next().unwrap();
            let host = Name::from_text(host).unwrap();
            if names.iter().any(|name| host.is_at_or_below(name)) {
                let decision = decide(&within, asked);
                prop_assert!(decision.passes() && decision.monitored.is_empty(), "{}", asked);
            } else {
                prop_assert_eq!(ask(&within, asked), ask(&without, asked), "{}", asked);
            }
        }
    }

    #[test]
    fn deciding_equals_a_linear_scan(
        lists in prop::collection::vec((prop::collection::vec(any_row(), 0..12), any::<bool>(), any::<bool>()), 1..4),
        protected in prop::option::of("([ab]\\.){1,2}[ab]\\.test"),
        asked in prop::collection::vec(
            prop_oneof!["([ab]\\.){0,4}[ab]\\.test", "http://([ab]\\.){0,1}[ab]\\.test(/[ab]{0,1}){1,4}(\\?[ab])?"], 1..20),
    ) {
        let lists: Vec<_> = lists.into_iter().enumerate().map(|(number, (rows, monitor, all))| {
            let mut settings = settings(&format!("list{number}"));
            settings.mode = if monitor { Mode::Monitor } else { Mode::Enforce };
            settings.passthru = if all { PassThru::All } else { PassThru::List };
            (settings, rows)
        }).collect();
        let protected: Vec<&str> = protected.iter().map(String::as_str).collect();
        let blocklist = compile(&lists, &protected);
        for asked in &asked {
            let decision = decide(&blocklist, asked);
            prop_assert_eq!((decision.act, decision.monitored.to_vec()), naive(&blocklist, asked), "{}", asked);
        }
    }
}

/// A signed list, whose text is sorted as `publish` sorts it.
fn signed(name: &str) -> Settings {
    let from = From::Repository {
        repository: "r".into(),
        list: name.into(),
    };
    Settings {
        from,
        ..settings(name)
    }
}

/// A row of a native list by its id: what it matches, and members about its life.
type LivingRow = (u8, Row, &'static str);

fn state(rows: &BTreeMap<u8, (Row, &'static str)>) -> Vec<String> {
    let mut lines: Vec<(String, String, String)> = rows
        .iter()
        .map(|(id, ((action, word, value), life))| {
            let text = native("l", &[(*action, *word, value.clone())]);
            let line = text
                .lines()
                .nth(1)
                .unwrap()
                .replace("\"l-0\"", &format!("\"l-{id}\""));
            let kind = if value.starts_with("http") {
                "url"
            } else {
                "domain"
            };
            let line = format!("{}{life}}}", line.trim_end_matches('}'));
            (kind.to_owned(), value.clone(), line)
        })
        .collect();
    lines.sort();
    lines.into_iter().map(|(_, _, line)| line).collect()
}

fn text_of(lines: &[String]) -> Vec<u8> {
    let header = native("l", &[]);
    let lines = lines.iter().flat_map(|line| [line.as_str(), "\n"]);
    std::iter::once(header.as_str())
        .chain(lines)
        .collect::<String>()
        .into_bytes()
}

/// What can be seen of a blocklist: what is decided and by which entry, and what is said of
/// its lists.
fn seen(blocklist: &Blocklist, asked: &[String]) -> (Vec<String>, Vec<String>) {
    let decided = asked.iter().map(|asked| {
        let decision = decide(blocklist, asked);
        let id = |rule: RuleId| blocklist.rule(rule).unwrap().entry_id.to_owned();
        let act = decision.act.map(|(rule, action)| (id(rule), action));
        let monitored: Vec<String> = decision.monitored.iter().map(|rule| id(*rule)).collect();
        format!("{asked} {act:?} {monitored:?}")
    });
    let lists = blocklist.lists().iter().map(|list| {
        let mut holes = list.holes.clone();
        holes.sort();
        format!(
            "{:?} {:?} {} {} {} {} {} {holes:?}",
            list.entries,
            list.rejects,
            list.rejected,
            list.never_blocked,
            list.not_in_effect,
            list.withdrawn,
            list.overdue
        )
    });
    (decided.collect(), lists.collect())
}

/// Whether rows of the second list match the same, or say the same and were left out.
fn says_again(blocklist: &Blocklist) -> bool {
    let rules = (0..blocklist.rule_count()).map(|rule| RuleId(u32::try_from(rule).unwrap()));
    let mut known = std::collections::BTreeSet::new();
    blocklist.held[1].repeats > 0
        || rules
            .filter_map(|rule| blocklist.rule(rule))
            .filter(|rule| rule.list_index == 1)
            .any(|rule| !known.insert((rule.value.to_owned(), rule.match_word)))
}

fn any_life() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just(""),
        1 => Just(r#","effective_from":"2026-11-24T07:00:00Z""#),
        1 => Just(r#","expires_at":"2026-11-24T07:30:00Z""#),
        1 => Just(r#","review_by":"2026-11-23""#),
        1 => Just(r#","window":[{"from":"2026-11-24T05:00:00Z","to":"2026-11-24T06:30:00Z"},{"from":"2026-11-24T07:45:00Z","to":"2026-11-24T08:00:00Z"}]"#),
        1 => Just(r#","category":"gambling""#),
        1 => Just(r#","category":"nonsense""#),
    ]
}

fn any_asked() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(
        prop_oneof![
            "([ab]\\.){0,4}[ab]\\.test",
            "http://([ab]\\.){0,1}[ab]\\.test(/[ab]{0,1}){1,4}(\\?[ab])?"
        ],
        1..20,
    )
}

/// Withdrawals by id or value, and until which minute behind six.
fn any_withdrawn() -> impl Strategy<Value = Vec<(Withdrawn, i64)>> {
    let what = prop_oneof![
        (0_u8..20).prop_map(|id| Withdrawn::Id(EntryId::new(&format!("l-{id}")))),
        "([ab]\\.){0,2}[ab]\\.test".prop_map(Withdrawn::Value),
        "http://[ab]\\.test/[ab]".prop_map(Withdrawn::Value),
    ];
    prop::collection::vec((what, 0_i64..150), 0..5)
}

proptest! {
    /// Whatever deltas brought, in whatever order: it is as if the text had been compiled.
    #[test]
    fn deltas_equal_a_full_compile(
        steps in prop::collection::vec(prop::collection::vec((0_u8..20, any_row(), any_life()), 0..14), 2..5),
        minute in 0_i64..150,
        withdrawn in any_withdrawn(),
        allowed in prop::option::of(("([ab]\\.){1,2}test", 0_i64..150)),
        asked in any_asked(),
    ) {
        let six: Timestamp = "2026-11-24T06:00:00Z".parse().unwrap();
        let at = |minute: i64| six + jiff::SignedDuration::from_mins(minute);
        let protected = Protected::new(vec![Name::from_text("a.b.test").unwrap()], Vec::new());
        let settings = signed("l");
        let never = Reserved::new([Name::from_text("b.a.test").unwrap()].into());
        let border = Border::of(&settings, None, never.into());
        let compiled = |text: Vec<u8>| {
            let mut compiler = Compiler::new(&protected, six);
            compiler.add(&self::settings("before"), &Verified::unsigned("before", "x", native("before", &[(B, "exact", "b.test".into())]).into_bytes()));
            compiler.add_within(&settings, &border, &Verified::unsigned("l", "x", text));
            compiler.finish()
        };
        let levers = Levers {
            now: at(minute),
            withdrawn: [("l".to_owned(), withdrawn.into_iter().map(|(what, until)| Withdrawal {
                what,
                reason: WithdrawalReason::Error,
                until: at(until),
            }).collect())].into(),
            allowed: allowed.iter().map(|(name, until)| (Name::from_text(name).unwrap(), at(*until))).collect(),
        };
        let state_of = |rows: &[LivingRow]| state(&rows.iter().map(|(id, row, life)| (*id, (row.clone(), *life))).collect());
        let mut before = state_of(&steps[0]);
        let mut changed = compiled(text_of(&before));
        for (number, rows) in steps.iter().enumerate().skip(1) {
            let after = state_of(rows);
            let without = |of: &[String], from: &[String]| -> Vec<Vec<u8>> {
                let left = from.iter().filter(|line| !of.contains(line));
                left.map(|line| line.clone().into_bytes()).collect()
            };
            let change = Applied {
                plaintext: text_of(&after),
                removed: without(&after, &before),
                added: without(&before, &after),
            };
            let provenance = changed.lists()[1].provenance.clone();
            if number == 2 {
                changed = changed.with(&levers);
            }
            let applied = changed.apply(&settings, &border, &listed(&provenance, &change), &change.removed, &change.added);
            if says_again(&compiled(text_of(&before))) || says_again(&compiled(text_of(&after))) {
                changed = applied.unwrap_or_else(|| compiled(text_of(&after)));
                before = after;
                continue;
            }
            prop_assert!(applied.is_some());
            let applied = applied.unwrap();
            prop_assert_eq!(applied.shared_rules(&changed) > 0, changed.shared_rules(&changed) > 0);
            changed = applied;
            before = after;
        }
        let full = compiled(text_of(&before)).with(&levers);
        let changed = changed.with(&levers);
        prop_assert_eq!(seen(&changed, &asked), seen(&full, &asked));
        prop_assert_eq!(changed.next_change(), full.next_change());
        for asked in &asked {
            let decision = decide(&changed, asked);
            prop_assert_eq!((decision.act, decision.monitored.to_vec()), naive(&changed, asked), "{}", asked);
        }
        // Time goes on without any list: what acts is what each entry says of itself.
        let mut now = levers.now;
        for _ in 0..4 {
            let Some(next) = full.with(&Levers { now, ..levers.clone() }).next_change() else { break };
            prop_assert!(next > now);
            let before = Levers { now: next - jiff::SignedDuration::from_secs(1), ..levers.clone() };
            let (one, other) = (full.with(&Levers { now, ..levers.clone() }), full.with(&before));
            prop_assert_eq!(seen(&one, &asked), seen(&other, &asked), "nothing changes before the moment that is said");
            now = next;
        }
    }
}

#[test]
fn a_withdrawal_only_lets_through() {
    let rows = vec![
        (B, "subtree", "w.test".to_owned()),
        (Action::PassThru, "exact", "ok.w.test".to_owned()),
        (B, "exact", "http://w.test/x".to_owned()),
    ];
    let canary = r#"{"canary":true,"id":"canary","kind":"domain","match":"subtree","value":"l.canary.invalid"}"#;
    let text = format!("{}{canary}\n", native("l", &rows));
    let mut compiler = Compiler::new(&Protected::default(), Timestamp::UNIX_EPOCH);
    compiler.add(
        &settings("l"),
        &Verified::unsigned("l", "x", text.into_bytes()),
    );
    let blocklist = compiler.finish();
    let with = |list: &str, what: Withdrawn| {
        let withdrawal = Withdrawal {
            what,
            reason: WithdrawalReason::Appeal,
            until: Timestamp::from_second(60).unwrap(),
        };
        blocklist.with(&Levers {
            withdrawn: [(list.to_owned(), vec![withdrawal])].into(),
            ..Levers::default()
        })
    };
    let id = |id: &str| Withdrawn::Id(EntryId::new(id));
    let value = |value: &str| Withdrawn::Value(value.to_owned());
    assert_eq!(ask(&with("l", id("l-0")), "w.test"), None);
    assert_eq!(ask(&with("l", value("W.test.")), "www.w.test"), None);
    assert_eq!(
        ask(&with("l", value("http://w.test/x")), "http://w.test/x"),
        Some(("l-0".into(), B))
    );
    assert_eq!(
        ask(&with("l", value("www.w.test")), "www.w.test"),
        Some(("l-0".into(), B))
    );
    assert_eq!(
        ask(&with("other", id("l-0")), "w.test"),
        Some(("l-0".into(), B))
    );
    for exempt in [with("l", id("l-1")), with("l", value("ok.w.test"))] {
        assert_eq!(
            ask(&exempt, "ok.w.test"),
            Some(("l-1".into(), Action::PassThru))
        );
    }
    for exempt in [
        with("l", id("canary")),
        with("l", value("l.canary.invalid")),
    ] {
        assert!(ask(&exempt, "l.canary.invalid").is_some());
        assert_eq!(exempt.lists()[0].withdrawn, 0);
    }
    let withdrawn = with("l", id("l-0"));
    assert_eq!(withdrawn.lists()[0].withdrawn, 1);
    assert_eq!(
        withdrawn.lists()[0].entries,
        [(Kind::Domain, 0), (Kind::Exception, 1), (Kind::Url, 1)]
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .collect::<Vec<_>>()
    );
    let end = withdrawn.next_change().unwrap();
    let later = withdrawn.with(&Levers {
        now: end,
        ..withdrawn.levers().clone()
    });
    assert_eq!(
        ask(&later, "w.test"),
        Some(("l-0".into(), B)),
        "it lapses by itself"
    );
    assert_eq!(later.next_change(), None);
    assert_eq!(
        (later.lists()[0].withdrawn, later.lists()[0].lapsed),
        (0, 1)
    );
    assert_eq!(withdrawn.lists()[0].lapsed, 0);
    let again = |what: Withdrawn, seconds| Withdrawal {
        what,
        reason: WithdrawalReason::Appeal,
        until: Timestamp::from_second(seconds).unwrap(),
    };
    for (running, lapsed) in [(61, 0), (60, 1)] {
        let both = vec![again(id("l-0"), 60), again(value("w.test"), running)];
        let both = blocklist.with(&Levers {
            now: end,
            withdrawn: [("l".to_owned(), both)].into(),
            ..Levers::default()
        });
        assert_eq!(both.lists()[0].lapsed, lapsed);
    }
}

#[test]
fn a_name_is_allowed_for_a_time_on_every_list_and_surface() {
    let rows = vec![
        (B, "subtree", "al.test".to_owned()),
        (B, "prefix", "http://al.test/x".to_owned()),
    ];
    let blocklist = compile(&[(settings("l"), rows)], &[]);
    let until = "2026-11-24T08:00:00Z".parse().unwrap();
    let name = |name| Name::from_text(name).unwrap();
    let levers = Levers {
        now: "2026-11-24T07:00:00Z".parse().unwrap(),
        allowed: vec![(name("shop.al.test"), until)],
        ..Levers::default()
    };
    let allowed = blocklist.with(&levers);
    assert_eq!(ask(&allowed, "www.shop.al.test"), None);
    assert_eq!(ask(&allowed, "http://shop.al.test/x"), None);
    assert!(ask(&allowed, "al.test").is_some());
    assert!(ask(&allowed, "http://al.test/x/y").is_some());
    assert_eq!(allowed.allowed(&name("shop.al.test")), Some(until));
    assert!(!allowed.is_protected(&name("shop.al.test")));
    assert_eq!(allowed.next_change(), Some(until));
    let later = allowed.with(&Levers {
        now: until,
        ..levers
    });
    assert!(ask(&later, "www.shop.al.test").is_some());
}

#[test]
fn what_a_delta_cannot_change_is_compiled_anew() {
    let rows = BTreeMap::from([(1, ((B, "exact", "one.test".to_owned()), ""))]);
    let before = state(&rows);
    let settings = signed("l");
    let mut compiler = Compiler::new(&Protected::default(), Timestamp::UNIX_EPOCH);
    compiler.add(&settings, &Verified::unsigned("l", "x", text_of(&before)));
    let blocklist = compiler.finish();
    let provenance = blocklist.lists()[0].provenance.clone();
    let check =
        |settings: &Settings, border: Border, change: &dyn Fn(&mut Applied), applies: bool| {
            let mut applied = Applied {
                plaintext: text_of(&[]),
                removed: vec![before[0].clone().into_bytes()],
                added: Vec::new(),
            };
            change(&mut applied);
            let found = blocklist.apply(
                settings,
                &border,
                &listed(&provenance, &applied),
                &applied.removed,
                &applied.added,
            );
            assert_eq!(found.is_some(), applies);
        };
    let border = || Border::local(&settings);
    check(&settings, border(), &|_| {}, true);
    check(&signed("other"), border(), &|_| {}, false);
    let mut monitoring = settings.clone();
    monitoring.mode = Mode::Monitor;
    check(&monitoring, border(), &|_| {}, false);
    let mut bounds = border();
    bounds.bounds.kinds = Some(Vec::new());
    check(&settings, bounds, &|_| {}, false);
    check(
        &settings,
        border(),
        &|change| change.plaintext.insert(0, b' '),
        false,
    );
    check(
        &settings,
        border(),
        &|change| change.removed[0].truncate(3),
        false,
    );
    check(&settings, border(), &|change| change.removed.clear(), false);
    let again = |change: &mut Applied| change.removed.push(change.removed[0].clone());
    check(&settings, border(), &again, false);
}

/// The version that a change leads to.
fn listed(provenance: &Provenance, change: &Applied) -> ListFile {
    ListFile {
        provenance: provenance.clone(),
        text: Text::plain(change.plaintext.clone()),
    }
}
