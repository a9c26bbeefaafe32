//! `cordon repo status`: how a repository stands.

use std::path::Path;

use super::command::Output;
use super::outcome::{exit, say, say_json};
use super::words::{status_json, status_text};
use crate::control::{ExitError, clock};
use crate::publish::{Keyring, Repository};

/// Says how the repository stands.
pub(super) fn status(repo: &Path, keys: Option<&Path>, output: &Output) -> Result<(), ExitError> {
    let keys = Keyring::open(keys.unwrap_or(Path::new(""))).map_err(exit)?;
    let status = Repository::open(repo)
        .map_err(exit)?
        .status(&keys, clock::timestamp());
    if output.json {
        return say_json(&status_json(&status));
    }
    say(&status_text(repo, &status))
}
