//! [`carry_over`]: a list that has another name in the configuration keeps what is stored and
//! was decided of it.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use crate::compile::From;
use crate::config::Config;
use crate::control::rulings::list_standing::ListStanding;
use crate::control::rulings::versions::origin;

/// Gives the folder of a list that is not configured any more to one of the same repository
/// and list that is, under a name that is new: what was rejected, held or pinned belongs to
/// the versions of the authority and not to the operator's name for them. Where the new
/// configuration is not taken after all, the same with the old one takes it back.
pub(crate) fn carry_over(config: &Config) {
    let lists = config.state.join("lists");
    for settings in &config.lists {
        let (name, origin) = (&settings.name, origin(settings));
        if matches!(settings.from, From::File { .. }) || ListStanding::is_kept(&lists.join(name)) {
            continue;
        }
        let Some(before) = kept_under(&lists, config, &origin) else {
            continue;
        };
        // A folder that holds anything is never replaced.
        match fs::rename(lists.join(&before), lists.join(name)) {
            Ok(()) => tracing::warn!(
                list = name,
                before,
                "the list has another name: what is stored and was decided of it is kept"
            ),
            Err(error) => tracing::error!(
                list = name,
                before,
                %error,
                "the list has another name, and what was decided of it cannot be carried over"
            ),
        }
    }
}

/// The name of a list that is not configured any more and came from there; of several the one
/// that changed last.
fn kept_under(lists: &Path, config: &Config, origin: &str) -> Option<String> {
    let names = fs::read_dir(lists).ok()?.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let mut known = config.lists.iter();
        // Another list under the old name has no use for it.
        let is_in_use = known.any(|known| known.name == name && self::origin(known) == origin);
        let is_from = || ListStanding::is_from(&lists.join(&name), origin);
        (!is_in_use && is_from()).then_some(name)
    });
    names.max_by_key(|name| {
        let changed = fs::metadata(lists.join(name)).and_then(|folder| folder.modified());
        changed.unwrap_or(SystemTime::UNIX_EPOCH)
    })
}
