//! Trust from outside: a real repository on disk, a node that pulls from it, and each attack
//! by name. Whatever is refused, the last good list stays.

pub(crate) mod forge;
pub(crate) mod forged_files;
mod replace;
mod steps;
mod terms;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use cordon::control::rounds::{Budgets, ListOutcome};
use cordon::publish;
use cordon::source::Mirror;
use cordon::verify::{Answer, TrustedMetadata, Verdict};
use forge::{Authority, Node, copy, hour, key_id, key_object, names, subscriptions};
use forged_files::{History, file_of};
use proptest::prelude::*;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[test]
fn a_list_is_pulled_and_found_again_at_the_next_start() {
    let authority = Authority::new(&["a"]);
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "not_published");
    authority.publish("a", &["one.test", "two.test"], hour(1));
    let round = node.round(&["a"], hour(1));
    let [
        (
            _,
            ListOutcome::New {
                file,
                not_stored: None,
                ..
            },
        ),
    ] = round.lists.as_slice()
    else {
        panic!("{round:?}");
    };
    assert_eq!(names(file), ["one.test", "two.test"]);
    assert_eq!(file.get().provenance.title, "List a");
    assert_eq!(node.outcome(hour(1)), "unchanged");
    authority.publish("a", &["two.test", "three.test"], hour(2));
    assert_eq!(node.outcome(hour(2)), "new");
    node.restart();
    let restored = node.restore("a");
    assert!(restored.damaged.is_empty(), "{:?}", restored.damaged);
    let (file, version) = restored.file.unwrap();
    assert_eq!(
        (version.seq, names(&file)),
        (2, vec!["three.test".to_owned(), "two.test".to_owned()])
    );
    assert_eq!(node.outcome(hour(2)), "unchanged");
}

#[test]
fn a_poll_that_finds_nothing_new_is_two_requests() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let mirror = format!("http://{}/", listener.local_addr().unwrap());
    let mut node = Node::with_mirrors(&authority, vec![Mirror::Http(mirror)]);
    let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
    let server = {
        let _runtime = node.runtime().enter();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let (tracker, token, repo) = (tracker.clone(), token.clone(), authority.repo());
        node.runtime()
            .spawn(async move { publish::serve(listener, repo, &tracker, token).await })
    };
    let first = node.round(&["a"], hour(0));
    assert_eq!((first.outcome_of("a"), first.requests), ("new", 7));
    for _ in 0..2 {
        let quiet = node.round(&["a"], hour(1));
        assert_eq!((quiet.outcome_of("a"), quiet.requests), ("unchanged", 2));
    }
    authority.publish("a", &["two.test"], hour(2));
    let next = node.round(&["a"], hour(2));
    assert_eq!(
        (next.outcome_of("a"), next.requests),
        ("new", 5),
        "the targets role is held"
    );
    token.cancel();
    tracker.close();
    node.runtime().block_on(async {
        server.await.unwrap().unwrap();
        tracker.wait().await;
    });
    assert_eq!(node.outcome(hour(2)), "unreachable");
    assert_eq!(node.seq("a"), Some(2));
}

