//! `cordon repo status`: how a repository stands.

use std::path::Path;

use super::at_hand::warned;
use super::command::Output;
use super::outcome::{exit, say, say_json, warn};
use super::proposal::{proposal_json, proposal_text};
use super::words::{status_json, status_text};
use crate::control::ExitError;
use crate::control::clock;
use crate::publish::{Keyring, Repository};

/// Says how the repository stands, and what is staged in it.
pub(super) fn status(repo: &Path, keys: Option<&Path>, output: &Output) -> Result<(), ExitError> {
    let keys = match keys {
        Some(folder) => Keyring::open_existing(folder, Default::default())
            .map_err(exit)
            .map(warned)?,
        None => Keyring::default(),
    };
    let now = clock::timestamp();
    let staged = match Repository::has_staged(repo).map_err(exit)? {
        // A staged version that nobody can use any more is said, and is no reason to say nothing.
        true => Some(
            Repository::open_staged(repo)
                .and_then(|repository| repository.proposal(&keys, now))
                .map_err(|error| error.to_string()),
        ),
        false => None,
    };
    let status = match (Repository::open(repo), &staged) {
        (Ok(repository), _) => {
            for warning in repository.warnings() {
                warn(&warning);
            }
            Some(repository.status(&keys, now))
        }
        (Err(_), Some(Ok(_))) => None,
        (Err(error), _) => return Err(exit(error)),
    };
    if output.json {
        let mut value = status.map_or_else(|| serde_json::json!({}), |status| status_json(&status));
        if let (Some(value), Some(staged)) = (value.as_object_mut(), &staged) {
            let staged = match staged {
                Ok(proposal) => proposal_json(proposal, &keys),
                Err(reason) => serde_json::json!({"error": reason}),
            };
            value.insert("staged".to_owned(), staged);
        }
        return say_json(&value);
    }
    let mut text = match status {
        Some(status) => status_text(repo, &status, now),
        None => format!("Repository {}: nothing is published yet", repo.display()),
    };
    match staged {
        Some(Ok(proposal)) => {
            text.push_str("\n\n");
            text.push_str(&proposal_text(repo, &proposal, &keys, false));
        }
        Some(Err(reason)) => text.push_str(&format!("\n\nStaged, and of no use: {reason}")),
        None => {}
    }
    say(&text)
}
