//! Every numbered rule has its scenario, and every scenario its rule.

use std::collections::BTreeSet;

use super::scenarios;

/// The rules of `design/rpz.md` that this version keeps: a letter, and its numbers.
const RULES: [(char, std::ops::RangeInclusive<u32>); 6] = [
    ('p', 1..=11),
    ('t', 1..=20),
    ('a', 1..=15),
    ('o', 1..=11),
    ('s', 1..=12),
    ('r', 1..=10),
];

/// Those of updates: the others need the transfer of zones.
const UPDATES: [u32; 3] = [1, 4, 6];

/// The rules without a scenario, and why.
const DEFERRED: [(&str, &str); 4] = [
    ("s8", "stale answers come with the resolver"),
    ("s9", "DNS64 comes with the resolver"),
    ("s10", "validation comes with the resolver"),
    ("s11", "iteration comes with the resolver"),
];

#[test]
fn every_rule_has_a_scenario() {
    let number = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.split('_').next().unwrap().to_owned()
    };
    let told: BTreeSet<String> = scenarios("", "").into_iter().map(number).collect();
    let mut rules: BTreeSet<String> = RULES
        .into_iter()
        .flat_map(|(letter, numbers)| numbers.map(move |number| format!("{letter}{number}")))
        .collect();
    rules.extend(UPDATES.map(|number| format!("u{number}")));
    for (rule, reason) in DEFERRED {
        assert!(rules.remove(rule), "{rule} is no rule");
        assert!(!reason.is_empty());
    }
    let untold: Vec<&String> = rules.difference(&told).collect();
    assert!(untold.is_empty(), "no scenario: {untold:?}");
    // Overrides and services have no numbers.
    let unknown: Vec<&String> = told
        .difference(&rules)
        .filter(|name| !["v", "https"].contains(&name.as_str()))
        .filter(|name| !DEFERRED.iter().any(|(rule, _)| rule == name))
        .collect();
    assert!(unknown.is_empty(), "no such rule: {unknown:?}");
}