/// Publishes serial 1, has a node take it, publishes serial 2, and lets `attack` change the
/// repository; the node must refuse with `outcome` and keep serial 1, and take serial 2 when
/// the attack is over.
#[track_caller]
fn refused(outcome: &str, attack: impl FnOnce(&Authority)) {
    let authority = Authority::new(&["a", "b"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    authority.publish("a", &["two.test"], hour(1));
    let honest = authority.files();
    attack(&authority);
    assert_eq!(node.outcome(hour(1)), outcome);
    assert_eq!(node.seq("a"), Some(1));
    authority.put_back(&honest);
    assert_eq!(node.outcome(hour(1)), "new");
    assert_eq!(node.seq("a"), Some(2));
}

/// Changes the file of a role.
fn change(role: &str, edit: impl FnOnce(&mut Vec<u8>)) -> impl FnOnce(&Authority) {
    move |authority| {
        let file = authority.current(role);
        let mut bytes = authority.files()[&file].clone();
        edit(&mut bytes);
        authority.put(&file, &bytes);
    }
}

#[test]
fn a_wrong_signature_is_refused() {
    let wrong = |bytes: &mut Vec<u8>| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let (before, after) = text.split_once("\"sig\":\"").unwrap();
        let digit = if after.starts_with('0') { "1" } else { "0" };
        *bytes = format!("{before}\"sig\":\"{digit}{}", &after[1..]).into_bytes();
    };
    refused("threshold_not_met", change("timestamp", wrong));
    refused("hash_mismatch", change("snapshot", wrong));
    refused("hash_mismatch", change("list-a", wrong));
}

#[test]
fn a_file_that_was_cut_short_or_has_another_length_is_refused() {
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
    let longer = |bytes: &mut Vec<u8>| bytes.push(b' ');
    refused("malformed", change("timestamp", cut));
    refused("malformed", change("snapshot", cut));
    refused("hash_mismatch", |authority| {
        let full = full_of(authority, "a");
        let bytes = authority.files()[&full].clone();
        authority.put(&full, &bytes[..bytes.len() - 1]);
    });
    for role in ["snapshot", "list-a"] {
        refused("too_long", change(role, longer));
    }
    refused("too_long", |authority| {
        let full = full_of(authority, "a");
        let mut bytes = authority.files()[&full].clone();
        bytes.push(0);
        authority.put(&full, &bytes);
    });
}

/// The file of a list's complete state.
pub(crate) fn full_of(authority: &Authority, list: &str) -> String {
    let role = authority.signed(&authority.current(&format!("list-{list}")));
    let digest = role["targets"][format!("{list}/full")]["hashes"]["sha256"]
        .as_str()
        .unwrap()
        .to_owned();
    format!("targets/{list}/{digest}.full")
}

#[test]
fn an_older_version_is_refused() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let old = authority.files();
    authority.publish("a", &["two.test"], hour(1));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(1)), "new");
    // The whole repository of an hour ago, as a mirror that hides the withdrawal would have it.
    authority.put_back(&old);
    assert_eq!(node.outcome(hour(1)), "rollback");
    node.restart();
    assert_eq!(
        node.outcome(hour(1)),
        "rollback",
        "a restart does not forget"
    );
    assert_eq!(node.seq("a"), Some(2));
}

#[test]
fn an_older_snapshot_or_role_under_new_names_is_refused() {
    let mix = |role: &'static str| {
        move |authority: &Authority| {
            let current = authority.current(role);
            let version: u64 = current.split(['/', '.']).nth(1).unwrap().parse().unwrap();
            let older = current.replace(&version.to_string(), &(version - 1).to_string());
            let bytes = authority.files()[&older].clone();
            authority.put(&current, &bytes);
        }
    };
    refused("version_mismatch", mix("snapshot"));
    refused("version_mismatch", mix("list-a"));
}

/// The same for what keys in the wrong hands have signed: the node takes the timestamp, so
/// that there is no way back to the honest one.
#[track_caller]
fn refused_though_signed(outcome: &str, attack: impl FnOnce(&Authority)) {
    let authority = Authority::new(&["a", "b"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    attack(&authority);
    assert_eq!(node.outcome(hour(0)), outcome);
    assert_eq!(node.seq("a"), Some(1));
}

#[test]
fn a_signed_snapshot_that_goes_back_is_refused() {
    refused_though_signed("rollback", |authority| {
        assert_eq!(authority.current("list-a"), "metadata/2.list-a.json");
        authority.forge("snapshot", |signed| {
            signed["meta"]["list-a.json"] = json!({"version": 1})
        });
    });
    refused_though_signed("missing", |authority| {
        authority.forge("snapshot", |signed| {
            signed["meta"]
                .as_object_mut()
                .unwrap()
                .remove("list-b.json")
                .unwrap();
        });
    });
}

#[test]
fn an_older_serial_or_another_content_under_the_same_is_refused() {
    let custom = |name: &'static str, value: serde_json::Value| {
        move |authority: &Authority| {
            authority.forge("list-a", |signed| {
                signed["targets"]["a/full"]["custom"][name] = value
            });
        }
    };
    refused_though_signed("rollback", custom("seq", json!(0)));
    refused_though_signed("rollback", custom("generation", json!(0)));
    refused_though_signed("equivocation", custom("state", json!("0".repeat(64))));
    refused_though_signed("hash_mismatch", |authority| {
        authority.forge("list-a", |signed| {
            let custom = &mut signed["targets"]["a/full"]["custom"];
            custom["seq"] = json!(2);
            custom["state"] = json!("0".repeat(64));
        });
    });
}

#[test]
fn what_is_expired_is_refused_and_the_list_stays() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    assert_eq!(node.outcome(hour(5)), "unchanged");
    assert_eq!(
        node.outcome(hour(6)),
        "expired",
        "at the very moment it names"
    );
    assert_eq!(node.seq("a"), Some(1));
    assert_eq!(node.outcome(hour(7)), "expired");
    authority.refresh(hour(7));
    assert_eq!(node.outcome(hour(7)), "unchanged");
    authority.publish("a", &["two.test"], hour(10));
    // A clock far ahead: everything looks expired, and it recovers when the clock does.
    assert_eq!(node.outcome(hour(400 * 24)), "expired");
    assert_eq!(node.outcome(hour(10)), "new");
    assert_eq!(node.seq("a"), Some(2));
}

