//! [`carry_over`]: a list that has another name in the configuration keeps what is stored and
//! was decided of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::compile::From;
use crate::config::Config;
use crate::control::rulings::list_standing::ListStanding;
use crate::control::rulings::versions::origin;

/// Gives each list that is configured under another name than before its folder: what was
/// rejected, held or pinned belongs to the versions of the authority and not to the operator's
/// name for them. All is planned before the first folder is moved, so that lists can exchange
/// their names. Where the new configuration is not taken after all, the same with the old one
/// takes it back.
pub(crate) fn carry_over(config: &Config) {
    let lists = config.state.join("lists");
    let mut moves: Vec<(String, &str)> = Vec::new();
    for settings in &config.lists {
        let (name, origin) = (settings.name.as_str(), origin(settings));
        let folder = lists.join(name);
        let is_settled = ListStanding::is_from(&folder, &origin)
            || (ListStanding::is_kept(&folder) && !ListStanding::is_of_another(&folder, &origin));
        if matches!(settings.from, From::File { .. }) || is_settled {
            continue;
        }
        let is_free = |before: &str| moves.iter().all(|(taken, _)| taken != before);
        if let Some(before) = kept_under(&lists, config, &origin, is_free) {
            moves.push((before, name));
        }
    }
    // A crash in between leaves folders that the next start finds by where their lists come from.
    let on_the_way = |name: &str| lists.join(format!("{name}{ON_THE_WAY}"));
    moves.retain(|(before, name)| moved(&lists.join(before), &on_the_way(name), before, name));
    for (before, name) in moves {
        let folder = lists.join(name);
        let set_aside = free_place(&lists, name);
        let is_free = !folder.exists() || moved(&folder, &set_aside, &before, name);
        if is_free && moved(&on_the_way(name), &folder, &before, name) {
            tracing::warn!(
                list = name,
                before,
                "the list has another name: what is stored and was decided of it is kept"
            );
        }
    }
}

/// Moves a folder; says whether it did.
fn moved(from: &Path, to: &Path, before: &str, name: &str) -> bool {
    let moved = fs::rename(from, to);
    if let Err(error) = &moved {
        tracing::error!(
            list = name,
            before,
            %error,
            "the list has another name, and what was decided of it cannot be carried over"
        );
    }
    moved.is_ok()
}

/// Where the folder of a list is kept whose name another has now.
fn free_place(lists: &Path, name: &str) -> PathBuf {
    let places = (1_u64..).map(|number| lists.join(format!("{name}.before-{number}")));
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
    let names = fs::read_dir(lists).ok()?.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let mut known = config.lists.iter();
        // Another list under the old name has no use for it.
        let is_in_use = known.any(|known| known.name == name && self::origin(known) == origin);
        let is_from = || ListStanding::is_from(&lists.join(&name), origin);
        (!is_in_use && is_free(&name) && is_from()).then_some(name)
    });
    names.max_by_key(|name| {
        let folder = lists.join(name);
        let changed = fs::metadata(&folder).and_then(|folder| folder.modified());
        (
            ListStanding::is_decided(&folder, origin),
            changed.unwrap_or(SystemTime::UNIX_EPOCH),
        )
    })
}

/// How the folder of a list ends that is on its way to another name.
const ON_THE_WAY: &str = ".carried";
