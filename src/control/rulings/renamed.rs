//! [`carry_over`]: a list or repository that has another name in the configuration keeps what
//! is stored and was decided of it; under the name of another that is put aside, and comes back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::compile::{From, Settings};
use crate::config::{Config, Repository};
use crate::control::rulings::list_standing::ListStanding;
use crate::control::rulings::origin::{
    FIRST_ROOT, is_noted, is_of_first_root, note_first_root, origin,
};
use crate::control::rulings::versions::peek;
use crate::source::{SourceError, Store};
use crate::verify::TrustedMetadata;

/// Gives each repository and list that is configured under another name than before its folder:
/// what holds for them and was decided of them is the authority's versions' and not the
/// operator's name for them. What is of another root than the pinned one is put aside, until its
/// root is pinned again. Where the new configuration is not taken after all, the same with the old
/// one takes it back. Says which folders of repositories are gone.
pub(crate) fn carry_over(config: &Config) -> Vec<String> {
    let repositories = config.state.join("repositories");
    rearrange(&repositories, &renamed_repositories(config, &repositories));
    for repository in &config.repositories {
        let name = &repository.name;
        if is_noted(&config.state, repository) && !is_of(config, name, repository) {
            make_way(&repositories, name);
        }
    }
    let gone = gone(config, &repositories);
    for repository in &config.repositories {
        let noted = Store::open(&config.state, &repository.name)
            .and_then(|_| note_first_root(&config.state, repository));
        if let Err(error) = noted {
            tracing::error!(repository = repository.name, %error, "what the repository is known by cannot be noted; do not give it another name before it is");
        }
    }
    let lists = config.state.join("lists");
    rearrange(&lists, &renamed_lists(config, &lists));
    for settings in &config.lists {
        let folder = lists.join(&settings.name);
        let is_signed = matches!(settings.from, From::Repository { .. });
        let is_of_another = || ListStanding::is_of_another(&folder, &origin(config, settings));
        if is_signed && ListStanding::is_kept(&folder) && is_of_another() {
            make_way(&lists, &settings.name);
        }
    }
    gone
}

/// A sentence for each repository of which lists were in force and whose folder is not there.
fn gone(config: &Config, folder: &Path) -> Vec<String> {
    let is_of = |settings: &Settings, name: &str| match &settings.from {
        From::Repository { repository, .. } => repository == name,
        From::File { .. } => false,
    };
    let gone = config.repositories.iter().filter(|repository| {
        let mut lists = config.lists.iter();
        !is_noted(&config.state, repository)
            && lists.any(|settings| {
                is_of(settings, &repository.name) && peek(config, settings).in_force.is_some()
            })
    });
    let sentence = |repository: &Repository| {
        let folder = folder.join(&repository.name);
        format!(
            "{} is gone: what was accepted of the repository is forgotten. Until a round brings it again, its lists are bounded by the configuration alone and nothing is withdrawn; find out who can write there",
            folder.display()
        )
    };
    gone.map(sentence).collect()
}

/// The repositories whose folder is under another name than theirs, each with that name. A
/// folder belongs to whose pinned root its metadata follows from.
fn renamed_repositories<'a>(config: &'a Config, folder: &Path) -> Vec<(String, &'a str)> {
    let mut moves: Vec<(String, &str)> = Vec::new();
    for repository in &config.repositories {
        if is_of(config, &repository.name, repository) {
            continue;
        }
        let free = names(folder).filter(|name| {
            let mut known = config.repositories.iter();
            let is_in_use = known.any(|known| known.name == *name && is_of(config, name, known));
            let is_taken = moves.iter().any(|(taken, _)| taken == name);
            !is_in_use && !is_taken && is_of(config, name, repository)
        });
        if let Some(before) = free.max_by_key(|name| changed(&folder.join(name))) {
            moves.push((before, &repository.name));
        }
    }
    moves
}

/// Whether the folder of that name is of that repository, by its metadata or by the root that was
/// the first to be pinned.
fn is_of(config: &Config, name: &str, repository: &Repository) -> bool {
    config.state.join("repositories").join(name).is_dir()
        && (is_of_first_root(&config.state, name, repository)
            || read(&config.state, name)
                .is_ok_and(|files| TrustedMetadata::is_of(&repository.verify, &files)))
}

