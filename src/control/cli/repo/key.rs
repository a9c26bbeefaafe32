//! `cordon repo key`: shows the keys at hand, or makes one.

use std::path::Path;

use serde_json::json;

use super::at_hand::{ask_twice, passphrases, read_passphrase, warned};
use super::command::Output;
use super::outcome::{exit, say, say_json};
use crate::control::ExitError;
use crate::control::clock;
use crate::publish::{Keyring, PublicKey, Repository, RoleStatus};

/// The key that is to be made, if any.
#[derive(Debug)]
pub(super) struct NewKey<'a> {
    /// Its name; nothing shows the keys at hand.
    pub(super) name: Option<&'a str>,
    /// Whether its passphrase is asked for.
    pub(super) asks: bool,
    /// The file that its passphrase is in, or that of keys at hand.
    pub(super) passphrase_file: Option<&'a Path>,
}

/// Makes the key where one is asked for, and shows what there is.
pub(super) fn key(
    folder: &Path,
    new: &NewKey<'_>,
    repo: Option<&Path>,
    output: &Output,
) -> Result<(), ExitError> {
    let passphrases = passphrases(new.passphrase_file)?;
    let mut keys = match new.name {
        Some(_) => Keyring::open_with(folder, passphrases),
        None if folder.is_dir() => Keyring::write_public_halves(folder, &passphrases)
            .and_then(|_| Keyring::open_with(folder, passphrases)),
        None => Keyring::open_existing(folder, passphrases),
    }
    .map_err(exit)
    .map(warned)?;
    let shown = match new.name {
        Some(name) => vec![make(&mut keys, name, new)?],
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
            .map(|key| {
                json!({
                    "name": key.name, "id": key.id, "public": key.public,
                    "encrypted": keys.is_encrypted(&key.id), "roles": signs(&key.id),
                })
            })
            .collect();
        return say_json(&json!({"keys": shown}));
    }
    if shown.is_empty() {
        return say(&format!("There is no key in {}.", folder.display()));
    }
    let blocks: Vec<String> = shown
        .iter()
        .map(|key| {
            let signs = repo.map(|_| signs(&key.id).join(", "));
            key_text(folder, key, keys.is_encrypted(&key.id), signs)
        })
        .collect();
    say(&blocks.join("\n"))
}

/// What a person is told of a key; `signs` are its roles, where a repository is known.
fn key_text(folder: &Path, key: &PublicKey, is_encrypted: bool, signs: Option<String>) -> String {
    let encrypted = match is_encrypted {
        true => ", encrypted with a passphrase",
        false => "",
    };
    let signs = match signs {
        None => String::new(),
        Some(roles) if roles.is_empty() => "\n  signs   nothing".to_owned(),
        Some(roles) => format!("\n  signs   {roles}"),
    };
    format!(
        "{}{encrypted}\n  id      {}\n  public  {}\n  send    {}{signs}",
        key.name,
        key.id,
        key.public,
        folder.join(format!("{}.pub", key.name)).display(),
    )
}

/// Makes a key, encrypted where a passphrase is wanted.
fn make(keys: &mut Keyring, name: &str, new: &NewKey<'_>) -> Result<PublicKey, ExitError> {
    keys.check_free(&[name.to_owned()]).map_err(exit)?;
    let passphrase = match new.passphrase_file {
        Some(file) => Some(read_passphrase(file)?),
        None if new.asks => Some(ask_twice(name)?),
        None => None,
    };
    match passphrase {
        Some(passphrase) => keys.make_encrypted(name, &passphrase),
        None => keys.make(name),
    }
    .map_err(exit)
}
