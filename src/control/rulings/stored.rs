//! [`stored`]: which versions of a list are on disk, and what they say.

use std::path::Path;

use crate::compile::{From, Settings};
use crate::control::rounds::Puller;
use crate::control::rulings::local_versions::LocalVersions;
use crate::control::rulings::version::Stored;
use crate::source::ListStates;
use crate::verify::{ListFile, Subscription, Verified};

/// The signed version of a list that was in force last, as its folder says.
#[must_use]
pub(crate) fn in_force_before(state: &Path, settings: &Settings) -> Option<Stored> {
    let found = stored(state, settings);
    let states = ListStates::open(state, &settings.name);
    let (generation, seq) = states.ok()?.current()?;
    let version = Stored::Serial(generation, seq);
    found.contains(&version).then_some(version)
}

/// The versions of a list on disk, the newest first.
#[must_use]
pub(crate) fn stored(state: &Path, settings: &Settings) -> Vec<Stored> {
    let name = &settings.name;
    match settings.from {
        From::Repository { .. } if state.join("lists").join(name).exists() => {
            let serials = ListStates::open(state, name).map(|states| states.serials());
            let mut serials = serials.unwrap_or_default();
            serials.sort_unstable();
            let ranks = serials.into_iter().rev();
            ranks
                .map(|(generation, seq)| Stored::Serial(generation, seq))
                .collect()
        }
        From::Repository { .. } => Vec::new(),
        From::File { .. } => {
            let digests = LocalVersions::new(state, name).digests();
            digests.into_iter().map(Stored::Digest).collect()
        }
    }
}

/// One version of a list from disk, verified again if it is signed. `puller` gives the trust
/// of a repository.
///
/// # Errors
/// A sentence where it is not there, or is not what it was.
pub(crate) fn text_of<'a>(
    state: &Path,
    settings: &Settings,
    version: &Stored,
    puller: impl FnOnce(&str) -> Option<&'a mut Puller>,
) -> Result<Verified<ListFile>, String> {
    match (&settings.from, version) {
        (From::Repository { repository, list }, Stored::Serial(generation, seq)) => {
            let subscription = Subscription {
                name: settings.name.clone(),
                list: list.clone(),
            };
            let puller =
                puller(repository).ok_or_else(|| format!("there is no repository {repository}"))?;
            let restored = puller.restore_version(&subscription, (*generation, *seq));
            restored
                .map(|(file, _)| file)
                .map_err(|error| error.to_string())
        }
        (From::File { path, .. }, Stored::Digest(digest)) => {
            let text = LocalVersions::new(state, &settings.name).load(digest);
            let text = text.ok_or("it is no longer on disk, or damaged there")?;
            let path = path.display().to_string();
            Ok(Verified::unsigned(&settings.name, &path, text))
        }
        _ => Err("the list came from elsewhere then".to_owned()),
    }
}
