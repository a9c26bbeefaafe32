//! [`Allowed`]: names that a person lets through in an emergency, for a time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::compile::is_registry;
use crate::control::levers::audit_log::AuditLog;
use crate::control::levers::lever::Person;
use crate::policy::Name;
use crate::source::{self, SourceError};

/// `state/allowed.json`: each name with all below it passes on every surface, whatever the
/// lists say, until its time is over (`trust.md` section 7.12, field.md section 3: a local
/// *emergency allow* needs no signature, is logged, ends by itself and is reported).
#[derive(Debug)]
pub(crate) struct Allowed {
    path: PathBuf,
    names: Vec<Allowance>,
}

/// One name that is let through.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Allowance {
    /// The name; all below it passes, too.
    pub(crate) name: String,
    /// Until when.
    pub(crate) until: Timestamp,
    /// Who said so.
    pub(crate) by: String,
    /// Why.
    pub(crate) reason: String,
    /// Since when.
    pub(crate) since: Timestamp,
}

impl Allowance {
    /// Checks it as `cordon allow` is checked.
    ///
    /// # Errors
    /// A sentence on what is wrong with it.
    fn check(&self) -> Result<(), String> {
        let name = Name::from_text(&self.name).map_err(|error| error.to_string())?;
        let span = self.until.duration_since(self.since);
        until(&name, span.unsigned_abs(), self.since)?;
        if self.until <= self.since {
            return Err("it ends before it begins".to_owned());
        }
        let person = Person {
            by: self.by.clone(),
            reason: self.reason.clone(),
            uid: None,
        };
        person.check()
    }
}

/// The file.
#[derive(Default, Deserialize, Serialize)]
struct AllowedFile {
    format: u64,
    names: Vec<Allowance>,
}

impl Allowed {
    /// Reads what was let through before a restart. A file that is damaged is set aside, and
    /// said: nothing is let through then that the lists block. So is what in it `cordon allow`
    /// would not have taken, whoever wrote it.
    ///
    /// # Errors
    /// A sentence where the file was written by a newer version.
    pub(crate) fn open(state: &Path) -> Result<(Self, Option<String>), String> {
        let path = state.join(FILE);
        let damaged = match read(&path) {
            Ok(_) if !path.exists() && AuditLog::new(state).has("allow") => {
                return Ok(Self::gone(path));
            }
            Ok(names) => return Ok(Self::checked(path, names)),
            Err(Unreadable::Newer(format)) => {
                return Err(format!(
                    "{} is of format {format}; a newer cordon wrote it",
                    path.display(),
                ));
            }
            Err(Unreadable::Damaged(error)) => error,
        };
        let aside = path.with_extension("json.damaged");
        // Where it cannot be moved, the next change overwrites it.
        let _ = std::fs::rename(&path, &aside);
        let said = format!(
            "{} is damaged ({damaged}) and set aside as {}; names that were allowed are blocked again until `cordon allow` is given anew",
            path.display(),
            aside.display()
        );
        let names = Vec::new();
        Ok((Self { path, names }, Some(said)))
    }

    /// Begins anew where the file is not there, and says so once.
    fn gone(path: PathBuf) -> (Self, Option<String>) {
        let said = format!(
            "{} is gone: names that were allowed are blocked again until `cordon allow` is given anew; find out who can write there",
            path.display()
        );
        let names = Vec::new();
        let mut allowed = Self { path, names };
        // Where the disk does not take it, the next start says the same again.
        let _ = allowed.save(Vec::new());
        (allowed, Some(said))
    }

    /// Keeps what could have been let through by `cordon allow`, and sets the rest aside.
    fn checked(path: PathBuf, names: Vec<Allowance>) -> (Self, Option<String>) {
        let (mut kept, mut aside, mut why) = (Vec::new(), Vec::new(), Vec::new());
        for known in names {
            match known.check() {
                Ok(()) if kept.len() < NAMES_MAX => kept.push(known),
                Ok(()) => aside.push(known),
                Err(reason) => {
                    why.push(format!("{} ({reason})", known.name));
                    aside.push(known);
                }
            }
        }
        let mut allowed = Self { path, names: kept };
        if aside.is_empty() {
            return (allowed, None);
        }
        let file = allowed.path.with_extension("json.damaged");
        let bytes = serde_json::to_vec_pretty(&aside).unwrap_or_default();
        // Where the disk takes neither, the next start says the same again.
        let saved = source::replace(&file, &bytes).map_err(|error| error.to_string());
        let saved = saved.and_then(|()| allowed.save(allowed.names.clone()));
        let said = format!(
            "{} has {} entries that `cordon allow` would not have taken: {}. They are blocked again, and {}; find out who can write there",
            allowed.path.display(),
            aside.len(),
            why.join(", "),
            match saved {
                Ok(()) => format!("set aside as {}", file.display()),
                Err(error) => format!("cannot be set aside: {error}"),
            }
        );
        (allowed, Some(said))
    }