/// The metadata in a repository's folder.
fn read(state: &Path, repository: &str) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
    Store::open(state, repository)?.read()
}

/// The lists whose folder is under another name than theirs, each with that name.
fn renamed_lists<'a>(config: &'a Config, lists: &Path) -> Vec<(String, &'a str)> {
    let mut moves: Vec<(String, &str)> = Vec::new();
    for settings in &config.lists {
        let (name, origin) = (settings.name.as_str(), origin(config, settings));
        let folder = lists.join(name);
        let is_settled = ListStanding::is_from(&folder, &origin)
            || (ListStanding::is_kept(&folder) && !ListStanding::is_of_another(&folder, &origin));
        if matches!(settings.from, From::File { .. }) || is_settled {
            continue;
        }
        let is_free = |before: &str| moves.iter().all(|(taken, _)| taken != before);
        if let Some(before) = kept_under(lists, config, &origin, is_free) {
            moves.push((before, name));
        }
    }
    moves
}

/// Moves folders to their new names. All is planned before the first is moved, so that names
/// can be exchanged.
fn rearrange(folder: &Path, moves: &[(String, &str)]) {
    // A crash in between leaves folders that the next start finds by what is in them.
    let on_the_way = |name: &str| folder.join(format!("{name}{ON_THE_WAY}"));
    let mut moves: Vec<&(String, &str)> = moves.iter().collect();
    moves.retain(|(before, name)| moved(&folder.join(before), &on_the_way(name), before, name));
    for (before, name) in moves {
        let place = folder.join(name);
        if make_way(folder, name) && moved(&on_the_way(name), &place, before, name) {
            tracing::warn!(
                folder = %place.display(),
                before,
                "it has another name: what is stored and was decided of it is kept"
            );
        }
    }
}

/// Puts the folder aside whose name another has now; says whether the place is free.
fn make_way(folder: &Path, name: &str) -> bool {
    let (place, aside) = (folder.join(name), free_place(folder, name));
    if !place.exists() {
        return true;
    }
    if is_bare(&place) {
        return fs::remove_dir_all(&place).is_ok();
    }
    let is_free = moved(&place, &aside, name, name);
    if is_free {
        tracing::warn!(
            folder = %place.display(),
            kept = %aside.display(),
            "it was of another root: what was known of it is kept and comes back with it"
        );
    }
    is_free
}

/// Whether nothing is in a folder but what is made with it.
fn is_bare(folder: &Path) -> bool {
    names(folder).all(|name| {
        let path = folder.join(&name);
        name == FIRST_ROOT || (path.is_dir() && names(&path).next().is_none())
    })
}

/// Moves a folder; says whether it did.
fn moved(from: &Path, to: &Path, before: &str, name: &str) -> bool {
    let moved = fs::rename(from, to);
    if let Err(error) = &moved {
        tracing::error!(
            folder = %from.display(),
            before,
            name,
            %error,
            "it has another name, and what is stored and was decided of it cannot be carried over"
        );
    }
    moved.is_ok()
}

/// Where the folder is kept whose name another has now.
fn free_place(folder: &Path, name: &str) -> PathBuf {
    let places = (1_u64..).map(|number| folder.join(format!("{name}.before-{number}")));
    let mut free = places.filter(|place| !place.exists());
    free.next().unwrap_or_default()
}

/// The folder of the list that came from there under a name that it has no longer; of several
/// one of which something was decided, then the one that changed last.
fn kept_under(
    lists: &Path,
    config: &Config,
    origin: &str,
    is_free: impl Fn(&str) -> bool,
) -> Option<String> {
    let names = names(lists).filter(|name| {
        let mut known = config.lists.iter();
        // Another list under the old name has no use for it.
        let is_in_use =
            known.any(|known| known.name == *name && self::origin(config, known) == origin);
        !is_in_use && is_free(name) && ListStanding::is_from(&lists.join(name), origin)
    });
    names.max_by_key(|name| {
        let folder = lists.join(name);
        (ListStanding::is_decided(&folder, origin), changed(&folder))
    })
}

/// What is in a folder.
fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// When a folder changed last.
fn changed(folder: &Path) -> SystemTime {
    let changed = fs::metadata(folder).and_then(|folder| folder.modified());
    changed.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// How a folder's name ends that is on its way to another.
const ON_THE_WAY: &str = ".carried";
