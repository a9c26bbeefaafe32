//! [`Difference`]: what a version of a list changes, so that a person can decide on it.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::Change;

/// What a version changes upon the one before: counts, and some examples.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Difference {
    /// The counts that the guards judge.
    pub change: Change,
    /// What came and went by kind and category, in their order.
    pub tallies: Vec<Tally>,
    /// Some entries that came, at most [`Difference::EXAMPLES_MAX`].
    pub added: Vec<Example>,
    /// Some entries that went, at most as many.
    pub removed: Vec<Example>,
    /// Some new rows that may never be blocked, at most as many.
    #[serde(default)]
    pub refused: Vec<Example>,
}

/// What came and went of one kind and category.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tally {
    /// The kind of the entries.
    pub kind: String,
    /// Their category.
    pub category: String,
    /// How many came.
    pub added: u64,
    /// How many went.
    pub removed: u64,
}

/// One entry. Its value is for who runs the node, on a terminal of his own; whatever
/// regulators see shows ids alone.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Example {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// What it matches.
    pub value: String,
}

impl Difference {
    /// How many entries of each sort are kept as examples.
    pub const EXAMPLES_MAX: usize = 20;

    /// That of a first version, by what compiling it found: its entries, and the rows that
    /// were left out because what they would block may never be blocked.
    #[must_use]
    pub fn of_first(entries: u64, refused: u64) -> Self {
        Self {
            change: Change {
                added: entries,
                refused,
                ..Change::default()
            },
            ..Self::default()
        }
    }

    /// The difference for people, a fact a line; with `values` of entries only where the
    /// node's own operator reads it.
    #[must_use]
    pub fn to_text(&self, values: bool) -> String {
        let Change {
            before,
            added,
            removed,
            withdrawn,
            refused,
        } = self.change;
        let mut text = format!(
            "{before} entries before, {} after: {added} added, {removed} removed",
            self.change.entries()
        );
        if withdrawn > 0 {
            let _ = write!(text, " ({withdrawn} of them withdrawn before)");
        }
        text.push('\n');
        if refused > 0 {
            let _ = writeln!(
                text,
                "{refused} new rows are left out, for what they would block may never be blocked"
            );
        }
        for tally in &self.tallies {
            let _ = writeln!(
                text,
                "  {} {}: +{} -{}",
                tally.kind, tally.category, tally.added, tally.removed
            );
        }
        for (word, count, examples) in [
            ("added", added, &self.added),
            ("removed", removed, &self.removed),
            ("left out", refused, &self.refused),
        ] {
            for example in examples {
                let _ = match values {
                    true => writeln!(
                        text,
                        "  {word} {} {} {}",
                        example.id, example.kind, example.value
                    ),
                    false => writeln!(text, "  {word} {}", example.id),
                };
            }
            let more = count.saturating_sub(examples.len() as u64);
            if more > 0 && !examples.is_empty() {
                let _ = writeln!(text, "  {word} {more} more");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_on_demand_alone() {
        let difference = Difference {
            change: Change {
                before: 10,
                added: 3,
                removed: 1,
                withdrawn: 1,
                refused: 0,
            },
            tallies: vec![Tally {
                kind: "domain".into(),
                category: "csam".into(),
                added: 3,
                removed: 1,
            }],
            added: vec![Example {
                id: "EX-1".into(),
                kind: "domain".into(),
                value: "secret.test".into(),
            }],
            ..Difference::default()
        };
        assert_eq!(
            difference.to_text(false),
            "10 entries before, 12 after: 3 added, 1 removed (1 of them withdrawn before)\n  \
             domain csam: +3 -1\n  added EX-1\n  added 2 more\n"
        );
        assert!(
            difference
                .to_text(true)
                .contains("added EX-1 domain secret.test")
        );
    }
}