    /// The same for what changes nothing; what cannot be read is as empty.
    #[must_use]
    pub(crate) fn peek(state: &Path) -> Self {
        let path = state.join(FILE);
        let mut names = read(&path).unwrap_or_default();
        names.retain(|known| known.check().is_ok());
        names.truncate(NAMES_MAX);
        Self { path, names }
    }

    /// The other names that let `name` through at `now`, each with all below it.
    pub(crate) fn wider(&self, name: &Name, now: Timestamp) -> impl Iterator<Item = &Allowance> {
        self.at(now).filter(move |known| {
            Name::from_text(&known.name)
                .is_ok_and(|other| other != *name && name.is_at_or_below(&other))
        })
    }

    /// Lets a name through until `now` and `span`; one that is let through already gets the
    /// new time.
    ///
    /// # Errors
    /// A sentence where the time is too long, there are too many names, or the disk does not
    /// take it; nothing has changed then.
    pub(crate) fn allow(
        &mut self,
        name: &Name,
        span: Duration,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Allowance, String> {
        let allowance = Allowance {
            name: name.to_string(),
            until: until(name, span, now)?,
            by: by.to_owned(),
            reason: reason.to_owned(),
            since: now,
        };
        let mut names = self.names.clone();
        names.retain(|known| known.name != allowance.name && known.until > now);
        if names.len() >= NAMES_MAX {
            return Err(format!(
                "{NAMES_MAX} names are let through already, and no more can be: end one with `cordon allow NAME --end`, or put lasting ones under `protect`"
            ));
        }
        names.push(allowance.clone());
        self.save(names)?;
        Ok(allowance)
    }

    /// Whether a name can be ended.
    ///
    /// # Errors
    /// A sentence where it is not let through.
    pub(crate) fn check_end(&self, name: &Name, now: Timestamp) -> Result<(), String> {
        let text = name.to_string();
        if self.at(now).any(|known| known.name == text) {
            return Ok(());
        }
        Err(match self.wider(name, now).next() {
            Some(wider) => format!(
                "{name} is let through with {}, and not by itself; `cordon allow {} --end` ends that",
                wider.name, wider.name
            ),
            None => format!(
                "{name} is not let through by `cordon allow`; without a name it shows those that are"
            ),
        })
    }

    /// Ends it.
    ///
    /// # Errors
    /// A sentence where the name is not let through, or the disk does not take it; nothing
    /// has changed then.
    pub(crate) fn end(&mut self, name: &Name, now: Timestamp) -> Result<(), String> {
        self.check_end(name, now)?;
        let text = name.to_string();
        let mut names = self.names.clone();
        names.retain(|known| known.name != text && known.until > now);
        self.save(names)
    }

    /// What is let through at `now`. One that was given later than that waits, but for so much
    /// as a clock may be set back.
    pub(crate) fn at(&self, now: Timestamp) -> impl Iterator<Item = &Allowance> {
        let latest = now.checked_add(CLOCK_BACK_MAX).unwrap_or(now);
        let names = self.names.iter();
        names.filter(move |known| now < known.until && known.since <= latest)
    }

    /// The same as names, each with its end.
    #[must_use]
    pub(crate) fn names(&self, now: Timestamp) -> Vec<(Name, Timestamp)> {
        let name = |known: &Allowance| Some((Name::from_text(&known.name).ok()?, known.until));
        self.at(now).filter_map(name).collect()
    }

    fn save(&mut self, names: Vec<Allowance>) -> Result<(), String> {
        let file = AllowedFile {
            format: FORMAT,
            names,
        };
        let bytes = serde_json::to_vec_pretty(&file).map_err(|error| error.to_string())?;
        source::replace(&self.path, &bytes)
            .map_err(|error: SourceError| format!("nothing was changed: {error}"))?;
        self.names = file.names;
        Ok(())
    }
}

/// Why the file is of no use.
enum Unreadable {
    /// A newer version wrote it, in that format.
    Newer(u64),
    /// It is not what was written.
    Damaged(String),
}

fn read(path: &Path) -> Result<Vec<Allowance>, Unreadable> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Unreadable::Damaged(error.to_string())),
    };
    match serde_json::from_slice::<AllowedFile>(&bytes) {
        Ok(file) if file.format > FORMAT => Err(Unreadable::Newer(file.format)),
        Ok(file) => Ok(file.names),
        Err(error) => Err(Unreadable::Damaged(error.to_string())),
    }
}

/// The end of an allowance that begins now.
///
/// # Errors
/// A sentence where that is too long, or no time at all, or the name is too much.
pub(crate) fn until(name: &Name, span: Duration, now: Timestamp) -> Result<Timestamp, String> {
    if name.is_root() {
        return Err(
            "this would let everything through; stop the lists with `mode: monitor` instead"
                .to_owned(),
        );
    }
    if is_registry(name) {
        return Err(format!(
            "everything below {name} is for others to register; let a name below it through, or take a list back with `cordon rollback`"
        ));
    }
    if span.is_zero() || span > SPAN_MAX {
        return Err(
            "`--for` takes a time of up to 7d, such as 24h or 90m; what is to last goes under `protect` in the configuration, or is for the authority to withdraw"
                .to_owned(),
        );
    }
    now.checked_add(span).map_err(|error| error.to_string())
}

