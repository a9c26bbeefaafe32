//! What is enforced of a list while the version that is to be in force cannot be read.

use std::path::Path;

use crate::compile::{From, Settings};
use crate::control::clock;
use crate::control::rounds::lapsed::about;
use crate::control::rounds::update::Updater;
use crate::control::rulings::list_standing::ListStanding;
use crate::control::rulings::version::{Stored, Version};
use crate::control::rulings::versions::earlier;
use crate::report::{AlarmKind, Severity};
use crate::verify::{ListFile, Verified};

/// The version in force of a list, from disk. Where it cannot be read, another stands in for
/// it until it can: the newest stored one before it, for nobody held or rejected that; and
/// where there is none, the one that a person went back from.
pub(crate) fn in_force_or_stand_in(
    state: &Path,
    settings: &Settings,
    standing: &ListStanding,
    mut text: impl FnMut(&Stored) -> Result<Verified<ListFile>, String>,
) -> Option<Verified<ListFile>> {
    let list = &settings.name;
    let version = standing.in_force.as_ref()?;
    match text(&version.stored()) {
        Ok(file) if Version::of(&file.get().provenance) == *version => return Some(file),
        Ok(_) => tracing::error!(list, %version, "the version in force is another on disk"),
        Err(error) => {
            tracing::error!(list, %version, %error, "the version in force cannot be read again");
        }
    }
    let left = standing.pin.as_ref().map(|pin| pin.left.stored());
    let before = earlier(state, settings, standing);
    let before = before.into_iter().filter(|other| match other {
        Stored::Serial(..) => *other < version.stored(),
        Stored::Digest(_) => true,
    });
    before.chain(left).find_map(|other| text(&other).ok())
}

impl Updater {
    /// Raises an alarm for each signed list of which another version stands in for the one that
    /// is to be in force, and ends it where that is over.
    pub(crate) fn tell_stand_ins(&self) {
        let alarms = &self.editions.updates.alarms;
        for settings in &self.config.lists {
            let From::Repository { repository, .. } = &settings.from else {
                continue;
            };
            let list = &settings.name;
            let about = about(repository, list);
            let due = self.versions.standing(list);
            let due = due.and_then(|standing| standing.in_force.clone());
            let found = self.editions.version(list);
            let (Some(due), Some(found)) = (due.filter(|due| found.as_ref() != Some(due)), &found)
            else {
                alarms.clear(AlarmKind::Disk, &about);
                continue;
            };
            let sentence = format!(
                "list {list}: {due} is to be in force, and is damaged on disk or gone; {found} stands in for it. {due} is fetched again if it is the newest; else the next version takes its place, or `cordon rollback {list}` decides"
            );
            let at = clock::timestamp();
            let severity = Severity::Alarm;
            if alarms.raise(AlarmKind::Disk, &about, severity, sentence.clone(), at) {
                tracing::error!("{sentence}");
            }
        }
    }
}
