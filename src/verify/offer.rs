//! [`Offer`]: what the role of a list offers, its newest version and the ways to it.

use std::collections::BTreeMap;

use sigstore_tuf::Targets;

use super::list_target::{FULL, ListTarget, STEP, SignedState};
use super::{ListVersion, VerifyError};

/// The files that the role of a list names, read and held against each other.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    full: ListTarget,
    /// The steps of the newest generation, by the serial they lead from.
    steps: BTreeMap<u64, ListTarget>,
    /// The newest version.
    pub(super) newest: SignedState,
}

/// A way to the newest version: what it begins at, and the steps from there, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// The complete state to fetch; nothing where the way begins at the stored version.
    pub(super) full: Option<ListTarget>,
    /// The steps.
    pub(super) steps: Vec<ListTarget>,
}

impl Offer {
    /// Reads what the role of `list` names.
    ///
    /// # Errors
    /// [`VerifyError::NotPublished`] without a complete state; any other where a target of
    /// the list is not to be read, or two of them speak differently of one version.
    pub(super) fn read(list: &str, role: &Targets) -> Result<Self, VerifyError> {
        let full = role.target(&format!("{list}/{FULL}"));
        let full = full.ok_or_else(|| VerifyError::NotPublished {
            list: list.to_owned(),
        })?;
        let full = ListTarget::read(list, FULL, full)?;
        let mut newest = full.state.clone();
        let mut steps = BTreeMap::new();
        let prefix = format!("{list}/");
        for (path, target) in &role.targets {
            let name = path.strip_prefix(&prefix).unwrap_or_default();
            if !name.starts_with(STEP) {
                continue;
            }
            let step = ListTarget::read(list, name, target)?;
            let (offered, known) = (&step.state.version, &newest.version);
            if offered.rank() == known.rank() && offered != known {
                return Err(VerifyError::Malformed {
                    file: step.path,
                    reason: "leads to another state than the role says elsewhere".to_owned(),
                });
            }
            if offered.rank() > known.rank() {
                newest = step.state.clone();
            }
            let from = step.step.as_ref().map_or(0, |step| step.from);
            steps.insert((offered.generation, from), step);
        }
        let generation = newest.version.generation;
        let steps = steps
            .into_iter()
            .filter(|((of, _), _)| *of == generation)
            .map(|((_, from), step)| (from, step))
            .collect();
        Ok(Self {
            full,
            steps,
            newest,
        })
    }

    /// The cheapest way for a node that has `stored` (trust.md section 7.6): the steps from
    /// there where they are few and together shorter than half of the other way, which is
    /// the complete state and the steps from that.
    ///
    /// # Errors
    /// [`VerifyError::Malformed`] where no way leads to the newest version: a fault of the
    /// publisher's.
    pub(super) fn way(&self, stored: Option<&ListVersion>) -> Result<Way, VerifyError> {
        let by_full = self.way_by_full();
        let steps = stored.and_then(|stored| self.steps_from(stored));
        let whole = by_full.as_ref().map_or(u64::MAX, Way::octets);
        match steps.map(|steps| Way { full: None, steps }) {
            Some(way) if way.octets().saturating_mul(2) < whole => Ok(way),
            _ => by_full,
        }
    }

    /// The way by the complete state.
    ///
    /// # Errors
    /// As of [`Self::way`].
    pub(super) fn way_by_full(&self) -> Result<Way, VerifyError> {
        let version = &self.full.state.version;
        let steps = self.steps_from(version);
        let steps = steps.ok_or_else(|| VerifyError::Malformed {
            file: self.full.path.clone(),
            reason: format!(
                "is serial {}, from which no whole chain of steps leads to serial {}",
                version.seq, self.newest.version.seq
            ),
        })?;
        Ok(Way {
            full: Some(self.full.clone()),
            steps,
        })
    }

    /// The most octets that the steps of one way may have together, unpacked: they are all in
    /// memory before the first is applied.
    pub(super) fn steps_octets_max(&self) -> u64 {
        let full = self.full.state.steps_octets_max();
        full.max(self.newest.steps_octets_max())
    }

    /// The steps that lead from a version to the newest; nothing where they do not.
    fn steps_from(&self, version: &ListVersion) -> Option<Vec<ListTarget>> {
        let newest = &self.newest.version;
        let mut at = version;
        let mut steps = Vec::new();
        while at.rank() < newest.rank() {
            let step = self.steps.get(&at.seq)?;
            let from_state = step.step.as_ref().map(|step| step.from_state.as_str());
            if step.state.version.generation != at.generation
                || from_state != Some(at.state.as_str())
                || steps.len() >= STEPS_MAX
            {
                return None;
            }
            steps.push(step.clone());
            at = &step.state.version;
        }
        (at == newest).then_some(steps)
    }
}