/// The file.
const FILE: &str = "allowed.json";
/// Its format.
const FORMAT: u64 = 1;
/// The longest time for which a name may be let through.
pub(crate) const SPAN_MAX: Duration = Duration::from_secs(7 * 86_400);
/// So far may a clock be set back and what was let through just before passes on.
const CLOCK_BACK_MAX: Duration = Duration::from_secs(86_400);
/// The most names at a time.
pub(crate) const NAMES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_795_500_000 + hour * 3600).unwrap()
    }

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    #[test]
    fn a_name_passes_until_its_time_is_over_and_over_a_restart() {
        let state = tempfile::tempdir().unwrap();
        let (mut allowed, damaged) = Allowed::open(state.path()).unwrap();
        assert_eq!(damaged, None);
        allowed
            .allow(&name("drive.example"), HOUR, "Anna", "urgent", at(0))
            .unwrap();
        let (mut again, _) = Allowed::open(state.path()).unwrap();
        assert_eq!(again.names(at(0)), [(name("drive.example"), at(1))]);
        assert_eq!(again.names(at(1)), []);
        // The same name once more has one end, the new one.
        again
            .allow(&name("drive.example"), 2 * HOUR, "Anna", "still", at(0))
            .unwrap();
        assert_eq!(again.names(at(0)), [(name("drive.example"), at(2))]);
        again.end(&name("drive.example"), at(0)).unwrap();
        assert!(again.end(&name("drive.example"), at(0)).is_err());
        let (again, _) = Allowed::open(state.path()).unwrap();
        assert_eq!(again.at(at(0)).count(), 0);
    }

    #[test]
    fn neither_time_nor_number_nor_reach_is_without_end() {
        let state = tempfile::tempdir().unwrap();
        let (mut allowed, _) = Allowed::open(state.path()).unwrap();
        let mut allow = |text: &str, span| allowed.allow(&name(text), span, "A", "r", at(0));
        assert!(allow("a.test", SPAN_MAX + HOUR).is_err());
        assert!(allow("a.test", Duration::ZERO).is_err());
        assert!(allow(".", HOUR).is_err());
        for number in 0..NAMES_MAX {
            allow(&format!("n{number}.test"), HOUR).unwrap();
        }
        assert!(allow("one-more.test", HOUR).unwrap_err().contains("100"));
        allow("n1.test", HOUR).unwrap();
    }

    #[test]
    fn what_cordon_allow_would_not_take_is_set_aside_and_said() {
        let state = tempfile::tempdir().unwrap();
        let entry = |name: &str, hours: i64, by: &str| {
            let (since, until) = (at(0), at(hours));
            format!(
                r#"{{"name":"{name}","until":"{until}","by":"{by}","reason":"r","since":"{since}"}}"#
            )
        };
        let names = [
            entry("good.test", 24, "Anna"),
            entry("too-long.test", 24 * 8, "Anna"),
            entry("nobody.test", 24, ""),
            entry("co.uk", 24, "Anna"),
            entry(".", 24, "Anna"),
            entry("a..b", 24, "Anna"),
            entry("turned.test", -1, "Anna"),
        ];
        let text = format!(r#"{{"format":1,"names":[{}]}}"#, names.join(","));
        std::fs::write(state.path().join(FILE), text).unwrap();
        let good = [(name("good.test"), at(24))];
        assert_eq!(Allowed::peek(state.path()).names(at(1)), good);
        let (allowed, said) = Allowed::open(state.path()).unwrap();
        assert_eq!(allowed.names(at(1)), good);
        let said = said.unwrap();
        assert!(
            said.contains("6 entries") && said.contains("too-long.test"),
            "{said}"
        );
        let aside = std::fs::read_to_string(state.path().join("allowed.json.damaged")).unwrap();
        assert!(aside.contains("nobody.test") && !aside.contains("good.test"));
        // It is said once, and what is good stays.
        let (again, said) = Allowed::open(state.path()).unwrap();
        assert_eq!((again.names(at(1)), said), (good.to_vec(), None));
        // What was given in the future waits for it.
        assert!(again.names(at(-20)).len() == 1 && again.names(at(-30)).is_empty());
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_said() {
        let state = tempfile::tempdir().unwrap();
        std::fs::write(state.path().join(FILE), "{nonsense").unwrap();
        let (allowed, damaged) = Allowed::open(state.path()).unwrap();
        assert_eq!(allowed.at(at(0)).count(), 0);
        assert!(damaged.unwrap().contains("damaged"));
        assert!(state.path().join("allowed.json.damaged").exists());
        std::fs::write(state.path().join(FILE), r#"{"format":2,"names":[]}"#).unwrap();
        assert!(Allowed::open(state.path()).is_err());
    }
}
