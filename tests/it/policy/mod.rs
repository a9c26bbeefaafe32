//! The decision is the one that a reader of the draft would make: generated policies, asked
//! beside a reference that collects all matches and sorts them.
//!
//! `CORDON_POLICY_SEED=17 cargo test --test it policy:: -- --nocapture` tells one case;
//! `CORDON_POLICY_CASES=1000000` runs more of them.

mod case;
mod reference;

use case::Case;

#[test]
fn the_decision_equals_a_linear_scan_by_the_draft() {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(
            text.parse()
                .unwrap_or_else(|_| panic!("{name} is a number")),
        )
    };
    let (seeds, is_told) = match number(SEED) {
        Some(seed) => (seed..seed + 1, true),
        None => (0..number(CASES).unwrap_or(CASES_USUAL), false),
    };
    let mut outcomes = std::collections::BTreeMap::<String, u64>::new();
    for seed in seeds {
        let case = Case::new(seed);
        if is_told {
            println!("{case}");
        }
        let expected = reference::decide(&case);
        let found = case.decide();
        assert_eq!(found, expected, "{SEED}={seed}\n{case}");
        *outcomes.entry(expected.kind()).or_default() += 1;
    }
    println!("{outcomes:?}");
    if is_told {
        return;
    }
    // A run that met no such case proves nothing about it.
    for kind in [
        "nothing",
        "client",
        "name",
        "address",
        "ns name",
        "ns address",
        "later stage",
        "watched",
        "spared",
    ] {
        assert!(
            outcomes.get(kind).is_some_and(|count| *count > 100),
            "{kind}: {outcomes:?}"
        );
    }
}

const SEED: &str = "CORDON_POLICY_SEED";
const CASES: &str = "CORDON_POLICY_CASES";
/// How many cases a run has when nothing else is said.
const CASES_USUAL: u64 = 100_000;
