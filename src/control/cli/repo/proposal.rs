//! What is staged, in words for those who are to sign it, and for programs.

use std::path::Path;

use serde_json::{Value, json};

use super::command::Place;
use super::outcome::exit;
use super::words::grouped;
use crate::control::ExitError;
use crate::control::clock;
use crate::publish::{Keyring, ListDifference, Proposal, Quorum, Repository, RoleProposal};

/// What is staged and what comes next, after a command that staged something.
pub(super) fn staged_next(place: &Place, keys: &Keyring) -> Result<String, ExitError> {
    let repo = place.repo.display();
    let proposal = Repository::open_staged(&place.repo)
        .and_then(|repository| repository.proposal(keys, clock::timestamp()))
        .map_err(exit)?;
    let next = match is_complete(&proposal) {
        true => format!("Next: cordon repo publish {repo} --keys ONLINE --staged"),
        false => format!(
            "Next: each keeper runs `cordon repo sign {repo} --keys MYKEYS`, on a copy if need be; \
             then cordon repo publish {repo} --keys ONLINE --staged"
        ),
    };
    Ok(format!(
        "{}\nIts digest is {}.\n{next}",
        standing(&proposal, keys),
        proposal.digest
    ))
}

/// Everything that is staged, for a person.
pub(super) fn proposal_text(repo: &Path, proposal: &Proposal, keys: &Keyring, all: bool) -> String {
    let mut lines = vec![format!("Staged in {}:", repo.display())];
    for role in &proposal.roles {
        lines.push(String::new());
        lines.push(format!(
            "{}, version {}, expires {}",
            role.role, role.version, role.expires
        ));
        lines.extend(role.changes.iter().map(|change| format!("  {change}")));
        if role.changes.is_empty() && role.list.is_none() {
            lines.push(match role.version {
                1 => "  is new, and empty".to_owned(),
                _ => "  says what it said before, for longer".to_owned(),
            });
        }
        if let Some(list) = &role.list {
            say_list(list, all, &mut lines);
        }
        say_some("", "  ! ", &role.verdicts, all, &mut lines);
        if role.list.is_some() && role.verdicts.is_empty() {
            lines.push("  nodes take every line of it".to_owned());
        }
    }
    lines.push(String::new());
    lines.extend(
        proposal
            .warnings
            .iter()
            .map(|text| format!("warning: {text}")),
    );
    lines.push(standing(proposal, keys));
    lines.push(format!("Digest: {}", proposal.digest));
    lines.join("\n")
}

/// Who has signed, and who has yet to, for a person.
pub(super) fn standing(proposal: &Proposal, keys: &Keyring) -> String {
    let mut lines = Vec::new();
    for role in &proposal.roles {
        for quorum in &role.quorums {
            lines.push(quorum_text(role, quorum, keys));
        }
    }
    lines.push(match is_complete(proposal) {
        true => "Every signature is there.".to_owned(),
        false => "It is published when every threshold is reached.".to_owned(),
    });
    lines.join("\n")
}

/// The same for programs.
pub(super) fn proposal_json(proposal: &Proposal, keys: &Keyring) -> Value {
    let roles: Vec<Value> = proposal
        .roles
        .iter()
        .map(|role| {
            let list = role.list.as_ref().map(|list| {
                json!({
                    "entries_before": list.entries_before, "entries": list.entries,
                    "header": list.header, "added": list.added,
                    "removed": list.removed, "changed": list.changed,
                })
            });
            let quorums: Vec<Value> = role
                .quorums
                .iter()
                .map(|quorum| {
                    let named = |ids: &[String]| -> Vec<Value> {
                        let named = |id: &String| json!({"id": id, "name": keys.label(id)});
                        ids.iter().map(named).collect()
                    };
                    json!({
                        "threshold": quorum.threshold, "outgoing": quorum.is_outgoing,
                        "signed": named(&quorum.signed), "missing": named(&quorum.missing),
                        "reached": quorum.is_reached(),
                    })
                })
                .collect();
            json!({
                "role": role.role, "version": role.version, "expires": role.expires,
                "changes": role.changes, "list": list, "verdicts": role.verdicts,
                "signatures": quorums,
            })
        })
        .collect();
    json!({
        "digest": proposal.digest, "roles": roles, "warnings": proposal.warnings,
        "complete": is_complete(proposal),
    })
}

/// Whether every threshold is reached.
fn is_complete(proposal: &Proposal) -> bool {
    let mut quorums = proposal.roles.iter().flat_map(|role| &role.quorums);
    quorums.all(Quorum::is_reached)
}

/// How the signatures of a role stand.
fn quorum_text(role: &RoleProposal, quorum: &Quorum, keys: &Keyring) -> String {
    let labels = |ids: &[String]| -> String {
        let labels: Vec<String> = ids.iter().map(|id| keys.label(id)).collect();
        labels.join(", ")
    };
    let of = match quorum.is_outgoing {
        true => " of its old keys",
        false => "",
    };
    let mut text = format!(
        "{}: signed by {} of the {}{of} that must",
        role.role,
        quorum.signed.len(),
        quorum.threshold
    );
    if !quorum.signed.is_empty() {
        text.push_str(&format!(": {}", labels(&quorum.signed)));
    }
    if !quorum.is_reached() {
        text.push_str(&format!("; still to come: {}", labels(&quorum.missing)));
    }
    text
}

/// What changes in a list.
fn say_list(list: &ListDifference, all: bool, lines: &mut Vec<String>) {
    lines.push(format!(
        "  {} entries, {} before: {} added, {} removed, {} changed",
        grouped(list.entries),
        grouped(list.entries_before),
        grouped(list.added.len() as u64),
        grouped(list.removed.len() as u64),
        grouped(list.changed.len() as u64),
    ));
    say_some("", "  header: ", &list.header, true, lines);
    say_some("added", "  + ", &list.added, all, lines);
    say_some("removed", "  - ", &list.removed, all, lines);
    say_some("changed", "  ~ ", &list.changed, all, lines);
}

/// The first of some lines, or all of them.
fn say_some(what: &str, mark: &str, texts: &[String], all: bool, lines: &mut Vec<String>) {
    let shown = if all { texts.len() } else { LINES_SHOWN_MAX };
    lines.extend(texts.iter().take(shown).map(|text| format!("{mark}{text}")));
    let more = texts.len().saturating_sub(shown);
    if more > 0 {
        lines.push(format!(
            "{mark}and {} more {what}; --all shows them",
            grouped(more as u64)
        ));
    }
}

/// How many lines of a kind are shown without `--all`.
const LINES_SHOWN_MAX: usize = 20;
