//! `cordon repo init`: makes a repository and its keys.

use serde_json::json;

use super::command::{Output, Place};
use super::outcome::{exit, say, say_json};
use super::words::{keys_json, keys_text};
use crate::control::{ExitError, clock};
use crate::publish::{Keyring, Repository};

/// Makes the repository, and says where everything is.
pub(super) fn init(place: &Place, threshold: usize, output: &Output) -> Result<(), ExitError> {
    let mut keys = Keyring::open(&place.keys).map_err(exit)?;
    let now = clock::timestamp();
    let (_, made) = Repository::init(&place.repo, &mut keys, threshold, now).map_err(exit)?;
    let root = place.repo.join("metadata/1.root.json");
    if output.json {
        return say_json(&json!({"trust": root, "keys": keys_json(&made)}));
    }
    let (repo, folder) = (place.repo.display(), place.keys.display());
    say(&format!(
        "Made the repository {repo} and its keys in {folder}:\n\n{}\n\
         Nodes pin {} as `trust`: give it to them by a way of its own.\n\
         Keep root and targets keys away from the machine that publishes; the others sign often.\n\
         Next: cordon repo delegate {repo} --keys {folder} --list NAME --title TITLE --category CATEGORY",
        keys_text(&made),
        root.display(),
    ))
}