impl Way {
    /// Octets of all the files on it.
    fn octets(&self) -> u64 {
        let files = self.full.iter().chain(&self.steps);
        files.fold(0, |sum, file| sum.saturating_add(file.length))
    }
}

/// The most steps that are taken at once; the newest so many are kept (trust.md section 7.6).
const STEPS_MAX: usize = 72;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A state's digest, made up of its serial.
    fn state(seq: u64) -> String {
        format!("{seq:064x}")
    }

    fn target(length: u64, generation: u64, seq: u64, step: bool) -> Value {
        let mut target = json!({
            "length": length, "hashes": {"sha256": state(seq)},
            "custom": {
                "format": 1, "list": "a", "generation": generation, "seq": seq, "state": state(seq),
                "entries": 1, "size": 10, "comp": "zstd",
            },
        });
        if step {
            let custom = &mut target["custom"];
            custom["from"] = json!(seq - 1);
            custom["from_state"] = json!(state(seq - 1));
            custom["add"] = json!(1);
            custom["del"] = json!(0);
        }
        target
    }

    /// The role of a list with a complete state and steps to these serials.
    fn role(full: u64, steps: impl Iterator<Item = u64>) -> Value {
        let mut targets =
            json!({"a/full": target(1000, 1, full, false), "a/other": {"length": 1, "hashes": {}}});
        for seq in steps {
            targets[format!("a/delta-{}-{seq}", seq - 1)] = target(10, 1, seq, true);
        }
        json!({"_type": "targets", "spec_version": "1.0.0", "version": 1,
            "expires": "2030-01-01T00:00:00Z", "targets": targets})
    }

    /// From where the way leads, and by how many steps.
    fn check(role: Value, stored: u64, expected: Result<(Option<u64>, usize), &str>) {
        let role: Targets = serde_json::from_value(role).unwrap();
        let stored = ListVersion {
            generation: 1,
            seq: stored,
            state: state(stored),
        };
        let way = Offer::read("a", &role).and_then(|offer| offer.way(Some(&stored)));
        match (way, expected) {
            (Ok(way), Ok(expected)) => {
                let full = way.full.map(|full| full.state.version.seq);
                assert_eq!((full, way.steps.len()), expected);
            }
            (Err(error), Err(outcome)) => assert_eq!(error.outcome(), outcome, "{error}"),
            (way, _) => panic!("{way:?} where {expected:?} was expected"),
        }
    }

    #[test]
    fn the_way_is_chosen_by_its_cost() {
        check(role(5, 3..=9), 8, Ok((None, 1)));
        check(role(5, 3..=9), 2, Ok((None, 7)));
        check(role(9, 3..=9), 2, Ok((None, 7)));
        check(role(5, 3..=9), 1, Ok((Some(5), 4)));
        check(role(9, 3..=8), 3, Ok((Some(9), 0)));
        // 72 steps of 10 octets are more than half of the other way.
        check(role(75, 4..=75), 3, Ok((Some(75), 0)));
        check(role(75, 4..=75), 30, Ok((None, 45)));
    }

    #[test]
    fn steps_are_taken_only_where_they_fit() {
        let mut gap = role(9, 3..=9);
        gap["targets"]
            .as_object_mut()
            .unwrap()
            .remove("a/delta-5-6");
        check(gap, 3, Ok((Some(9), 0)));
        let mut foreign = role(9, 3..=9);
        foreign["targets"]["a/delta-5-6"]["custom"]["from_state"] = json!(state(4));
        check(foreign, 3, Ok((Some(9), 0)));
        let mut long: Value = role(200, 100..=200);
        long["targets"]["a/full"]["length"] = json!(1_000_000);
        check(long.clone(), 127, Ok((Some(200), 0)));
        check(long, 128, Ok((None, 72)));
    }

    #[test]
    fn a_role_that_leads_nowhere_is_the_publishers_fault() {
        check(role(3, 5..=9), 8, Ok((None, 1)));
        check(role(3, 5..=9), 2, Err("malformed"));
        let mut older = role(5, 6..=7);
        older["targets"]["a/delta-6-7"] = target(10, 2, 7, true);
        check(older, 5, Err("malformed"));
        let mut differs = role(7, 6..=7);
        differs["targets"]["a/delta-6-7"]["custom"]["state"] = json!(state(8));
        check(differs, 6, Err("malformed"));
        let mut renamed = role(5, 6..=7);
        let step = renamed["targets"]["a/delta-6-7"].clone();
        renamed["targets"]["a/delta-7-8"] = step;
        check(renamed, 6, Err("malformed"));
        let mut only_steps = role(5, 6..=7);
        only_steps["targets"]
            .as_object_mut()
            .unwrap()
            .remove("a/full");
        check(only_steps, 6, Err("not_published"));
    }
}
