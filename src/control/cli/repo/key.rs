//! `cordon repo key`: shows the keys at hand, or makes one.

use std::path::Path;

use serde_json::json;

use super::command::Output;
use super::outcome::{exit, say, say_json};
use crate::control::{ExitError, clock};
use crate::publish::{Keyring, Repository, RoleStatus};

/// Makes the key where one is asked for, and shows what there is.
pub(super) fn key(
    folder: &Path,
    new: Option<&str>,
    repo: Option<&Path>,
    output: &Output,
) -> Result<(), ExitError> {
    let mut keys = Keyring::open(folder).map_err(exit)?;
    let shown = match new {
        Some(name) if name.is_empty() || name.starts_with('.') || name.contains('/') => {
            return Err(ExitError::usage(format!(
                "{name:?} is no name of a key file"
            )));
        }
        Some(name) => vec![keys.make(name).map_err(exit)?],
        None => keys.public_keys(),
    };
    let roles = match repo {
        Some(repo) => {
            Repository::open(repo)
                .map_err(exit)?
                .status(&keys, clock::timestamp())
                .roles
        }
        None => Vec::new(),
    };
    let signs = |id: &str| -> Vec<&str> {
        let has = |role: &&RoleStatus| role.keys.iter().any(|(key, _)| key == id);
        roles
            .iter()
            .filter(has)
            .map(|role| role.role.as_str())
            .collect()
    };
    if output.json {
        let shown: Vec<_> = shown
            .iter()
            .map(|key| json!({"name": key.name, "id": key.id, "public": key.public, "roles": signs(&key.id)}))
            .collect();
        return say_json(&json!({"keys": shown}));
    }
    if shown.is_empty() {
        return say(&format!("There is no key in {}.", folder.display()));
    }
    let blocks: Vec<String> = shown
        .iter()
        .map(|key| {
            let signs = match signs(&key.id).join(", ") {
                signs if repo.is_some() && signs.is_empty() => "\n  signs   nothing".to_owned(),
                signs if signs.is_empty() => String::new(),
                signs => format!("\n  signs   {signs}"),
            };
            format!(
                "{}\n  id      {}\n  public  {}{signs}",
                key.name, key.id, key.public
            )
        })
        .collect();
    say(&blocks.join("\n"))
}
