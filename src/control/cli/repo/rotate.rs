//! `cordon repo rotate`: a role gets other keys, or another threshold.

use serde_json::json;

use super::at_hand::{keys, repository};
use super::command::{Output, Place, Stage};
use super::outcome::{exit, say, say_json};
use super::proposal::staged_next;
use super::words::{keys_json, keys_text};
use crate::control::ExitError;
use crate::control::clock;
use crate::publish::{Repository, Rotation};

/// Rotates the keys, and says what that renewed.
pub(super) fn rotate(
    place: &Place,
    rotation: &Rotation,
    stage: Stage,
    output: &Output,
) -> Result<(), ExitError> {
    let mut keys = keys(place)?;
    let mut repository = repository(place, stage)?;
    let stolen = after_a_theft(&repository, rotation);
    let (made, renewed) = repository
        .rotate(&mut keys, rotation, clock::timestamp())
        .map_err(exit)?;
    drop(repository);
    if output.json {
        let renewed: Vec<_> = renewed
            .iter()
            .map(
                |role| json!({"role": role.role, "version": role.version, "expires": role.expires}),
            )
            .collect();
        return say_json(&json!({
            "role": rotation.role, "keys": keys_json(&made),
            "renewed": renewed, "staged": stage.stage,
        }));
    }
    let role = &rotation.role;
    let mut lines = vec![match stage.stage {
        true => format!("Staged other keys for {role}."),
        false => format!("Gave {role} other keys."),
    }];
    if !made.is_empty() {
        lines.push(format!(
            "Keys made in {}:\n\n{}",
            place.keys.display(),
            keys_text(&made)
        ));
    }
    for role in &renewed {
        lines.push(format!(
            "{}: version {}, expires {}.",
            role.role, role.version, role.expires
        ));
    }
    lines.extend(stolen);
    if stage.stage {
        lines.push(staged_next(place, &keys)?);
    }
    say(&lines.join("\n"))
}

/// What other keys alone do not undo, where a list loses some.
fn after_a_theft(repository: &Repository, rotation: &Rotation) -> Option<String> {
    let list = rotation.role.strip_prefix("list-")?;
    let next = repository.generations().get(list)?.saturating_add(1);
    (!rotation.remove.is_empty()).then(|| {
        format!(
            "What its old keys signed stays in force on nodes, up to its serial. If one was \
             stolen, put `min_generation: {next}` for {list} into the policy and publish the list \
             again: that begins it anew."
        )
    })
}
