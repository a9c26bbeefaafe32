//! [`Versions`]: which version of each list is in force, and what is held back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::compile::{Border, CompiledList, From, Protected, Settings};
use crate::config::Config;
use crate::control::rounds::editions::Changed;
use crate::control::rulings::list_standing::{ListStanding, Ruling};
use crate::control::rulings::local::read_file;
use crate::control::rulings::origin::origin;
use crate::control::rulings::stand_in::in_force_or_stand_in;
use crate::control::rulings::stored::{in_force_before, stored};
use crate::control::rulings::version::{Stored, Version};
use crate::guard::{Change, Comparison, Difference, Guard, Trip, Verdict};
use crate::policy::{Origin, Withdrawal};
use crate::source::ListStates;
use crate::verify::{ListFile, Text, Verified};

/// Which version of each list is in force, what guards hold back, what people decided.
/// Everything of it is on disk before it takes effect.
#[derive(Debug)]
pub(crate) struct Versions {
    state: PathBuf,
    standings: BTreeMap<String, ListStanding>,
    /// The lists whose standing is in memory alone: the disk did not take it.
    unsaved: BTreeSet<String>,
    /// What the guards let through and no self-test has seen yet, by list.
    untested: BTreeMap<String, Untested>,
}

/// A version that the guards let through and no self-test has seen yet.
#[derive(Debug)]
pub(crate) struct Untested {
    /// Which.
    pub(crate) version: Version,
    /// What it changes.
    difference: Difference,
    /// How the list stood without it.
    before: ListStanding,
}

/// By what a version of a list is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judging<'a> {
    /// The list.
    pub(crate) settings: &'a Settings,
    /// What it must be within.
    pub(crate) border: &'a Border,
    /// What outranks every list.
    pub(crate) protected: &'a Protected,
    /// What is withdrawn of it: that it goes is no surprise.
    pub(crate) withdrawn: &'a [Withdrawal],
    /// How many entries are in force, where that is known.
    pub(crate) entries: Option<u64>,
    /// When.
    pub(crate) now: Timestamp,
}

impl Versions {
    /// Of no list yet.
    #[must_use]
    pub(crate) fn new(state: &Path) -> Self {
        Self {
            state: state.to_owned(),
            standings: BTreeMap::new(),
            unsaved: BTreeSet::new(),
            untested: BTreeMap::new(),
        }
    }

    /// Reads how the lists of a configuration stand; says what is damaged, by list.
    ///
    /// # Errors
    /// A sentence where a newer version wrote a file; nothing has changed then.
    pub(crate) fn configure(&mut self, config: &Config) -> Result<Vec<String>, String> {
        let mut damaged = Vec::new();
        let mut standings = BTreeMap::new();
        for settings in &config.lists {
            let name = &settings.name;
            let (standing, said) =
                ListStanding::open(&self.state, name, &origin(config, settings))?;
            damaged.extend(said.map(|said| format!("list {name}: {said}")));
            standings.insert(name.clone(), standing);
        }
        self.standings = standings;
        for settings in &config.lists {
            self.share_rejections(settings);
        }
        Ok(damaged)
    }

    /// Has all names of a signed list know what was rejected under this one; returns the others.
    fn share_rejections(&mut self, settings: &Settings) -> Vec<String> {
        let mut others = Vec::new();
        let known = self.standings.get(&settings.name).cloned();
        let is_signed = matches!(settings.from, From::Repository { .. });
        let Some(known) = known.filter(|_| is_signed) else {
            return others;
        };
        for (name, standing) in &mut self.standings {
            if *name != settings.name && standing.is_of_same(&known) {
                standing.share_rejections(&known);
                others.push(name.clone());
            }
        }
        others
    }

