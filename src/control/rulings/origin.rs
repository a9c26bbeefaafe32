//! [`origin`]: what a list is known by, whatever the operator calls it and its repository.

use std::fs;
use std::path::{Path, PathBuf};

use crate::compile::{From, Settings};
use crate::config::{Config, Repository};
use crate::source::{self, SourceError};
use crate::verify::digest;

/// Where a list comes from, as its standing keeps it. It is the same under every name that an
/// operator gives to the list or its repository: what was decided of it is so, too.
#[must_use]
pub(crate) fn origin(config: &Config, settings: &Settings) -> String {
    let From::Repository { repository, list } = &settings.from else {
        return "a local file".to_owned();
    };
    let mut known = config.repositories.iter();
    let known = known.find(|known| known.name == *repository);
    let root = known.map_or_else(String::new, |known| first_root(&config.state, known));
    format!("repository of the root {root}, list {list}")
}

/// Notes by which root a repository is known for good, where it is not noted yet: its folder
/// keeps it under every name, and whatever root is pinned later.
///
/// # Errors
/// [`SourceError::Io`]; until it can be noted, the present root stands for it.
pub(crate) fn note_first_root(state: &Path, repository: &Repository) -> Result<(), SourceError> {
    let path = path(state, repository);
    match path.exists() {
        true => Ok(()),
        false => source::replace(&path, digest(&repository.verify.root).as_bytes()),
    }
}

/// Whether it is noted by which root a repository is known: it is before anything of it is
/// in force.
#[must_use]
pub(crate) fn is_noted(state: &Path, repository: &Repository) -> bool {
    path(state, repository).exists()
}

/// Whether the folder of that name was begun by the pinned root of that repository.
#[must_use]
pub(crate) fn is_of_first_root(state: &Path, name: &str, repository: &Repository) -> bool {
    let noted = state.join("repositories").join(name).join(FIRST_ROOT);
    fs::read_to_string(noted).is_ok_and(|noted| noted == digest(&repository.verify.root))
}

/// SHA-256 of the root that was the first to be pinned of a repository.
fn first_root(state: &Path, repository: &Repository) -> String {
    let noted = fs::read_to_string(path(state, repository));
    noted.unwrap_or_else(|_| digest(&repository.verify.root))
}

fn path(state: &Path, repository: &Repository) -> PathBuf {
    let folder = state.join("repositories").join(&repository.name);
    folder.join(FIRST_ROOT)
}

/// The file in a repository's folder that says by which root it is known.
pub(crate) const FIRST_ROOT: &str = "first_root";
