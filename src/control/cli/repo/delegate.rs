//! `cordon repo delegate`: gives a list to keys of its own.

use std::path::PathBuf;

use serde_json::json;

use super::at_hand::{keys, public_keys, repository};
use super::command::{Output, Place, Stage};
use super::outcome::{exit, say, say_json};
use super::proposal::staged_next;
use super::words::{keys_json, keys_text};
use crate::control::{ExitError, clock};
use crate::publish::Delegation;

/// Delegates the list, and says whose it is.
pub(super) fn delegate(
    place: &Place,
    delegation: &Delegation,
    keepers: &[PathBuf],
    stage: Stage,
    output: &Output,
) -> Result<(), ExitError> {
    let mut keys = keys(place)?;
    let keepers = public_keys(keepers)?;
    let mut repository = repository(place, stage)?;
    let made = repository
        .delegate_to(&mut keys, delegation, &keepers, clock::timestamp())
        .map_err(exit)?;
    drop(repository);
    let list = &delegation.list;
    let signers = if made.is_empty() { &keepers } else { &made };
    if output.json {
        return say_json(&json!({"list": list, "keys": keys_json(signers), "staged": stage.stage}));
    }
    let whose = match made.as_slice() {
        [] => format!(
            "to {} of these keys of its keepers:\n\n{}",
            delegation.threshold,
            keys_text(&keepers)
        ),
        made => format!(
            "to keys in {}:\n\n{}",
            place.keys.display(),
            keys_text(made)
        ),
    };
    if stage.stage {
        let next = staged_next(place, &keys)?;
        return say(&format!(
            "Staged the delegation of list {list} {whose}\n{next}"
        ));
    }
    say(&format!(
        "Delegated list {list} {whose}\n\
         Next: cordon repo publish {} --keys {} --list {list} --from FILE --format FORMAT --legal legal.yaml",
        place.repo.display(),
        place.keys.display(),
    ))
}