#[test]
fn one_authority_that_fails_leaves_every_other_working() {
    let check = |outcome: &str, attack: fn(&Authority)| {
        let authority = Authority::new(&["a", "b"]);
        authority.publish("a", &["one.test"], hour(0));
        authority.publish("b", &["one.test"], hour(0));
        let mut node = Node::new(&authority);
        assert_eq!(node.outcome(hour(0)), "new");
        authority.publish("b", &["two.test"], hour(1));
        attack(&authority);
        let round = node.round(&["a", "b", "none"], hour(1));
        assert_eq!(round.outcome_of("a"), outcome);
        assert_eq!(round.outcome_of("b"), "new");
        assert_eq!(round.outcome_of("none"), "not_published");
        assert!(round.error.is_none());
        assert_eq!(node.seq("a"), Some(1));
    };
    check("expired", |authority| {
        authority.forge("list-a", |signed| {
            signed["expires"] = json!("2026-11-24T06:30:00Z")
        });
    });
    check("threshold_not_met", |authority| {
        authority.forge_signed_by("list-a", &[], |_| {})
    });
    check("threshold_not_met", |authority| {
        authority.forge_signed_by("list-a", &["list-b"], |_| {})
    });
    check("out_of_scope", |authority| {
        authority.forge("list-a", |signed| {
            let full = signed["targets"]["a/full"].clone();
            signed["targets"]["b/full"] = full;
        });
    });
    check("unsupported", |authority| {
        authority.forge("list-a", |signed| {
            signed["targets"]["a/full"]["custom"]["format"] = 2.into()
        });
    });
    check("lint", |authority| {
        authority.forge("targets", |signed| {
            signed["delegations"]["roles"][1]["paths"] = json!(["*/*"])
        });
    });
    check("lint", |authority| {
        authority.forge("targets", |signed| {
            signed["delegations"]["roles"][1]["threshold"] = 0.into()
        });
    });
    check("lint", |authority| {
        // One public key under two ids would count twice.
        let key = key_object(&authority.key("list-a"));
        authority.forge("targets", |signed| {
            signed["delegations"]["keys"]["alias"] = key;
            let role = &mut signed["delegations"]["roles"][1];
            role["keyids"].as_array_mut().unwrap().push(json!("alias"));
            role["threshold"] = 2.into();
        });
    });
    check("not_published", |authority| {
        authority.forge("targets", |signed| {
            signed["delegations"]["roles"]
                .as_array_mut()
                .unwrap()
                .remove(1);
        });
    });
}

