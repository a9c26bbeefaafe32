//! [`ListStanding`]: how one list stands on this node: what is in force, held, rejected, pinned.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::control::rulings::version::Version;
use crate::guard::{Change, Day, Difference, Trip, Verdict};
use crate::source;

/// `state/lists/NAME/standing.json`: which version of a list is in force, and what people and
/// guards decided about others (`trust.md` section 7.9, interface.md: `hold`, `rollback`). Its
/// steps are pure; [`Self::save`] makes them durable.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct ListStanding {
    format: u64,
    /// Where the list comes from; under another origin nothing of this holds.
    origin: String,
    /// What is in force.
    pub(crate) in_force: Option<Version>,
    /// What a guard holds back.
    pub(crate) held: Option<Held>,
    /// What a person decided never to put in force, the latest last.
    pub(crate) rejected: Vec<Version>,
    /// The last of them, while none that came later is in force.
    #[serde(default)]
    pub(crate) rejection: Option<Rejection>,
    /// What a person went back to.
    pub(crate) pin: Option<Pin>,
    /// How the list changed within the last 24 hours.
    day: Day,
    /// How often a guard tripped.
    pub(crate) guard_events: u64,
}

/// A version that a guard holds back until somebody decides.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Held {
    /// Which.
    pub(crate) version: Version,
    /// Since when.
    pub(crate) since: Timestamp,
    /// The guards that it trips.
    pub(crate) trips: Vec<Trip>,
    /// What it would change.
    pub(crate) difference: Difference,
    /// Why the authority signed it all the same, in its words.
    #[serde(default)]
    pub(crate) accepted: Option<String>,
}

/// A version that a person rejected, and that the authority has not replaced yet.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Rejection {
    /// Which.
    pub(crate) version: Version,
    /// When.
    pub(crate) at: Timestamp,
}

/// A version that a person went back to. It stays until one above the one it left arrives.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Pin {
    /// What is in force since.
    pub(crate) version: Version,
    /// What was.
    pub(crate) left: Version,
    /// Who went back.
    pub(crate) by: String,
    /// Why.
    pub(crate) reason: String,
    /// When.
    pub(crate) at: Timestamp,
}

/// What becomes of a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ruling {
    /// It goes in force, or is.
    InForce,
    /// A guard holds it back.
    Held,
    /// A person rejected it.
    Rejected,
    /// The list is pinned to another, and this one does not end that.
    Pinned,
}

impl ListStanding {
    /// Reads how a list stands. Nothing is known of a list that is new, or comes from
    /// elsewhere than before. What is damaged is set aside and said; the stored versions are
    /// then judged anew.
    ///
    /// # Errors
    /// A sentence where the file was written by a newer version.
    pub(crate) fn open(
        state: &Path,
        list: &str,
        origin: &str,
    ) -> Result<(Self, Option<String>), String> {
        let path = path(state, list);
        match Self::read(&path, origin) {
            // It is written before a version is put in force for the first time.
            Ok(known) if !path.exists() && path.with_file_name("current").exists() => {
                let said = format!(
                    "{} is gone: what was held, rejected or pinned is forgotten, and the newest stored version is judged anew",
                    path.display()
                );
                Ok((known, Some(said)))
            }
            Ok(known) => Ok((known, None)),
            Err(Unreadable::Newer(format)) => Err(format!(
                "{} is of format {format}; a newer cordon wrote it",
                path.display(),
            )),
            Err(Unreadable::Damaged(error)) => {
                let aside = path.with_extension("json.damaged");
                // Where it cannot be moved, the next change overwrites it.
                let _ = std::fs::rename(&path, &aside);
                let said = format!(
                    "{} is damaged ({error}) and set aside: what was held, rejected or pinned is forgotten, and the newest stored version is judged anew",
                    path.display()
                );
                Ok((Self::new(origin), Some(said)))
            }
        }
    }

    /// Forgets what was in force and how the list changed up to it: it cannot be read any
    /// more, and is no measure for what is.
    pub(crate) fn begin_anew(&mut self) {
        self.in_force = None;
        self.day = Day::default();
    }

    /// The same for a command that changes nothing: what cannot be read is as absent.
    #[must_use]
    pub(crate) fn peek(state: &Path, list: &str, origin: &str) -> Self {
        Self::read(&path(state, list), origin).unwrap_or_else(|_| Self::new(origin))
    }

    /// Whether a list's folder says how it stands.
    #[must_use]
    pub(crate) fn is_kept(folder: &Path) -> bool {
        folder.join(FILE).exists()
    }