    /// A person rejects what is held of a list, under whatever name; returns the version, and
    /// the other names.
    ///
    /// # Errors
    /// A sentence where the disk does not take it; nothing has changed then.
    pub(crate) fn reject(
        &mut self,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<(Option<Version>, Vec<String>), String> {
        let mut rejected = None;
        self.change(&settings.name, |standing| rejected = standing.reject(now))?;
        let others = self.share_rejections(settings);
        // What is not taken now is known again at the next start.
        self.unsaved.extend(others.iter().cloned());
        self.catch_up();
        Ok((rejected, others))
    }

    /// How a list stands.
    #[must_use]
    pub(crate) fn standing(&self, list: &str) -> Option<&ListStanding> {
        self.standings.get(list)
    }

    /// Changes how a list stands, durably.
    ///
    /// # Errors
    /// A sentence where the disk does not take it; nothing has changed then.
    pub(crate) fn change(
        &mut self,
        list: &str,
        change: impl FnOnce(&mut ListStanding),
    ) -> Result<(), String> {
        let mut standing = self.standings.get(list).cloned().unwrap_or_default();
        change(&mut standing);
        standing.save(&self.state, list)?;
        if let Some(rank) = standing.in_force.as_ref().and_then(Version::rank) {
            ListStates::open(&self.state, list)
                .and_then(|states| states.set_current(rank))
                .map_err(|error| error.to_string())?;
        }
        self.standings.insert(list.to_owned(), standing);
        Ok(())
    }

    /// Forgets what was in force, in memory: it cannot be read any more.
    pub(crate) fn forget_in_force(&mut self, list: &str) {
        if let Some(standing) = self.standings.get_mut(list) {
            standing.begin_anew();
        }
    }

    /// Begins with a version that was in force before; what else was decided is forgotten.
    pub(crate) fn begin_with(&mut self, list: &str, version: Version, now: Timestamp) {
        let mut standing = self.standings.get(list).cloned().unwrap_or_default();
        standing.take(version, &Change::default(), now);
        self.keep(list, standing);
    }

    /// Stores what the disk did not take before.
    pub(crate) fn catch_up(&mut self) {
        for list in std::mem::take(&mut self.unsaved) {
            // What is still not taken is said by the alarm of the disk.
            if self.change(&list, |_| {}).is_err() {
                self.unsaved.insert(list);
            }
        }
    }

    /// What becomes of a version that was verified or read. `before` gives the text in force,
    /// and is asked only where no step leads from it.
    pub(crate) fn offer(
        &mut self,
        judging: &Judging<'_>,
        changed: &Changed,
        before: impl FnOnce() -> Option<Verified<ListFile>>,
    ) -> Ruling {
        let list = &judging.settings.name;
        let version = Version::of(&changed.file.get().provenance);
        let standing = self.standings.get(list).cloned().unwrap_or_default();
        if let Some(ruling) = standing.ruling(&version) {
            return ruling;
        }
        self.judge(judging, standing, changed, before)
    }

    /// What becomes of the version that is held, by other limits than those it was held by;
    /// nothing where it is not held.
    pub(crate) fn judge_held(
        &mut self,
        judging: &Judging<'_>,
        changed: &Changed,
        before: impl FnOnce() -> Option<Verified<ListFile>>,
    ) -> Option<Ruling> {
        let version = Version::of(&changed.file.get().provenance);
        let standing = self.standings.get(&judging.settings.name).cloned()?;
        let is_held = standing.ruling(&version) == Some(Ruling::Held);
        is_held.then(|| self.judge(judging, standing, changed, before))
    }

    /// Lets the guards decide, durably.
    fn judge(
        &mut self,
        judging: &Judging<'_>,
        standing: ListStanding,
        changed: &Changed,
        before: impl FnOnce() -> Option<Verified<ListFile>>,
    ) -> Ruling {
        let difference = difference(judging, &standing, changed, before);
        self.rule(judging, standing, changed, difference)
    }

    /// Whether a version is the first of its list, on which nothing was decided yet.
    #[must_use]
    pub(crate) fn is_first(&self, list: &str, version: &Version) -> bool {
        self.standings.get(list).is_none_or(|standing| {
            standing.in_force.is_none() && standing.ruling(version).is_none()
        })
    }

    /// What becomes of a first version that was compiled.
    pub(crate) fn offer_first(
        &mut self,
        judging: &Judging<'_>,
        changed: &Changed,
        compiled: &CompiledList,
    ) -> Ruling {
        let acting: usize = compiled.entries.iter().map(|(_, count)| count).sum();
        let entries = acting.saturating_add(compiled.not_in_effect) as u64;
        let found = Difference::of_first(entries, compiled.never_blocked as u64);
        let verdict = Verdict::of(judging.border, found.clone(), &found.change);
        // How many of those that do not act are yet to begin, only reading them says.
        let limits = &judging.border.bounds.guard;
        let is_unsure = compiled.not_in_effect > 0 && limits.min_entries.is_some();
        if is_unsure || !verdict.trips.is_empty() {
            // Whoever decides on it is to see what is in it.
            return self.offer(judging, changed, || None);
        }
        let standing = self.standings.get(&judging.settings.name).cloned();
        self.rule(judging, standing.unwrap_or_default(), changed, found)
    }

    /// Rules on a version by what it changes, durably.
    fn rule(
        &mut self,
        judging: &Judging<'_>,
        mut standing: ListStanding,
        changed: &Changed,
        difference: Difference,
    ) -> Ruling {
        let list = &judging.settings.name;
        let version = Version::of(&changed.file.get().provenance);
        let day = standing.day(judging.now, &difference.change);
        let verdict = Verdict::of(judging.border, difference, &day);
        let (sentence, text) = (verdict.sentence(), verdict.to_text(false));
        let tripped = !verdict.trips.is_empty();
        let accepted = match &changed.file.get().provenance.origin {
            Origin::Signed { accepted, .. } => accepted.clone(),
            Origin::Unsigned { .. } => None,
        };
        let untested = Untested {
            version: version.clone(),
            difference: verdict.difference.clone(),
            before: standing.clone(),
        };
        let ruling = standing.judged(version.clone(), verdict, accepted, judging.now);
        if ruling == Ruling::InForce {
            self.untested.insert(list.clone(), untested);
        }
        match ruling {
            Ruling::Held => {
                tracing::error!(list, %version, "held: {sentence}. The version before stays in force; see `cordon hold`\n{text}");
            }
            _ if tripped => {
                tracing::warn!(list, %version, "in force although {sentence}\n{text}");
            }
            _ => {}
        }
        self.keep(list, standing);
        ruling
    }

    /// What the guards let through since this was last asked, by list.
    pub(crate) fn take_untested(&mut self) -> BTreeMap<String, Untested> {
        std::mem::take(&mut self.untested)
    }

    /// Takes back a version that failed the self-test: the list stands as it did before, and
    /// the version is held.
    pub(crate) fn take_back(
        &mut self,
        list: &str,
        untested: Untested,
        sentence: String,
        now: Timestamp,
    ) {
        let mut standing = untested.before;
        let trip = Trip {
            guard: Guard::SelfTest,
            sentence,
        };
        standing.hold(untested.version, vec![trip], untested.difference, None, now);
        self.keep(list, standing);
    }

    /// Keeps how a list stands; in memory where the disk does not take it.
    fn keep(&mut self, list: &str, standing: ListStanding) {
        if let Err(error) = self.change(list, |known| *known = standing.clone()) {
            tracing::error!(list, %error, "what was decided about this version cannot be stored; after a restart it is judged anew");
            self.standings.insert(list.to_owned(), standing);
            self.unsaved.insert(list.to_owned());
        }
    }

    /// The text in force, from disk; where that cannot be read, what stands in for it.
    pub(crate) fn text(
        &self,
        settings: &Settings,
        text: impl FnMut(&Stored) -> Result<Verified<ListFile>, String>,
    ) -> Option<Verified<ListFile>> {
        in_force_or_stand_in(&self.state, settings, self.standing(&settings.name)?, text)
    }

    /// The versions on disk that a person can go back to, the newest first: not the one in
    /// force, none that is held, was rejected, or is of a generation that has ended.
    #[must_use]
    pub(crate) fn earlier(&self, settings: &Settings) -> Vec<Stored> {
        let standing = self.standing(&settings.name);
        standing.map_or_else(Vec::new, |standing| {
            earlier(&self.state, settings, standing)
        })
    }
}

/// How a list stands, for what changes nothing; what cannot be read is as absent.
#[must_use]
pub(crate) fn peek(config: &Config, settings: &Settings) -> ListStanding {
    ListStanding::peek(&config.state, &settings.name, &origin(config, settings))
}

/// The version of a list that a daemon with this configuration has in force or would begin
/// with, from disk, for what changes nothing; nothing where there is none. `text` gives one.
pub(crate) fn current(
    config: &Config,
    settings: &Settings,
    mut text: impl FnMut(&Stored) -> Result<Verified<ListFile>, String>,
) -> Option<Verified<ListFile>> {
    let standing = peek(config, settings);
    if let From::File { path, .. } = &settings.from
        && let Ok(file) = read_file(&settings.name, path)
    {
        let ruling = standing.ruling(&Version::of(&file.get().provenance));
        if ruling.is_none_or(|ruling| ruling == Ruling::InForce) {
            return Some(file);
        }
    }
    if standing.in_force.is_some() {
        return in_force_or_stand_in(&config.state, settings, &standing, text);
    }
    let version = in_force_before(&config.state, settings)
        .or_else(|| stored(&config.state, settings).into_iter().next())?;
    text(&version).ok()
}

/// The versions of a list on disk, the newest first: not the one in force, none that is held
/// or was rejected, and none of a generation that the authority ended by its offline keys:
/// what a stolen key signed must not come back.
pub(crate) fn earlier(state: &Path, settings: &Settings, standing: &ListStanding) -> Vec<Stored> {
    let held = standing.held.as_ref().map(|held| &held.version);
    let shut = standing
        .in_force
        .iter()
        .chain(held)
        .chain(&standing.rejected);
    let shut: Vec<Stored> = shut.map(Version::stored).collect();
    let mut found = stored(state, settings);
    let begun = standing.in_force.as_ref().map(Version::stored);
    let is_ended = |version: &Stored| match (version, &begun) {
        (Stored::Serial(generation, _), Some(Stored::Serial(begun, _))) => generation < begun,
        _ => false,
    };
    found.retain(|version| !shut.contains(version) && !is_ended(version));
    found
}

/// What a version changes upon the one in force.
fn difference(
    judging: &Judging<'_>,
    standing: &ListStanding,
    changed: &Changed,
    before: impl FnOnce() -> Option<Verified<ListFile>>,
) -> Difference {
    let reading = judging.settings.reading();
    let comparison = Comparison {
        reading: &reading,
        border: judging.border,
        protected: judging.protected,
        withdrawn: judging.withdrawn,
        now: judging.now,
    };
    let after = &changed.file.get().text;
    let in_force = standing.in_force.as_ref().map(Version::digest);
    match (&changed.step, judging.entries) {
        (Some(step), Some(entries)) if Some(step.from.state.as_str()) == in_force => {
            comparison.lines(&after.header(), entries, &step.removed, &step.added)
        }
        _ => {
            let before = before();
            let empty = Text::plain(Vec::new());
            let before = before.as_ref().map_or(&empty, |file| &file.get().text);
            comparison.versions(before, judging.entries, after)
        }
    }
}
