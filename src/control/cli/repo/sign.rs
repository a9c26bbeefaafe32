//! `cordon repo sign` and `publish --staged`: keepers look at what is staged, sign it, and it
//! is published; or it is thrown away.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::Path;

use serde_json::json;

use super::at_hand::keys;
use super::command::{Output, Place};
use super::outcome::{exit, say, say_json, warn};
use super::proposal::{proposal_json, proposal_text, standing};
use crate::control::ExitError;
use crate::control::clock;
use crate::publish::{Keyring, Proposal, Repository};

/// Shows what is staged, asks, and signs it. The repository is not locked while somebody
/// reads; what was signed is what was shown, or nothing.
pub(super) fn sign(
    place: &Place,
    yes: Option<&str>,
    all: bool,
    output: &Output,
) -> Result<(), ExitError> {
    let keys = keys(place)?;
    let proposal = look(&place.repo, &keys)?;
    if output.json {
        if yes.is_none() {
            return say_json(&proposal_json(&proposal, &keys));
        }
    } else {
        say(&proposal_text(&place.repo, &proposal, &keys, all))?;
    }
    let shown = match yes {
        Some(digest) => digest.to_owned(),
        None => ask(&proposal)?,
    };
    let mut repository = Repository::open_staged(&place.repo).map_err(exit)?;
    let signed = repository.sign_staged(&keys, &shown).map_err(exit)?;
    drop(repository);
    let proposal = look(&place.repo, &keys)?;
    if output.json {
        let signed: Vec<_> = signed
            .iter()
            .map(|(role, key)| json!({"role": role, "key": key}))
            .collect();
        let mut value = proposal_json(&proposal, &keys);
        if let Some(value) = value.as_object_mut() {
            value.insert("signed".to_owned(), signed.into());
        }
        return say_json(&value);
    }
    let mut lines: Vec<String> = signed
        .iter()
        .map(|(role, key)| format!("Signed {role} with {}.", keys.label(key)))
        .collect();
    lines.push(standing(&proposal, &keys));
    lines.push(format!(
        "If this is a copy, send {} to whoever publishes: files of several keepers lie side by side.",
        place.repo.join("staged/signatures").display()
    ));
    say(&lines.join("\n"))
}

/// Publishes what is staged.
pub(super) fn publish_staged(place: &Place, output: &Output) -> Result<(), ExitError> {
    let keys = keys(place)?;
    let now = clock::timestamp();
    let mut repository = Repository::open_staged(&place.repo).map_err(exit)?;
    let proposal = repository.proposal(&keys, now).map_err(exit)?;
    for warning in &proposal.warnings {
        warn(warning);
    }
    for verdict in proposal.roles.iter().flat_map(|role| &role.verdicts) {
        warn(verdict);
    }
    let renewed = repository.publish_staged(&keys, now).map_err(exit)?;
    if output.json {
        let renewed: Vec<_> = renewed
            .iter()
            .map(
                |role| json!({"role": role.role, "version": role.version, "expires": role.expires}),
            )
            .collect();
        return say_json(&json!({"published": renewed, "digest": proposal.digest}));
    }
    let mut lines = vec!["Published what was staged:".to_owned()];
    for role in &renewed {
        lines.push(format!(
            "  {:<20} version {}, expires {}",
            role.role, role.version, role.expires
        ));
    }
    say(&lines.join("\n"))
}

/// Throws away what is staged.
pub(super) fn discard(repo: &Path, output: &Output) -> Result<(), ExitError> {
    let roles = Repository::discard_staged(repo).map_err(exit)?;
    if output.json {
        return say_json(&json!({"discarded": roles}));
    }
    say(&format!(
        "Threw away what was staged for {}. What is published is as it was.",
        roles.join(", ")
    ))
}

/// What is staged now.
fn look(repo: &Path, keys: &Keyring) -> Result<Proposal, ExitError> {
    Repository::open_staged(repo)
        .and_then(|repository| repository.proposal(keys, clock::timestamp()))
        .map_err(exit)
}

/// Asks a person; returns the digest that was agreed to.
fn ask(proposal: &Proposal) -> Result<String, ExitError> {
    if !std::io::stdin().is_terminal() {
        return Err(ExitError::failed(format!(
            "nothing is signed: there is no terminal to ask at; whoever has looked at this signs \
             it with --yes {}",
            proposal.digest
        )));
    }
    let mut answer = String::new();
    print!("Sign this? Type yes: ");
    std::io::stdout()
        .flush()
        .and_then(|()| {
            let mut line = std::io::stdin().lock().take(ANSWER_OCTETS_MAX);
            line.read_line(&mut answer)
        })
        .map_err(ExitError::system)?;
    match answer.trim() {
        "yes" => Ok(proposal.digest.clone()),
        _ => Err(ExitError::failed("nothing is signed")),
    }
}

/// A longer line is no answer.
const ANSWER_OCTETS_MAX: u64 = 64;