#[test]
fn another_authoritys_path_does_not_count() {
    let authority = Authority::new(&["a", "b"]);
    authority.publish("b", &["own.test"], hour(0));
    let mut node = Node::new(&authority);
    // List a speaks for b, in a version of its own that nobody asked for.
    authority.publish("a", &["foreign.test"], hour(0));
    authority.forge("list-a", |signed| {
        let full = signed["targets"]["a/full"].clone();
        signed["targets"] = json!({"b/full": full});
    });
    let round = node.round(&["a", "b"], hour(0));
    assert_eq!(
        (round.outcome_of("a"), round.outcome_of("b")),
        ("out_of_scope", "new")
    );
    // Nor for what is deeper than one segment below its own folder, or is the folder.
    for path in ["a/b/full", "a/", "a", "ab/full"] {
        authority.forge("list-a", |signed| {
            let full = signed["targets"]
                .as_object()
                .unwrap()
                .values()
                .next()
                .cloned();
            signed["targets"] = json!({"a/full": full, path: full});
        });
        assert_eq!(node.outcome(hour(0)), "out_of_scope", "{path}");
    }
    let (file, _) = node.restore("b").file.unwrap();
    assert_eq!(names(&file), ["own.test"]);
}

#[test]
fn json_that_readers_disagree_about_is_refused() {
    refused("malformed", |authority| {
        let deep = format!("{}{}", "[".repeat(15_000), "]".repeat(384));
        authority.put("metadata/timestamp.json", deep.as_bytes());
    });
    refused(
        "malformed",
        change("timestamp", |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            *bytes = text
                .replace("\"version\":", "\"version\":9,\"version\":")
                .into_bytes();
        }),
    );
    refused(
        "malformed",
        change("timestamp", |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let (before, sig) = text.split_once("\"sig\":\"").unwrap();
            let (sig, after) = sig.split_once('"').unwrap();
            *bytes = format!("{before}\"sig\":\"{}\"{after}", sig.to_uppercase()).into_bytes();
        }),
    );
}

/// A web server that answers every request with `answer`, then closes the connection.
pub(crate) fn serve(answer: impl Fn(&str, &mut dyn Write) + Send + 'static) -> Mirror {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut octet = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut octet).is_ok() {
                head.extend(octet);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            answer(head.split(' ').nth(1).unwrap_or_default(), &mut stream);
        }
    });
    Mirror::Http(format!("http://{address}/"))
}

#[test]
fn endless_data_is_refused() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    for head in ["content-length: 67108864\r\n", ""] {
        let endless = serve(move |path, stream| {
            if path.ends_with("timestamp.json") {
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n{head}\r\n");
                while stream.write_all(&[b' '; 4096]).is_ok() {}
            } else {
                let _ = write!(
                    stream,
                    "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                );
            }
        });
        let mut node = Node::with_mirrors(&authority, vec![endless.clone()]);
        assert_eq!(node.outcome(hour(0)), "too_long");
        let mut node = Node::with_mirrors(
            &authority,
            vec![endless, Mirror::Directory(authority.repo())],
        );
        assert_eq!(node.outcome(hour(0)), "new");
    }
}

#[test]
fn only_a_mirrors_own_word_makes_a_file_absent() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let check = |answer: &'static str, outcome: &str| {
        let mirror = serve(move |_, stream| _ = stream.write_all(answer.as_bytes()));
        let mut node = Node::with_mirrors(&authority, vec![mirror]);
        assert_eq!(node.outcome(hour(0)), outcome, "{answer:?}");
    };
    check("", "unreachable");
    check(
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",
        "unreachable",
    );
    check(
        "HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "mirror_error",
    );
    check(
        "HTTP/1.1 304 No\r\nconnection: close\r\n\r\n",
        "mirror_error",
    );
    check(
        "HTTP/1.1 301 Away\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "mirror_error",
    );
    // Absent everywhere: there is no newer root, but the timestamp must be there.
    check(
        "HTTP/1.1 404 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "missing",
    );
    check(
        "HTTP/1.1 403 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "missing",
    );
}

#[test]
fn a_mirror_that_stalls_is_given_up() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let stalls = serve(|_, stream| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{{");
        thread::sleep(Duration::from_secs(60));
    });
    let mut node = Node::with_mirrors(&authority, vec![stalls]);
    assert_eq!(node.outcome(hour(0)), "too_slow");
}

