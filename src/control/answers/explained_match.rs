//! [`Match`]: an entry that matches what is explained, and what became of it.

use std::fmt::Write;

use serde::Serialize;

use crate::compile::{Blocklist, Explained, Fate, RuleView};
use crate::control::answers::explain::View;
use crate::policy::{Action, Name, RuleId};

/// One entry that matches.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Match {
    pub(super) list: String,
    pub(super) entry: String,
    serial: Option<u64>,
    /// Its row in the list's text; nothing where the text has changed since.
    pub(super) line: Option<u32>,
    kind: &'static str,
    r#match: &'static str,
    pub(super) value: String,
    action: &'static str,
    category: &'static str,
    basis: String,
    authority: String,
    order_ref: Option<String>,
    expires_at: Option<String>,
    /// What became of it, surface by surface; those where it does not match are left out.
    outcomes: Vec<Outcome>,
}

/// What became of an entry on one surface.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    surface: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    outcome: String,
}

impl Match {
    /// The entry for people.
    pub(super) fn write(&self, text: &mut String) {
        let serial = self.serial.map_or_else(
            || "unsigned".to_owned(),
            |serial| format!("serial {serial}"),
        );
        let line = self
            .line
            .map_or_else(String::new, |line| format!(", line {line}"));
        let _ = write!(
            text,
            "\n{} · {} ({serial}{line})\n  {} {} {}\n  {}, {} ({})",
            self.list,
            self.entry,
            self.kind,
            self.r#match,
            self.value,
            self.authority,
            self.basis,
            self.category
        );
        if let Some(order) = &self.order_ref {
            let _ = write!(text, ", order {order}");
        }
        if let Some(end) = &self.expires_at {
            let _ = write!(text, ", until {end}");
        }
        text.push('\n');
        let mut left = self.outcomes.as_slice();
        while let Some(first) = left.first() {
            let same = left
                .iter()
                .take_while(|other| (other.role, &other.outcome) == (first.role, &first.outcome));
            let surfaces: Vec<&str> = same.map(|of| of.surface).collect();
            let role = first
                .role
                .map_or_else(String::new, |role| format!(" as {role}"));
            let _ = writeln!(text, "  {}{role}: {}", surfaces.join(", "), first.outcome);
            left = left.get(surfaces.len()..).unwrap_or_default();
        }
    }

    fn new(rule: &RuleView<'_>, outcomes: Vec<Outcome>) -> Self {
        Self {
            list: rule.list.settings.name.clone(),
            entry: rule.entry_id.to_owned(),
            serial: rule.list.provenance.seq(),
            line: None,
            kind: rule.kind.as_str(),
            r#match: rule.match_word,
            value: rule.value.to_owned(),
            action: rule.action.as_str(),
            category: rule.record.category.as_str(),
            basis: rule.record.basis.clone(),
            authority: rule.record.authority.clone(),
            order_ref: rule.record.order_ref.clone(),
            expires_at: rule.expires_at.map(|end| end.to_string()),
            outcomes,
        }
    }
}

/// Every entry that matches on a surface, in the order in which they are weighed.
pub(super) fn matches(blocklist: &Blocklist, name: Option<&Name>, views: &[View]) -> Vec<Match> {
    let mut rules: Vec<RuleId> = Vec::new();
    for (_, _, explained) in views {
        // Behind the one before it here, so that the order of each surface is kept.
        let mut at = 0;
        for placed in &explained.placed {
            match rules.iter().position(|known| *known == placed.rule) {
                Some(known) => at = known + 1,
                None => {
                    rules.insert(at.min(rules.len()), placed.rule);
                    at += 1;
                }
            }
        }
    }
    let of_rule = |id: &RuleId| {
        let rule = blocklist.rule(*id)?;
        let outcomes = views.iter().filter_map(|(surface, role, explained)| {
            let placed = explained.placed.iter().find(|of| of.rule == *id)?;
            Some(Outcome {
                surface,
                role: *role,
                outcome: outcome(blocklist, name, &rule, *id, placed.fate, explained),
            })
        });
        Some(Match::new(&rule, outcomes.collect()))
    };
    rules.iter().filter_map(of_rule).collect()
}

/// What became of a rule, as a sentence.
fn outcome(
    blocklist: &Blocklist,
    name: Option<&Name>,
    rule: &RuleView<'_>,
    id: RuleId,
    fate: Fate,
    explained: &Explained,
) -> String {
    let list = &rule.list.settings.name;
    let why = match fate {
        Fate::Decides if explained.must_know => {
            return "decides, unless what is really there is weighed before it".to_owned();
        }
        Fate::Decides => return "decides".to_owned(),
        Fate::Spares if explained.decision.act == Some((id, Action::PassThru)) => {
            return "decides: nothing else blocks".to_owned();
        }
        Fate::Spares => {
            return "spares what was asked from its own list, and from no other".to_owned();
        }
        Fate::Watches => return "watches: counted, and the next best match is taken".to_owned(),
        Fate::Inactive => {
            return format!(
                "inactive: no name servers are looked up for list {list}; `ns_lookup: true` does"
            );
        }
        Fate::Outranked => name
            .and_then(|name| outranked(blocklist, name))
            .unwrap_or("it passes whatever the lists say")
            .to_owned(),
        Fate::NotForClient => {
            format!("list {list} is not for that client; `clients` in the configuration says whom")
        }
        Fate::NeedsRecursion => format!("list {list} is for queries that ask for recursion alone"),
        Fate::NeverBlock => {
            let open = name.and_then(|name| blocklist.never_blocks(rule.list_index, name));
            let open = open.map_or_else(|| "it".to_owned(), Name::to_string);
            format!(
                "{open} is on the never-block list of the repository, so this list lets it pass"
            )
        }
        Fate::Signed => format!("list {list} rewrites no signed answers for this client"),
        Fate::PassedOver(by) => match blocklist.rule(by) {
            Some(by) if by.action == Action::PassThru => {
                format!("exception {} spares the name from this list", by.entry_id)
            }
            _ => "this list only watches, and its closest entry was counted".to_owned(),
        },
        Fate::Behind(criterion) => match criterion.number() {
            Some(number) => format!("{} ({number})", criterion.words()),
            None => criterion.words().to_owned(),
        },
        Fate::Unweighed => "it was not weighed".to_owned(),
    };
    format!("lost: {why}")
}

/// What lets a name pass whatever the lists say; nothing where they are asked.
fn outranked(blocklist: &Blocklist, name: &Name) -> Option<&'static str> {
    if blocklist.allowed(name).is_some() {
        Some("the name is let through by `cordon allow`")
    } else if blocklist.is_protected(name) {
        Some("the name is protected, or this node's own")
    } else {
        None
    }
}
