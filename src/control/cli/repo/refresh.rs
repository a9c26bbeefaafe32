//! `cordon repo refresh`: renews what is due.

use std::io::IsTerminal;

use serde_json::json;

use super::at_hand::{keys, repository};
use super::command::{Output, Place, Stage};
use super::outcome::{exit, say, say_json};
use super::proposal::staged_next;
use super::withdraw::{lapsed_lines, running_json, running_lines};
use crate::control::ExitError;
use crate::control::clock;
use crate::publish::{Refreshed, Repository};

/// Renews every role that is due, and names those that somebody else must renew.
pub(super) fn refresh(place: &Place, stage: Stage, output: &Output) -> Result<(), ExitError> {
    let keys = keys(place)?;
    let mut repository = repository(place, Stage { stage: false })?;
    let Refreshed {
        renewed,
        left,
        unconfirmed,
    } = repository
        .refresh(&keys, clock::timestamp())
        .map_err(exit)?;
    drop(repository);
    let mut staged = Vec::new();
    if stage.stage && !left.is_empty() {
        staged = Repository::open_to_stage(&place.repo)
            .and_then(|mut repository| repository.stage_due(&keys, clock::timestamp()))
            .map_err(exit)?;
    }
    if output.json {
        let renewed: Vec<_> = renewed
            .iter()
            .map(
                |role| json!({"role": role.role, "version": role.version, "expires": role.expires}),
            )
            .collect();
        let left: Vec<_> = left
            .iter()
            .map(|role| json!({"role": role.role, "expires": role.expires, "reason": role.reason}))
            .collect();
        let unconfirmed: Vec<_> = unconfirmed.iter().map(running_json).collect();
        return say_json(&json!({
            "renewed": renewed, "left": left, "staged": staged, "unconfirmed": unconfirmed,
        }));
    }
    let mut lines = Vec::new();
    // A job that runs every few minutes is to be heard when it did something.
    let is_quiet = renewed.is_empty() && left.is_empty() && unconfirmed.is_empty();
    if is_quiet && !std::io::stdout().is_terminal() {
        return Ok(());
    }
    if renewed.is_empty() {
        lines.push(
            "Nothing to renew: no role whose keys are at hand is past half its life.".to_owned(),
        );
    }
    for role in &renewed {
        lines.push(format!(
            "Renewed {}: version {}, expires {}.",
            role.role, role.version, role.expires
        ));
    }
    for role in left.iter().filter(|left| !staged.contains(&left.role)) {
        lines.push(format!(
            "Left {}, which expires {}: {}.",
            role.role, role.expires, role.reason
        ));
    }
    if !staged.is_empty() {
        lines.push(format!("Staged {}.", staged.join(", ")));
        lines.push(staged_next(place, &keys)?);
    }
    for list in &unconfirmed {
        lines.push(format!(
            "Withdrawn of list {}, which still has it; publish the list without it in time:",
            list.list
        ));
        lines.extend(running_lines(list));
        lines.extend(lapsed_lines(list));
    }
    say(&lines.join("\n"))?;
    // A root that others sign is named in time; what ends soon is an error.
    let soon = clock::timestamp() + LEFT_MAX;
    if left.iter().any(|role| role.expires < soon) {
        return Err(ExitError::failed(
            "A role ends soon that cannot be renewed here: its keys are not in this folder.",
        ));
    }
    Ok(())
}

/// A role that nobody here can renew and that ends within this is an error.
const LEFT_MAX: std::time::Duration = std::time::Duration::from_secs(30 * 86_400);