#[test]
fn mirrors_keep_a_round_waiting_no_longer_than_its_budgets() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let (long, short) = (Duration::from_secs(60), Duration::from_millis(500));
    // Nothing answers; the time that is left is shared by the mirrors.
    let stalls = || serve(|_, _| thread::sleep(Duration::from_secs(60)));
    let check = |mirrors, metadata, round, outcome| {
        let mut node = Node::with_mirrors(&authority, mirrors);
        node.puller.set_budgets(Budgets { metadata, round });
        let begin = std::time::Instant::now();
        let found = node.outcome(hour(0));
        let took = begin.elapsed();
        assert_eq!(found, outcome);
        assert!(took < Duration::from_secs(4), "{took:?}");
    };
    check(vec![stalls()], short, long, "too_slow");
    let second = Mirror::Directory(authority.repo());
    check(vec![stalls(), second], 4 * short, long, "new");
    // Everything but the list itself is there.
    let files = authority.files();
    let without_list = serve(move |path, stream| {
        if path.ends_with(".full") {
            thread::sleep(Duration::from_secs(60));
        }
        let file = files.get(path.trim_start_matches('/'));
        let (status, body) = file.map_or(("404 No", &[][..]), |file| ("200 OK", file));
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        let _ = stream.write_all(body);
    });
    check(vec![without_list], long, 2 * short, "too_slow");
}

#[test]
fn when_a_mirror_is_gone_or_lies_the_next_is_asked() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let stale = tempfile::tempdir().unwrap();
    copy(&authority.files(), stale.path());
    authority.publish("a", &["two.test"], hour(1));
    let honest = Mirror::Directory(authority.repo());
    let gone = Mirror::Directory(stale.path().join("gone"));
    let mut node = Node::with_mirrors(&authority, vec![gone, honest.clone()]);
    let round = node.round(&["a"], hour(1));
    assert_eq!(round.outcome_of("a"), "new");
    assert_eq!(
        round.refusals.len(),
        1,
        "the mirror that answered is asked first from then on"
    );
    // The mirror of an hour ago: refused as a rollback, and the next has what is wanted.
    let mut node = Node::with_mirrors(&authority, vec![honest.clone()]);
    assert_eq!(node.outcome(hour(1)), "new");
    let mut behind = Node::with_mirrors(
        &authority,
        vec![Mirror::Directory(stale.path().to_owned()), honest],
    );
    assert_eq!(behind.round(&["a"], hour(1)).outcome_of("a"), "new");
    authority.publish("a", &["three.test"], hour(2));
    assert_eq!(
        behind.outcome(hour(2)),
        "unchanged",
        "a stale mirror is within its rights until it expires"
    );
    assert_eq!(
        behind.outcome(hour(6)),
        "new",
        "and then the next one is asked"
    );
}

/// Walks a round over files in memory, without a disk; says whether list a came new, and how
/// many of its entries are withdrawn.
fn walk(trusted: &mut TrustedMetadata, files: &BTreeMap<String, Vec<u8>>) -> (bool, usize) {
    walk_noting(trusted, files, &mut |_| {})
}

/// The same; `note` is called with each file that is there and asked for.
fn walk_noting(
    trusted: &mut TrustedMetadata,
    files: &BTreeMap<String, Vec<u8>>,
    note: &mut dyn FnMut(&str),
) -> (bool, usize) {
    trusted.begin(hour(1), &subscriptions(&["a"]));
    while let Some(wanted) = trusted.next() {
        if files.contains_key(&wanted.path) {
            note(&wanted.path);
        }
        let answer = match files.get(&wanted.path) {
            Some(bytes) if bytes.len() as u64 <= wanted.octets_max => {
                trusted.feed(Answer::File(bytes))
            }
            Some(_) => Ok(Vec::new()),
            None => trusted.feed(Answer::Absent),
        };
        if answer.is_err() {
            trusted.skip();
        }
    }
    let verdicts = trusted.take_verdicts();
    let is_new = |(_, verdict): &(String, Verdict)| matches!(verdict, Verdict::New { .. });
    (verdicts.iter().any(is_new), trusted.withdrawals("a").len())
}

