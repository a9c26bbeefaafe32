//! `cordon repo delegate`: gives a list to keys of its own.

use serde_json::json;

use super::command::{Output, Place};
use super::outcome::{exit, say, say_json};
use super::words::{keys_json, keys_text};
use crate::control::{ExitError, clock};
use crate::publish::{Delegation, Keyring, Repository};

/// Delegates the list, and says whose it is.
pub(super) fn delegate(
    place: &Place,
    delegation: &Delegation,
    output: &Output,
) -> Result<(), ExitError> {
    let mut keys = Keyring::open(&place.keys).map_err(exit)?;
    let mut repository = Repository::open(&place.repo).map_err(exit)?;
    let made = repository
        .delegate(&mut keys, delegation, clock::timestamp())
        .map_err(exit)?;
    let list = &delegation.list;
    if output.json {
        return say_json(&json!({"list": list, "keys": keys_json(&made)}));
    }
    say(&format!(
        "Delegated list {list} to keys in {}:\n\n{}\n\
         Next: cordon repo publish {} --keys {} --list {list} --from FILE --format FORMAT --legal legal.yaml",
        place.keys.display(),
        keys_text(&made),
        place.repo.display(),
        place.keys.display(),
    ))
}
