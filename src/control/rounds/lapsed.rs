//! Withdrawals that ended without their list having dropped the entry: an alarm for each list.

use crate::compile::From;
use crate::control::clock;
use crate::control::rounds::update::Updater;
use crate::report::{AlarmKind, Severity};

impl Updater {
    /// Raises the alarm for lists that enforce again what was withdrawn of them, and ends it
    /// where that is over (`trust.md` section 7.12).
    pub(crate) fn tell_lapsed(&self) {
        let alarms = &self.editions.updates.alarms;
        for settings in &self.config.lists {
            let From::Repository { repository, .. } = &settings.from else {
                continue;
            };
            let list = &settings.name;
            let about = about(repository, list);
            let what = match self.editions.lapsed(list) {
                0 => {
                    if alarms.clear(AlarmKind::Withdrawal, &about) {
                        tracing::info!(
                            list,
                            "no entry whose withdrawal has ended is in force any more"
                        );
                    }
                    continue;
                }
                1 => "1 entry is enforced again: its withdrawal has".to_owned(),
                many => format!("{many} entries are enforced again: their withdrawal has"),
            };
            let sentence = format!(
                "list {list}: {what} ended, and the authority has not dropped it from the list. Ask the authority; `cordon allow` lets a name through meanwhile"
            );
            let at = clock::timestamp();
            if alarms.raise(
                AlarmKind::Withdrawal,
                &about,
                Severity::Alarm,
                sentence.clone(),
                at,
            ) {
                tracing::error!(list, "{sentence}");
            }
        }
    }

    /// Whether what an alarm is about is still configured.
    pub(crate) fn is_configured(&self, about: &str) -> bool {
        let repository = about.split('/').next().unwrap_or(about);
        let mut repositories = self.config.repositories.iter();
        let mut lists = self.config.lists.iter();
        repositories.any(|of| of.name == repository)
            && (!about.contains(LIST)
                || lists.any(|list| about == self::about(repository, &list.name)))
    }
}

/// What the alarm of a list is about.
pub(crate) fn about(repository: &str, list: &str) -> String {
    format!("{repository}{LIST}{list}")
}

/// Between a repository and its list in what an alarm is about.
const LIST: &str = "/list ";