#[test]
fn every_octet_of_every_file_counts() {
    let mut history = History::of(1);
    history.publish(false);
    let authority = &history.authority;
    authority.publish_term("policy", br#"{"format":1,"lists":{"a":{"max_entries":9}}}"#);
    authority.publish_term("never-block", b"bank.test\n");
    authority.delegate_withdraw("duty");
    let withdrawn = authority.withdrawals("a", "2026-11-24T06:30:00Z", &["one.test"]);
    let withdraw_file = file_of("withdraw/a", &withdrawn);
    authority.publish_withdraw_role(&["duty"], 1, &json!({"withdraw/a": withdrawn}));
    authority.forge_root(&["root"], |_| {});
    let honest = authority.files();
    let settings = authority.trust();
    let fresh = || TrustedMetadata::restore("r", &settings, &BTreeMap::new()).unwrap();
    let mut asked = BTreeSet::new();
    let mut note = |path: &str| _ = asked.insert(path.to_owned());
    assert_eq!(walk_noting(&mut fresh(), &honest, &mut note), (true, 1));
    let targets = authority.signed(&authority.current("targets"))["targets"].clone();
    let mut judged = vec![
        "metadata/2.root.json".to_owned(),
        full_of(authority, "a"),
        history.last_file(),
        withdraw_file,
    ];
    judged.extend(["policy", "never-block"].map(|term| file_of(term, &targets[term])));
    let roles = ["timestamp", "snapshot", "targets", "list-a", "withdraw"];
    judged.extend(roles.map(|role| authority.current(role)));
    let all: BTreeSet<String> = judged.iter().cloned().collect();
    assert_eq!(all, asked, "every file that a node reads is judged");
    for name in judged {
        for at in 0..honest[&name].len() {
            let mut files = honest.clone();
            files.get_mut(&name).unwrap()[at] ^= 1 << (at % 7);
            let mut trusted = fresh();
            let changed = walk(&mut trusted, &files);
            assert_ne!(changed, (true, 1), "{name}: octet {at} does not count");
            let (is_new, withdrawn) = walk(&mut trusted, &honest);
            assert!(
                (changed.0 != is_new) && withdrawn == 1,
                "{name}: octet {at} left something behind"
            );
        }
    }
}

#[test]
fn roots_are_followed_however_long_the_node_was_away() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    for _ in 0..40 {
        authority.forge_root(&["root"], |_| {});
    }
    assert_eq!(node.outcome(hour(0)), "unchanged");
    assert_eq!(node.puller.summary().root_version, 41);
    assert_eq!(node.seq("a"), Some(1));
    assert_eq!(
        node.puller.summary().root_version,
        41,
        "they are found again at the start"
    );
    // A mirror that hides them from a node whose disk lost them.
    for entry in fs::read_dir(node.state().join("repositories/hotlines/root_history")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let hidden = authority.repo().join("metadata/2.root.json");
    fs::rename(&hidden, hidden.with_extension("hidden")).unwrap();
    assert_eq!(node.seq("a"), Some(1));
    assert_eq!(node.outcome(hour(0)), "rollback");
    fs::rename(hidden.with_extension("hidden"), &hidden).unwrap();
    assert_eq!(node.outcome(hour(0)), "unchanged");
}

#[test]
fn a_root_needs_the_old_and_the_new_keys() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    let next = authority.keys().make("next").unwrap();
    let object = key_object(&authority.key("next"));
    for (signed_by, outcome) in [
        (&["next"][..], "threshold_not_met"),
        (&["root"], "threshold_not_met"),
        (&["root", "next"], "unchanged"),
    ] {
        authority.forge_root(signed_by, |root| {
            root["keys"][&next.id] = object.clone();
            root["roles"]["root"]["keyids"] = json!([next.id]);
        });
        assert_eq!(node.outcome(hour(0)), outcome);
        if outcome != "unchanged" {
            fs::remove_file(authority.repo().join("metadata/2.root.json")).unwrap();
        }
    }
    assert_eq!(node.puller.summary().root_version, 2);
}

