//! [`TermEffect`]: what another policy, or other names never to block, do to a list that is
//! published: nodes hold it to them at once, and no guard asks anybody.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::difference::plain;
use super::offline::TERMS;
use super::roles::Role;
use super::sense::as_published;
use super::versions::Versions;
use super::{PublishError, Repository};
use crate::compile::parse::{self, Parsed};
use crate::compile::{Border, Guard, Protected, Reserved};
use crate::guard::{Change, Difference, Trip, Verdict};
use crate::policy::{Bounds, Entry};
use crate::verify::Text;

/// What other terms do to one list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TermEffect {
    /// The list.
    pub list: String,
    /// How many entries nodes enforce by the terms before.
    pub entries: u64,
    /// How many of these they leave out by the new ones.
    pub left_out: u64,
    /// The first three of them, each with the reason.
    pub examples: Vec<String>,
    /// The guards that trip by the new terms and did not by those before.
    pub trips: Vec<Trip>,
    /// What bounded it before and does no more, a sentence each.
    pub lifted: Vec<String>,
    /// Why nobody can say.
    pub unknown: Option<String>,
}

impl TermEffect {
    /// What happens to the list, a sentence each.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let list = &self.list;
        let mut sentences = Vec::new();
        if self.left_out > 0 {
            sentences.push(plain(&format!(
                "nodes leave out {} of the {} entries of list {list}, such as {}",
                self.left_out,
                self.entries,
                self.examples.join("; ")
            )));
        }
        let trips = self.trips.iter();
        sentences.extend(trips.map(|trip| format!("of list {list}, {}", trip.sentence)));
        sentences.extend(self.lifted.iter().cloned());
        let unknown = self.unknown.iter();
        sentences.extend(unknown.map(|error| format!("of list {list} nobody can say: {error}")));
        sentences
    }
}

impl Repository {
    /// What the terms as they are now do to each list, measured by those that `before` names;
    /// lists that stay as they are not among them.
    ///
    /// # Errors
    /// [`PublishError::Repository`] where the present terms cannot be read.
    pub(super) fn term_effects(
        &self,
        before: &Role,
        now: Timestamp,
    ) -> Result<Vec<TermEffect>, PublishError> {
        let mut effects = Vec::new();
        for (list, role) in &self.lists {
            let lifted = self.lifted(before, list)?;
            // Terms that cannot be read bounded nothing here.
            let before = self.border_by(before, list);
            let before =
                before.unwrap_or_else(|_| Border::draft(None, Guard::USUAL.limits, Arc::default()));
            let after = self.border_by(&self.targets, list)?;
            if before == after && lifted.is_empty() {
                continue;
            }
            let mut effect = match self.plaintext(role) {
                Ok(text) if text.is_empty() => TermEffect {
                    list: list.clone(),
                    ..TermEffect::default()
                },
                Ok(text) => effect(
                    &Versions::new(list, role),
                    list,
                    text,
                    [&before, &after],
                    now,
                ),
                Err(error) => TermEffect {
                    list: list.clone(),
                    unknown: Some(error.to_string()),
                    ..TermEffect::default()
                },
            };
            effect.lifted = lifted;
            if !effect.sentences().is_empty() {
                effects.push(effect);
            }
        }
        Ok(effects)
    }

    /// What the terms that `before` names bound a list to and the present ones do not at all.
    fn lifted(&self, before: &Role, list: &str) -> Result<Vec<String>, PublishError> {
        let mut lifted = Vec::new();
        // Terms that cannot be read bounded nothing here.
        let bounds = self.bounds_by(before, list).unwrap_or_default();
        if bounds != Bounds::default() && self.bounds(list)? == Bounds::default() {
            lifted.push(format!(
                "the policy bounds list {list} no more, and did before"
            ));
        }
        let names = self.never_blocked_by(before).unwrap_or_default();
        let kept = Reserved::new(self.never_blocked_by(&self.targets)?.into());
        if let Some(name) = names.first()
            && !names.iter().any(|name| kept.covers(name))
        {
            lifted.push(format!(
                "no name is kept from list {list} that was before, such as {name}"
            ));
        }
        Ok(lifted)
    }

    /// What staged terms do to each list, measured by those that are published.
    ///
    /// # Errors
    /// As [`Repository::term_effects`].
    pub(super) fn staged_term_effects(
        &self,
        now: Timestamp,
    ) -> Result<Vec<TermEffect>, PublishError> {
        match self.published.get("targets") {
            Some(before) => self.term_effects(before, now),
            None => Ok(Vec::new()),
        }
    }

    /// The targets role with those terms as they are published whose staged version says why
    /// it is published whatever it does, or with all others so, by `accepted`.
    pub(super) fn with_published_terms(&self, accepted: bool) -> Role {
        let mut role = self.targets.clone();
        let Some(before) = self.published.get("targets") else {
            return role;
        };
        let target = |role: &Role, path| role.signed.get("targets")?.get(path).cloned();
        for path in TERMS {
            let (was, is) = (target(before, path), target(&self.targets, path));
            let says_why = is.as_ref().and_then(|it| it.pointer("/custom/accepted"));
            if was == is || says_why.is_some() != accepted {
                continue;
            }
            role.edit("targets", |targets| match was {
                Some(was) => _ = targets.insert(path.to_owned(), was),
                None => _ = targets.remove(path),
            });
        }
        role
    }
}

/// What is signed beside terms that change lists: why, and the guards that trip.
pub(super) fn accepted(reason: &str, effects: &[TermEffect]) -> Value {
    let trips = effects.iter().flat_map(|effect| &effect.trips);
    let trips: BTreeMap<&str, ()> = trips.map(|trip| (trip.guard.as_str(), ())).collect();
    json!({"reason": reason, "trips": trips.into_keys().collect::<Vec<_>>()})
}

/// What borders do to the newest version of a list, whose plaintext is `text`.
fn effect(
    versions: &Versions<'_>,
    list: &str,
    text: Vec<u8>,
    [before, after]: [&Border; 2],
    now: Timestamp,
) -> TermEffect {
    let mut effect = TermEffect {
        list: list.to_owned(),
        ..TermEffect::default()
    };
    let mut added = 0;
    let protected = Protected::default();
    let mut take = |entry: &Entry| match (
        before.check(&protected, entry),
        after.check(&protected, entry),
    ) {
        (Ok(()), Ok(())) => effect.entries += 1,
        (Ok(()), Err(refusal)) => {
            effect.entries += 1;
            effect.left_out += 1;
            if effect.examples.len() < EXAMPLES_MAX {
                let value = entry.trigger.value();
                effect.examples.push(format!("{value}: {}", refusal.reason));
            }
        }
        (Err(_), Ok(())) => added += 1,
        (Err(_), Err(_)) => {}
    };
    parse::read(&as_published(list), &Text::plain(text), &mut |parsed| {
        if let Parsed::Entry(_, entry) = parsed
            && !entry.canary
        {
            take(&entry);
        }
    });
    let trips = |border: &Border, added, removed| {
        let change = Change {
            before: effect.entries,
            added,
            removed,
            ..Change::default()
        };
        let difference = Difference {
            change,
            ..Difference::default()
        };
        let day = versions.day(now).with(now, &change);
        Verdict::of(border, difference, &day).trips
    };
    let known = trips(before, 0, 0);
    let mut tripped = trips(after, added, effect.left_out);
    tripped.retain(|trip| !known.contains(trip));
    effect.trips = tripped;
    effect
}

/// How many of the entries that are left out are shown.
const EXAMPLES_MAX: usize = 3;
