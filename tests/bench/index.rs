//! What the index of a large list costs: CPU to compile it, to adjust it and to change it by
//! a delta, memory, and the time of a decision. `cargo bench --bench index [-- ENTRIES]`; with
//! `--write FILE` it only writes the invented list, for `tests/bench/cost`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measurement that meets the unexpected is to stop at once"
)]

use std::fs;
use std::hint::black_box;

use cordon::compile::{Border, Compiler, Ede, From, Levers, Protected, Settings};
use cordon::policy::{
    CanonicalUrl, EntryId, Name, Origin, Provenance, Withdrawal, WithdrawalReason, Withdrawn,
};
use cordon::verify::{ListFile, Verified};
use jiff::Timestamp;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = arguments.iter().find_map(|word| word.parse().ok());
    let rows = rows(count.unwrap_or(1_000_000));
    if let Some(place) = arguments.iter().position(|word| word == "--write") {
        let text = [HEADER.to_owned(), rows.concat()].concat();
        fs::write(&arguments[place + 1], text).unwrap();
        return;
    }
    let text = [HEADER.to_owned(), rows.concat()].concat().into_bytes();
    println!(
        "{} entries, {} MB of text",
        rows.len(),
        text.len() / 1_000_000
    );
    let (before, resident) = (cpu(), resident());
    let file = Verified::unsigned("bench", "bench", text);
    let mut compiler = Compiler::new(&Protected::default(), now());
    let begun = cpu();
    compiler.add(&settings(), &file);
    let read = cpu();
    let blocklist = compiler.finish();
    println!(
        "compiled: {} ms, of these {} ms of sorting; SHA-256 {} ms",
        cpu() - begun,
        cpu() - read,
        begun - before
    );
    let text = file.into_inner().text;
    let rules = blocklist.rule_count() as u64;
    println!(
        "{} octets a rule",
        self::resident().saturating_sub(resident) / rules
    );

    let (removed, added): (Vec<_>, Vec<_>) = (0..200)
        .map(|n| {
            let row = rows[n * rows.len() / 200].trim_end();
            (
                row.as_bytes().to_vec(),
                row.replace("2026-11-24T06", "2026-11-24T07").into_bytes(),
            )
        })
        .unzip();
    let file = ListFile {
        provenance: provenance(),
        text,
    };
    let begun = cpu();
    let changed = blocklist
        .apply(
            &settings(),
            &Border::local(&settings()),
            &file,
            &removed,
            &added,
        )
        .unwrap();
    println!("a delta of 400 changes: {} ms", cpu() - begun);
    let withdrawn = (0..1000_usize).map(|n| Withdrawal {
        what: if n.is_multiple_of(2) {
            Withdrawn::Id(EntryId::new(&format!("EX-{:07}", n * 997)))
        } else {
            Withdrawn::Value(format!("d{n}.{:x}.listed.test", n * 7919 % 40_000))
        },
        reason: WithdrawalReason::Error,
        until: "2026-11-25T06:00:00Z".parse().unwrap(),
    });
    let levers = Levers {
        now: now(),
        withdrawn: [("bench".to_owned(), withdrawn.collect())].into(),
        allowed: vec![(Name::from_text("shop.test").unwrap(), Timestamp::MAX)],
    };
    let begun = cpu();
    let adjusted = changed.with(&levers);
    println!(
        "1000 withdrawals: {} ms ({} entries)",
        cpu() - begun,
        adjusted.lists()[0].withdrawn
    );
    decide(&adjusted, &rows);
}

/// Asks for names, a tenth of them listed, and for URLs on shared hosts.
fn decide(blocklist: &cordon::compile::Blocklist, rows: &[String]) {
    let names: Vec<Name> = (0..200_000_usize)
        .map(|n| {
            let n = n * 7_368_787 % rows.len();
            let top = if n.is_multiple_of(10) {
                "listed"
            } else {
                "other"
            };
            Name::from_text(&format!("www.d{n}.{:x}.{top}.test", n * 7919 % 40_000)).unwrap()
        })
        .collect();
    let urls: Vec<CanonicalUrl> = (0..200_000_usize)
        .map(|n| {
            let n = n * 7_368_787 % rows.len();
            CanonicalUrl::parse(&format!(
                "http://s{}.shared.example/u{n}/page.html",
                n % 50_000
            ))
            .unwrap()
        })
        .collect();
    let begun = nanoseconds();
    let blocked = names
        .iter()
        .filter(|name| !black_box(blocklist.decide_name(name, None)).passes())
        .count();
    let named = nanoseconds();
    let found = urls
        .iter()
        .filter(|url| !black_box(blocklist.decide_url(url, None)).passes())
        .count();
    println!(
        "a name: {} ns ({blocked} of {} blocked); a URL: {} ns ({found} blocked)",
        (named - begun) / 200_000,
        names.len(),
        (nanoseconds() - named) / 200_000
    );
}

/// Native entries, six in ten of them names, in their order.
fn rows(count: usize) -> Vec<String> {
    let mut rows: Vec<(String, String, String)> = (0..count)
        .map(|n| {
            let id = format!("EX-{n:07}");
            if n % 10 < 6 {
                let value = format!("d{n}.{:x}.listed.test", n * 7919 % 40_000);
                ("domain\",\"match\":\"subtree".to_owned(), value, id)
            } else {
                let value = format!("http://s{}.shared.example/u{n}/page.html", n % 50_000);
                ("url\",\"match\":\"exact".to_owned(), value, id)
            }
        })
        .collect();
    rows.sort();
    rows.into_iter().map(|(kind, value, id)| {
        format!("{{\"added_at\":\"2026-11-24T06:00:00Z\",\"id\":\"{id}\",\"kind\":\"{kind}\",\"value\":\"{value}\"}}\n")
    }).collect()
}

fn settings() -> Settings {
    Settings {
        ede: Ede::Censored,
        ..Settings::new(
            "bench",
            From::Repository {
                repository: "bench".to_owned(),
                list: "bench".to_owned(),
            },
        )
    }
}

fn provenance() -> Provenance {
    Provenance {
        list: "bench".to_owned(),
        title: "bench".to_owned(),
        issuer: None,
        origin: Origin::Unsigned {
            path: "bench".to_owned(),
            digest: String::new(),
        },
    }
}

fn now() -> Timestamp {
    "2026-11-24T08:00:00Z".parse().unwrap()
}

/// CPU that this thread has used, in milliseconds.
fn cpu() -> u64 {
    nanoseconds() / 1_000_000
}

fn nanoseconds() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Resident memory, in octets.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024
}

const HEADER: &str = "{\"defaults\":{\"category\":\"csam\",\"legal\":{\"authority\":\"Example Police\",\"basis\":\"Example Act, art. 1\"}},\"format\":1,\"list\":\"bench\"}\n";
