//! [`Match`]: an entry that matches what is explained, and what became of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::compile::{Blocklist, Mode, RuleView};
use crate::policy::{Action, CanonicalUrl, Decision, Name};

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
    /// What became of it.
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
        let _ = write!(text, "\n  {}\n", self.outcome);
    }

    fn new(rule: &RuleView<'_>, outcome: String) -> Self {
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
            outcome,
        }
    }
}

/// Every entry that matches, in the order in which they are weighed.
pub(super) fn matches(
    blocklist: &Blocklist,
    name: Option<&Name>,
    url: Option<&CanonicalUrl>,
    decision: &Decision,
) -> Vec<Match> {
    let rules = blocklist.matches(name, url);
    let decider = decision.act.map(|(rule, _)| rule);
    let outranked = name.and_then(|name| outranked(blocklist, name));
    let mut behind = false;
    // What spares the name from a list: an exception of it, or that it only watches.
    let mut spared: BTreeMap<usize, String> = BTreeMap::new();
    let mut found = Vec::new();
    for id in rules {
        let Some(rule) = blocklist.rule(id) else {
            continue;
        };
        let outcome = if decider == Some(id) {
            behind = rule.action != Action::PassThru;
            "decides".to_owned()
        } else if decision.monitored.contains(&id) {
            "watches: counted, and the next best match is taken".to_owned()
        } else if let Some(open) =
            name.and_then(|name| blocklist.never_blocks(rule.list_index, name))
            && !rule.canary
        {
            format!(
                "lost: {open} is on the never-block list of the repository, so this list lets it pass"
            )
        } else if let Some(reason) = outranked {
            format!("lost: {reason}")
        } else if let Some(reason) = spared.get(&rule.list_index) {
            format!("lost: {reason}")
        } else if behind {
            "lost: an entry further up this list of matches decided".to_owned()
        } else {
            "lost: it only lets pass what nothing else blocks".to_owned()
        };
        let spares = match (rule.list.settings.mode, rule.action) {
            (_, Action::PassThru) => Some(format!(
                "exception {} spares the name from this list",
                rule.entry_id
            )),
            (Mode::Monitor, _) => {
                Some("this list only watches, and its closest entry was counted".to_owned())
            }
            _ => None,
        };
        if let Some(spares) = spares {
            spared.entry(rule.list_index).or_insert(spares);
        }
        found.push(Match::new(&rule, outcome));
    }
    found
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
