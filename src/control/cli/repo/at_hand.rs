//! What a command has at hand: its keys, opened with a passphrase where they need one, and
//! the repository, opened to be changed or to be staged in.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};

use super::command::{Place, Stage};
use super::outcome::{exit, warn};
use crate::control::ExitError;
use crate::publish::{Keyring, Passphrase, Passphrases, PublicKey, Repository};

/// The keys of a command that needs some.
pub(super) fn keys(place: &Place) -> Result<Keyring, ExitError> {
    let passphrases = passphrases(place.passphrase_file.as_deref())?;
    Keyring::open_existing(&place.keys, passphrases)
        .map_err(exit)
        .map(warned)
}

/// Keys; what was passed over in their folder is said.
pub(super) fn warned(keys: Keyring) -> Keyring {
    for warning in keys.warnings() {
        warn(&warning);
    }
    keys
}

/// The repository, to be changed or to be staged in; what is foreign or damaged in it and
/// stops nothing is said.
pub(super) fn repository(place: &Place, stage: Stage) -> Result<Repository, ExitError> {
    let repository = match stage.stage {
        true => Repository::open_to_stage(&place.repo),
        false => Repository::open(&place.repo),
    }
    .map_err(exit)?;
    for warning in repository.warnings() {
        warn(&warning);
    }
    Ok(repository)
}

/// Keepers' public keys.
pub(super) fn public_keys(files: &[PathBuf]) -> Result<Vec<PublicKey>, ExitError> {
    let keys = files.iter().map(|file| PublicKey::read(file));
    keys.collect::<Result<_, _>>().map_err(exit)
}

/// Where passphrases come from: the file, or the terminal.
pub(super) fn passphrases(file: Option<&Path>) -> Result<Passphrases, ExitError> {
    match file {
        Some(file) => Ok(Passphrases::Given(read_passphrase(file)?)),
        None if std::io::stdin().is_terminal() => Ok(Passphrases::Asked(ask)),
        None => Ok(Passphrases::Absent),
    }
}

/// The first line of a passphrase file.
pub(super) fn read_passphrase(path: &Path) -> Result<Passphrase, ExitError> {
    let mut line = Passphrase::default();
    File::open(path)
        .and_then(|file| BufReader::new(file.take(LINE_OCTETS_MAX)).read_line(&mut line))
        .map_err(|error| ExitError::failed(format!("{}: {error}", path.display())))?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    if line.is_empty() {
        return Err(ExitError::failed(format!(
            "{}: its first line is to be the passphrase, and is empty",
            path.display()
        )));
    }
    Ok(line)
}

/// A new key's passphrase, asked for twice.
pub(super) fn ask_twice(name: &str) -> Result<Passphrase, ExitError> {
    if !std::io::stdin().is_terminal() {
        return Err(ExitError::usage(
            "there is no terminal to ask for the passphrase at; give --passphrase-file FILE",
        ));
    }
    let prompt = format!("Passphrase for the new key {name}: ");
    let passphrase = prompted(&prompt).map_err(ExitError::failed)?;
    let again = prompted("Once more: ").map_err(ExitError::failed)?;
    if passphrase != again {
        return Err(ExitError::failed(
            "the two passphrases are not the same; no key is made",
        ));
    }
    Ok(passphrase)
}

/// The passphrase of a key file, asked for once.
fn ask(path: &Path) -> Result<Passphrase, String> {
    prompted(&format!("Passphrase for {}: ", path.display()))
}

/// What is typed, unseen.
fn prompted(prompt: &str) -> Result<Passphrase, String> {
    rpassword::prompt_password(prompt)
        .map(Passphrase::new)
        .map_err(|error| format!("the passphrase cannot be read: {error}"))
}

/// A longer line is not read as a passphrase.
const LINE_OCTETS_MAX: u64 = 4096;
