//! `cordon repo init`: makes a repository and its keys.

use std::path::PathBuf;

use serde_json::json;

use super::at_hand::{passphrases, warned};
use super::command::{Output, Place, Stage};
use super::outcome::{exit, say, say_json};
use super::proposal::staged_next;
use super::words::{keys_json, keys_text};
use crate::control::ExitError;
use crate::control::clock;
use crate::publish::{Founders, Keyring, PublicKey, Repository};

/// Makes the repository, and says where everything is.
pub(super) fn init(
    place: &Place,
    threshold: usize,
    given: &[(String, PathBuf)],
    stage: Stage,
    output: &Output,
) -> Result<(), ExitError> {
    let passphrases = passphrases(place.passphrase_file.as_deref())?;
    let keys = Keyring::open_with(&place.keys, passphrases);
    let mut keys = keys.map_err(exit).map(warned)?;
    let mut founders = Founders {
        threshold,
        keys: Vec::new(),
    };
    for (role, file) in given {
        let key = PublicKey::read(file).map_err(exit)?;
        founders.keys.push((role.clone(), key));
    }
    let now = clock::timestamp();
    let (repository, made) =
        Repository::found(&place.repo, &mut keys, &founders, stage.stage, now).map_err(exit)?;
    // Whoever waits for the folder next may have it.
    drop(repository);
    let root = place.repo.join("metadata/1.root.json");
    if output.json {
        return say_json(&json!({"trust": root, "keys": keys_json(&made), "staged": stage.stage}));
    }
    let (repo, folder) = (place.repo.display(), place.keys.display());
    let made = match made.as_slice() {
        [] => String::new(),
        made => format!(" Keys made in {folder}:\n\n{}", keys_text(made)),
    };
    if stage.stage {
        return say(&format!(
            "Staged the first version of the repository {repo}.{made}\n{}\n\
             Once it is published, nodes pin {} as `trust`: give it to them by a way of its own.",
            staged_next(place, &keys)?,
            root.display(),
        ));
    }
    say(&format!(
        "Made the repository {repo}.{made}\n\
         Nodes pin {} as `trust`: give it to them by a way of its own.\n\
         Keep root and targets keys away from the machine that publishes; the others sign often.\n\
         Next: cordon repo delegate {repo} --keys {folder} --list NAME --title TITLE --category CATEGORY",
        root.display(),
    ))
}