    /// Whether that was said of a list from there.
    #[must_use]
    pub(crate) fn is_from(folder: &Path, origin: &str) -> bool {
        Self::is_kept(folder)
            && Self::read(&folder.join(FILE), origin).is_ok_and(|known| known != Self::new(origin))
    }

    /// Whether that was said of a list from somewhere else, or of none yet.
    #[must_use]
    pub(crate) fn is_of_another(folder: &Path, origin: &str) -> bool {
        Self::read(&folder.join(FILE), origin).is_ok_and(|known| known == Self::new(origin))
    }

    /// Whether a person decided something of a list from there.
    #[must_use]
    pub(crate) fn is_decided(folder: &Path, origin: &str) -> bool {
        Self::read(&folder.join(FILE), origin)
            .is_ok_and(|known| known.pin.is_some() || !known.rejected.is_empty())
    }

    fn read(path: &Path, origin: &str) -> Result<Self, Unreadable> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::new(origin));
            }
            Err(error) => return Err(Unreadable::Damaged(error.to_string())),
        };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(known) if known.format > FORMAT => Err(Unreadable::Newer(known.format)),
            Ok(known) if known.origin == origin => Ok(known),
            Ok(_) => Ok(Self::new(origin)),
            Err(error) => Err(Unreadable::Damaged(error.to_string())),
        }
    }

    /// Nothing is known.
    fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            ..Self::default()
        }
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// A sentence; the file is as it was then.
    pub(crate) fn save(&self, state: &Path, list: &str) -> Result<(), String> {
        let path = path(state, list);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
        }
        let file = Self {
            format: FORMAT,
            ..self.clone()
        };
        let bytes = serde_json::to_vec_pretty(&file).map_err(|error| error.to_string())?;
        source::replace(&path, &bytes).map_err(|error| error.to_string())
    }

    /// What becomes of a version whatever the guards say; nothing where they decide.
    #[must_use]
    pub(crate) fn ruling(&self, version: &Version) -> Option<Ruling> {
        if self.in_force.as_ref() == Some(version) {
            Some(Ruling::InForce)
        } else if self.rejected.contains(version) {
            Some(Ruling::Rejected)
        } else if self
            .pin
            .as_ref()
            .is_some_and(|pin| !version.is_above(&pin.left))
        {
            Some(Ruling::Pinned)
        } else if self
            .held
            .as_ref()
            .is_some_and(|held| held.version == *version)
        {
            Some(Ruling::Held)
        } else {
            None
        }
    }

    /// How what is in force differs from what was 24 hours ago, and `next` besides.
    #[must_use]
    pub(crate) fn day(&self, now: Timestamp, next: &Change) -> Change {
        self.day.with(now, next)
    }

    /// Follows the guards: a version that trips none, or only warns, goes in force; another
    /// is held in place of one that was held before.
    pub(crate) fn judged(
        &mut self,
        version: Version,
        verdict: Verdict,
        accepted: Option<String>,
        now: Timestamp,
    ) -> Ruling {
        if verdict.is_held {
            self.hold(version, verdict.trips, verdict.difference, accepted, now);
            return Ruling::Held;
        }
        let is_known = self.holds(&version);
        self.guard_events += u64::from(!verdict.trips.is_empty() && !is_known);
        self.take(version, &verdict.difference.change, now);
        Ruling::InForce
    }

    /// Holds a version in place of one that was held before. One that is judged again stays
    /// held since when it was.
    pub(crate) fn hold(
        &mut self,
        version: Version,
        trips: Vec<Trip>,
        difference: Difference,
        accepted: Option<String>,
        now: Timestamp,
    ) {
        let before = self.held.take().filter(|held| held.version == version);
        self.guard_events += u64::from(!trips.is_empty() && before.is_none());
        self.held = Some(Held {
            version,
            since: before.map_or(now, |held| held.since),
            trips,
            difference,
            accepted,
        });
    }

    /// Whether that version is held.
    fn holds(&self, version: &Version) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| held.version == *version)
    }

    /// Puts a version in force; nothing is held or pinned any more, and what was rejected is
    /// replaced.
    pub(crate) fn take(&mut self, version: Version, change: &Change, now: Timestamp) {
        self.day.note(now, change);
        self.in_force = Some(version);
        self.held = None;
        self.rejection = None;
        self.pin = None;
    }

    /// The version that is held, and that a person means by `text`.
    ///
    /// # Errors
    /// A sentence where that one is not held.
    pub(crate) fn held(&self, list: &str, text: &str) -> Result<&Held, String> {
        match &self.held {
            Some(held) if held.version.answers_to(text) => Ok(held),
            Some(held) => Err(format!(
                "of list {list} {} is held, and not {text}; `cordon hold` shows what it would change",
                held.version
            )),
            None if self.rejected.iter().any(|version| version.answers_to(text)) => Err(format!(
                "{text} of list {list} was rejected, which is for good; the authority has to publish another"
            )),
            None => Err(format!("nothing of list {list} is held")),
        }
    }

    /// A person accepts what is held.
    pub(crate) fn accept(&mut self, now: Timestamp) -> Option<Version> {
        let held = self.held.take()?;
        self.take(held.version.clone(), &held.difference.change, now);
        Some(held.version)
    }

    /// A person rejects what is held, for good.
    pub(crate) fn reject(&mut self, at: Timestamp) -> Option<Version> {
        let held = self.held.take()?;
        self.rejected.push(held.version.clone());
        self.rejection = Some(Rejection {
            version: held.version.clone(),
            at,
        });
        let surplus = self.rejected.len().saturating_sub(REJECTED_MAX);
        self.rejected.drain(..surplus);
        Some(held.version)
    }

    /// Takes over what was rejected under another name of the same list: a rejection is of the
    /// authority's version. What is in force under this name stays so.
    pub(crate) fn share_rejections(&mut self, other: &Self) {
        let known = self.rejected.clone();
        let new = other.rejected.iter().filter(|new| !known.contains(new));
        self.rejected.extend(new.cloned());
        let surplus = self.rejected.len().saturating_sub(REJECTED_MAX);
        self.rejected.drain(..surplus);
        let held = self.held.as_ref().map(|held| &held.version);
        if held.is_some_and(|held| self.rejected.contains(held)) {
            self.held = None;
            self.rejection.clone_from(&other.rejection);
        }
        if self.in_force.is_none() && self.rejection.is_none() {
            self.rejection.clone_from(&other.rejection);
        }
    }

    /// Whether both are of the same list of the same repository.
    pub(crate) fn is_of_same(&self, other: &Self) -> bool {
        self.origin == other.origin
    }

    /// A person goes back to a version.
    pub(crate) fn go_back(&mut self, version: Version, by: &str, reason: &str, at: Timestamp) {
        let before = self.pin.take().map(|pin| pin.left);
        let left = match (before, self.in_force.take()) {
            (Some(left), Some(in_force)) if in_force.is_above(&left) => in_force,
            (Some(left), _) => left,
            (None, Some(in_force)) => in_force,
            (None, None) => version.clone(),
        };
        self.pin = Some(Pin {
            version: version.clone(),
            left,
            by: by.to_owned(),
            reason: reason.to_owned(),
            at,
        });
        self.in_force = Some(version);
    }

    /// The serials on disk that must stay there.
    #[must_use]
    pub(crate) fn needed(&self) -> Vec<Version> {
        let held = self.held.as_ref().map(|held| &held.version);
        let pin = self.pin.iter().flat_map(|pin| [&pin.version, &pin.left]);
        let needed = self.in_force.iter().chain(held).chain(pin);
        needed.cloned().collect()
    }
}