#[test]
fn a_root_that_the_lint_refuses_is_not_followed() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    let alias = key_object(&authority.key("timestamp"));
    authority.forge_root(&["root"], |root| {
        root["keys"]["alias"] = alias;
        root["roles"]["timestamp"]["keyids"]
            .as_array_mut()
            .unwrap()
            .push(json!("alias"));
    });
    assert_eq!(node.outcome(hour(0)), "lint");
    let mut strict = authority.trust();
    strict.min_root_threshold = 2;
    let refused = TrustedMetadata::restore("r", &strict, &BTreeMap::new()).unwrap_err();
    assert_eq!(refused.outcome(), "lint");
}

#[test]
fn the_floor_of_a_list_survives_the_rotation_of_online_keys() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let old = authority.signed(&authority.current("list-a"));
    authority.publish("a", &["two.test"], hour(1));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(1)), "new");
    // A thief of the online keys locks nodes at a version out of reach …
    let honest = authority.files();
    authority.forge("timestamp", |signed| signed["version"] = json!(1_u64 << 40));
    assert_eq!(node.outcome(hour(1)), "unchanged");
    authority.put_back(&honest);
    assert_eq!(node.outcome(hour(1)), "rollback");
    // … until a new root gives snapshot and timestamp other keys: their floors fall.
    authority.rotate_online_keys();
    authority.forge("list-a", |_| {});
    assert_eq!(node.outcome(hour(1)), "unchanged");
    // What the old keys signed is worth nothing, and the list itself still never goes back.
    let rotated = authority.files();
    authority.put(
        "metadata/timestamp.json",
        &honest["metadata/timestamp.json"],
    );
    assert_eq!(node.outcome(hour(1)), "threshold_not_met");
    authority.put_back(&rotated);
    authority.forge("list-a", |signed| {
        signed["targets"] = old["targets"].clone()
    });
    assert_eq!(node.outcome(hour(1)), "rollback");
    assert_eq!(node.seq("a"), Some(2));
}

#[test]
fn clocks_may_step_but_not_lie() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(100));
    let mut node = Node::new(&authority);
    assert_eq!(
        node.outcome(hour(75)),
        "from_the_future",
        "a day and an hour ahead of ours"
    );
    assert_eq!(
        node.outcome(hour(-400_000)),
        "clock",
        "our clock is in the last century"
    );
    assert_eq!(node.outcome(hour(77)), "new");
    authority.publish("a", &["two.test"], hour(101));
    // Ours steps back behind the publisher's: expiry is judged by the later of the two.
    assert_eq!(node.outcome(hour(-400_000)), "clock");
    assert_eq!(node.outcome(hour(-400)), "new");
    assert_eq!(node.seq("a"), Some(2));
}

#[test]
fn a_damaged_state_is_set_aside_and_fetched_again() {
    let damages: [fn(&mut Vec<u8>); 3] = [
        Vec::clear,
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes[0] ^= 1,
    ];
    for damage in damages {
        let authority = Authority::new(&["a"]);
        authority.publish("a", &["one.test"], hour(0));
        let old = authority.files();
        let mut node = Node::new(&authority);
        assert_eq!(node.outcome(hour(0)), "new");
        authority.publish("a", &["two.test"], hour(1));
        assert_eq!(node.outcome(hour(1)), "new");
        let whole = node.files();
        for (name, bytes) in &whole {
            copy(&whole, node.state());
            let mut damaged = bytes.clone();
            damage(&mut damaged);
            fs::write(node.state().join(name), &damaged).unwrap();
            node.restart();
            let restored = node.restore("a").file.map(|(_, version)| version.seq);
            let expected = if name == "lists/a/2.state" || name == "lists/a/2.proof" {
                1
            } else {
                2
            };
            assert_eq!(restored, Some(expected), "{name}");
            let honest = authority.files();
            authority.put_back(&old);
            assert_eq!(
                node.outcome(hour(1)),
                "rollback",
                "{name}: the way back stays shut"
            );
            authority.put_back(&honest);
            assert!(
                ["new", "unchanged"].contains(&node.outcome(hour(1))),
                "{name}"
            );
            assert_eq!(node.seq("a"), Some(2), "{name}");
        }
    }
}

#[test]
fn a_state_of_a_newer_version_is_refused() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let node = Node::new(&authority);
    let newer = BTreeMap::from([("floors.json".to_owned(), b"{\"format\":2}".to_vec())]);
    let refused = TrustedMetadata::restore("r", &authority.trust(), &newer).unwrap_err();
    assert_eq!(refused.outcome(), "unsupported");
    drop(node);
}

