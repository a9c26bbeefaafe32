//! Other resolvers beside ours on loopback: the same policy zones, data and questions.

mod agreement;
mod asking;
mod bind;
mod case;
mod deviations;
mod node;
mod peer;
mod policy;
mod question;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::network;
use bind::Bind;
use case::{Case, Outcome};
use deviations::{DEVIATIONS, How};
use node::Node;
use world::Upstream;

#[test]
fn bind_says_the_same() {
    if !network::is_own("differential::bind_says_the_same") {
        return;
    }
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number(SEED).unwrap_or(1);
    let count = number(CASES).unwrap_or(CASES_USUAL);
    let mut all = Outcome::default();
    for first in (0..count).step_by(BATCH) {
        let last = (first + BATCH as u64).min(count);
        let cases: Vec<Case> = (first..last)
            .zip(1..)
            .map(|(case, place)| Case::new(seed.wrapping_add(case), place))
            .collect();
        let outcome = run(&cases);
        all.differences.extend(outcome.differences);
        all.excused.extend(outcome.excused);
        all.said.extend(outcome.said);
        assert!(
            all.differences.is_empty(),
            "of the cases {first} to {last} with {SEED}={seed}, {} answers differ",
            all.differences.len()
        );
    }
    let tally = |words: &[&'static str]| {
        let mut counts = BTreeMap::new();
        for word in words {
            *counts.entry(*word).or_insert(0_usize) += 1;
        }
        counts
    };
    let (said, excused) = (tally(&all.said), tally(&all.excused));
    println!("the same: {said:?}; known deviations: {excused:?}");
    for word in [
        "nothing",
        "truncated",
        "rewritten to NODATA",
        "rewritten to an rcode",
        "rewritten to records",
        "as many records as are there",
    ] {
        let times = said.get(word).copied().unwrap_or_default();
        assert!(times as u64 > count / 4, "{word}: {times}");
    }
    if count < CASES_USUAL {
        return;
    }
    for deviation in DEVIATIONS {
        let is_used = excused.contains_key(deviation.rule);
        let is_kept_out = matches!(deviation.how, How::KeptOut);
        assert_ne!(
            is_used, is_kept_out,
            "{}, {}: it was never seen; it may be gone",
            deviation.rule, deviation.what
        );
    }
}

/// Asks both servers all cases; the first differences are made small and printed.
fn run(cases: &[Case]) -> Outcome {
    let upstream = Upstream::start(cases.iter().map(|case| case.world.clone()));
    let policies = cases.iter().map(|case| (case.number, &case.policy));
    let bind = Bind::start(policies, upstream.address);
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Outcome::default());
    std::thread::scope(|scope| {
        for _ in 0..ASKERS {
            scope.spawn(|| {
                let node = Node::start(upstream.address);
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = case.run(&node, bind.address);
                    let mut all = all.lock().unwrap();
                    all.differences.extend(outcome.differences);
                    all.excused.extend(outcome.excused);
                    all.said.extend(outcome.said);
                }
            });
        }
    });
    let mut all = all.into_inner().unwrap();
    let mut seen = Vec::new();
    let differences = std::mem::take(&mut all.differences);
    for difference in &differences {
        println!(
            "--- a difference, case {}:\n{difference}",
            difference.number()
        );
    }
    for difference in differences {
        let number = difference.number();
        if seen.len() < SHOWN && !seen.contains(&number) {
            seen.push(number);
            let difference = difference.shrunk(number, upstream.address);
            println!("--- made small, case {number} of the batch:\n{difference}");
            all.differences.push(difference);
        } else {
            all.differences.push(difference);
        }
    }
    all
}

const SEED: &str = "CORDON_DIFFERENTIAL_SEED";
const CASES: &str = "CORDON_DIFFERENTIAL_CASES";
/// How many policies a run has when nothing else is said; each is asked a hundred questions.
const CASES_USUAL: u64 = 200;
/// How many policies one BIND has at a time.
const BATCH: usize = 200;
/// How many policies are asked about at once.
const ASKERS: usize = 12;
/// How many differences are made small.
const SHOWN: usize = 6;