/// Why a file is of no use.
enum Unreadable {
    /// A newer version wrote it, in that format.
    Newer(u64),
    /// It is not what was written.
    Damaged(String),
}

fn path(state: &Path, list: &str) -> PathBuf {
    state.join("lists").join(list).join(FILE)
}

/// The file.
const FILE: &str = "standing.json";
/// Its format.
const FORMAT: u64 = 1;
/// So many rejected versions are remembered; only the newest on offer can come back.
const REJECTED_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Guard;

    fn at() -> Timestamp {
        "2026-11-24T06:00:00Z".parse().unwrap()
    }

    fn serial(serial: u64) -> Version {
        Version::signed(1, serial, &format!("{serial:064x}"))
    }

    fn verdict(is_held: bool) -> Verdict {
        let trip = Trip {
            guard: Guard::Growth,
            sentence: "too much".into(),
        };
        Verdict {
            trips: is_held.then_some(trip).into_iter().collect(),
            is_held,
            difference: Difference::default(),
        }
    }

    /// Judges a version as `put_in_force` does; `trips` says what the guards think of it.
    fn offer(standing: &mut ListStanding, version: u64, trips: bool) -> Ruling {
        let version = serial(version);
        match standing.ruling(&version) {
            Some(ruling) => ruling,
            None => standing.judged(version, verdict(trips), None, at()),
        }
    }

    #[test]
    fn what_trips_a_guard_is_held_until_accepted_rejected_or_superseded() {
        let mut standing = ListStanding::default();
        assert_eq!(offer(&mut standing, 1, false), Ruling::InForce);
        assert_eq!(offer(&mut standing, 2, true), Ruling::Held);
        assert_eq!(standing.in_force, Some(serial(1)));
        assert!(standing.held("l", "3").unwrap_err().contains("serial 2"));
        assert!(standing.held("l", "2").is_ok());
        // A newer one takes its place, for better or worse.
        assert_eq!(offer(&mut standing, 3, true), Ruling::Held);
        assert!(standing.held("l", "2").is_err());
        assert_eq!(standing.reject(at()), Some(serial(3)));
        assert_eq!(standing.rejection.as_ref().unwrap().version, serial(3));
        assert_eq!(offer(&mut standing, 3, false), Ruling::Rejected);
        assert!(standing.held("l", "3").unwrap_err().contains("rejected"));
        assert_eq!(offer(&mut standing, 4, true), Ruling::Held);
        assert_eq!(standing.accept(at()), Some(serial(4)));
        assert_eq!(standing.in_force, Some(serial(4)));
        assert_eq!(standing.rejection, None);
        assert_eq!(offer(&mut standing, 5, true), Ruling::Held);
        assert_eq!(offer(&mut standing, 6, false), Ruling::InForce);
        assert_eq!(standing.held, None);
        assert_eq!(standing.guard_events, 4);
    }

    #[test]
    fn a_pin_holds_until_a_version_above_the_one_it_left() {
        let mut standing = ListStanding::default();
        offer(&mut standing, 7, false);
        offer(&mut standing, 8, false);
        standing.go_back(serial(6), "Anna", "too wide", at());
        standing.go_back(serial(5), "Anna", "still too wide", at());
        assert_eq!(standing.pin.as_ref().unwrap().left, serial(8));
        // A person may also go to a later one, and leave that.
        standing.go_back(serial(9), "Anna", "this one will do", at());
        standing.go_back(serial(5), "Anna", "it does not", at());
        for low in 6..=9 {
            assert_eq!(offer(&mut standing, low, false), Ruling::Pinned);
        }
        assert_eq!(offer(&mut standing, 10, true), Ruling::Held);
        assert_eq!(standing.in_force, Some(serial(5)));
        assert_eq!(offer(&mut standing, 11, false), Ruling::InForce);
        assert_eq!(standing.pin, None);
    }

    #[test]
    fn what_goes_in_force_counts_for_its_day_however_it_does() {
        let change = |before, added| Change {
            before,
            added,
            ..Change::default()
        };
        let judged = |is_held, change| Verdict {
            difference: Difference {
                change,
                ..Difference::default()
            },
            ..verdict(is_held)
        };
        let mut standing = ListStanding::default();
        standing.judged(serial(1), judged(false, change(0, 1000)), None, at());
        standing.judged(serial(2), judged(false, change(1000, 200)), None, at());
        standing.judged(serial(3), judged(true, change(1200, 600)), None, at());
        let next = change(1200, 50);
        assert_eq!(standing.day(at(), &next), change(1000, 250));
        standing.accept(at());
        assert_eq!(standing.day(at(), &next), change(1000, 850));
    }

    #[test]
    fn it_outlives_a_restart_and_damage_is_said() {
        let state = tempfile::tempdir().unwrap();
        let (mut standing, said) = ListStanding::open(state.path(), "l", "r/l").unwrap();
        assert_eq!(said, None);
        offer(&mut standing, 1, false);
        offer(&mut standing, 2, true);
        standing.save(state.path(), "l").unwrap();
        let (again, _) = ListStanding::open(state.path(), "l", "r/l").unwrap();
        assert_eq!(again.held, standing.held);
        assert_eq!(again.needed(), [serial(1), serial(2)]);
        let (other, _) = ListStanding::open(state.path(), "l", "elsewhere").unwrap();
        assert_eq!(other.in_force, None, "of another list nothing is known");
        std::fs::write(path(state.path(), "l"), "{").unwrap();
        let (lost, said) = ListStanding::open(state.path(), "l", "r/l").unwrap();
        assert_eq!((lost.in_force, said.is_some()), (None, true));
    }
}