#[test]
fn what_cannot_be_stored_ends_the_round_and_is_stored_later() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = Node::new(&authority);
    // A folder in the way of the file, since a test may run as root, whom no mode stops.
    let file = node.state().join("repositories/hotlines/timestamp.json");
    fs::create_dir_all(file.join("in the way")).unwrap();
    assert_eq!(node.outcome(hour(0)), "not_stored");
    assert_eq!(
        node.outcome(hour(0)),
        "not_stored",
        "nothing new is fetched before it is"
    );
    fs::remove_dir_all(&file).unwrap();
    assert_eq!(node.outcome(hour(0)), "new");
    assert_eq!(node.seq("a"), Some(1));
}

#[test]
fn another_pinned_root_makes_nothing_of_what_is_stored() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let mut node = Node::new(&authority);
    assert_eq!(node.outcome(hour(0)), "new");
    let stored = node.files();
    let stranger = Authority::new(&["a"]);
    let mut other = Node::new(&stranger);
    copy(&stored, other.state());
    assert_eq!(other.seq("a"), None);
    assert_ne!(
        key_id(&authority.key("root")),
        key_id(&stranger.key("root"))
    );
}

/// What happens in a random history.
#[derive(Clone, Debug)]
enum Event {
    /// These names are published as list a or b.
    Publish(bool, Vec<u8>),
    /// The authority renews what is due.
    Refresh,
    /// Hours pass.
    Pass(u8),
    /// The node does a round.
    Round,
    /// The node ends and starts.
    Restart,
    /// The mirror goes back to how it was at the start of the history.
    Replay,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (any::<bool>(), prop::collection::vec(0_u8..20, 1..6)).prop_map(|(list, names)| Event::Publish(list, names)),
        1 => Just(Event::Refresh),
        1 => (1_u8..80).prop_map(Event::Pass),
        3 => Just(Event::Round),
        1 => Just(Event::Restart),
        1 => Just(Event::Replay),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whatever happens in between, no serial ever goes down, and a node that can reach an
    /// authority that renews its roles ends at the newest state of every list.
    #[test]
    fn every_history_ends_at_the_newest_state(events in prop::collection::vec(event(), 1..14)) {
        let authority = Authority::new(&["a", "b"]);
        let mut newest: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for list in ["a", "b"] {
            authority.publish(list, &["first.test"], hour(0));
            newest.insert(list, vec!["first.test".to_owned()]);
        }
        let start = authority.files();
        let mut node = Node::new(&authority);
        let mut now = 0;
        let mut seen = BTreeMap::from([("a", 0), ("b", 0)]);
        for event in events.iter().chain([&Event::Refresh, &Event::Round]) {
            match event {
                Event::Publish(list, numbers) => {
                    let list = if *list { "a" } else { "b" };
                    authority.refresh(hour(now));
                    let mut names: Vec<String> = numbers.iter().map(|number| format!("n{number}.test")).collect();
                    let published: Vec<&str> = names.iter().map(String::as_str).collect();
                    authority.publish(list, &published, hour(now));
                    names.sort();
                    names.dedup();
                    newest.insert(list, names);
                }
                Event::Refresh => authority.refresh(hour(now)),
                Event::Pass(hours) => now += i64::from(*hours),
                Event::Round => {
                    node.round(&["a", "b"], hour(now));
                }
                Event::Restart => node.restart(),
                Event::Replay => {
                    let honest = authority.files();
                    authority.put_back(&start);
                    node.round(&["a", "b"], hour(now));
                    authority.put_back(&honest);
                }
            }
            for (list, last) in &mut seen {
                let seq = node.restore(list).file.map_or(0, |(_, version)| version.seq);
                prop_assert!(seq >= *last, "{list} went from {last} to {seq}");
                *last = seq;
            }
        }
        node.restart();
        for (list, names_of_newest) in newest {
            let (file, _) = node.restore(list).file.unwrap();
            let mut found = names(&file);
            found.sort();
            prop_assert_eq!(found, names_of_newest);
        }
    }
}
