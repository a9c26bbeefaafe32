//! Which version of a list goes in force: what is offered, judged, and let through.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::compile::{self, Border, CompiledList, Levers};
use crate::control::clock;
use crate::control::rounds::clock_judge::plausible;
use crate::control::rounds::editions::Changed;
use crate::control::rounds::repositories::{Repositories, subscriptions};
use crate::control::rounds::update::Updater;
use crate::control::rulings::list_standing::{Held, Ruling};
use crate::control::rulings::local::read_local;
use crate::control::rulings::stand_in::in_force_or_stand_in;
use crate::control::rulings::stored::{in_force_before, stored, text_of};
use crate::control::rulings::version::{Stored, Version};
use crate::control::rulings::versions::Judging;
use crate::enforce::Edition;
use crate::guard::Guard;
use crate::verify::{ListFile, Verified};

impl Updater {
    /// Offers a version of a list; says whether it is to be put in force.
    pub(crate) fn offer(&mut self, settings: &compile::Settings, changed: Changed) -> bool {
        self.decide(settings, changed, false)
    }

    /// Judges what is held of a list again, as by other limits; says whether it is to be put
    /// in force. Without its text it stays held.
    pub(crate) fn judge_held(&mut self, settings: &compile::Settings) -> bool {
        let standing = self.versions.standing(&settings.name);
        let held = standing.and_then(|standing| standing.held.as_ref());
        // What failed the self-test is not let through by other limits.
        let by_guards = |held: &&Held| held.trips.iter().all(|trip| trip.guard != Guard::SelfTest);
        let Some(version) = held.filter(by_guards).map(|held| held.version.stored()) else {
            return false;
        };
        match self.stored_text(settings, &version) {
            Ok(file) => self.decide(settings, Changed::whole(file), true),
            Err(error) => {
                tracing::error!(list = settings.name, %version, %error, "what is held cannot be judged again, and stays held");
                false
            }
        }
    }

    /// Lets a version be judged, for the first time or `again`.
    fn decide(&mut self, settings: &compile::Settings, changed: Changed, again: bool) -> bool {
        let border = self.border(settings);
        let withdrawn = self.levers().withdrawn.remove(&settings.name);
        // What another origin put in force is no measure for this one.
        let standing = self.versions.standing(&settings.name).cloned();
        let standing = standing.unwrap_or_default();
        let in_force = &standing.in_force;
        let is_same = in_force.is_some() && *in_force == self.editions.version(&settings.name);
        let entries = self.editions.entries(&settings.name).filter(|_| is_same);
        let judging = Judging {
            settings,
            border: &border,
            protected: &self.config.protect,
            withdrawn: withdrawn.as_deref().unwrap_or_default(),
            entries,
            now: plausible(clock::timestamp(), self.repositories.issued()),
        };
        let (state, repositories) = (&self.config.state, &mut self.repositories);
        let before = || {
            in_force_or_stand_in(state, settings, &standing, |version| {
                text_of(state, settings, version, |name| repositories.puller(name))
            })
        };
        let ruling = match again {
            true => self.versions.judge_held(&judging, &changed, before),
            false => Some(self.versions.offer(&judging, &changed, before)),
        };
        self.tell(&settings.name);
        let version = Version::of(&changed.file.get().provenance);
        let is_new = ruling == Some(Ruling::InForce)
            && self.editions.version(&settings.name).as_ref() != Some(&version);
        if is_new {
            self.fresh.insert(settings.name.clone(), changed);
        }
        is_new
    }

    /// Whether a version is the first of its list, so that no other says whether it is
    /// sensible.
    pub(crate) fn is_first(&self, settings: &compile::Settings, changed: &Changed) -> bool {
        let version = Version::of(&changed.file.get().provenance);
        self.versions.is_first(&settings.name, &version)
    }

    /// Offers a first version: it is judged by what compiling it finds, for to read a long
    /// list once more takes as long as all the rest.
    pub(crate) fn offer_first(&mut self, settings: &compile::Settings, changed: Changed) -> bool {
        let awaiting = Changed {
            is_judged: false,
            ..changed
        };
        self.fresh.insert(settings.name.clone(), awaiting);
        true
    }

    /// Puts the current version of every list in force, first versions if no guard holds them.
    /// Returns what was in force before.
    pub(crate) fn put_in_force(&mut self) -> Arc<Edition> {
        // Whoever wants to know what the guards just let through has asked before.
        drop(self.versions.take_untested());
        let begin = clock::instant();
        let config = Arc::clone(&self.config);
        let levers = self.levers();
        let mut fresh = std::mem::take(&mut self.fresh);
        self.dropped = self.expired(levers.now);
        fresh.retain(|list, _| !self.dropped.contains_key(list));
        self.tell_dropped();
        let borders = self.borders();
        let retired = loop {
            let dropped = &self.dropped;
            let (versions, repositories) = (&self.versions, &mut self.repositories);
            let blocklist = self
                .editions
                .make(&config, &borders, levers.now, &fresh, |settings| {
                    if dropped.contains_key(&settings.name) {
                        return None;
                    }
                    versions.text(settings, |version| {
                        text_of(&config.state, settings, version, |name| {
                            repositories.puller(name)
                        })
                    })
                });
            let before = fresh.len();
            for list in blocklist.lists() {
                let name = &list.settings.name;
                if let Some(changed) = fresh.get_mut(name).filter(|changed| !changed.is_judged) {
                    changed.is_judged = true;
                    if self.judge_first(changed, list, levers.now) != Ruling::InForce {
                        fresh.remove(name);
                    }
                }
            }
            if fresh.len() == before {
                drop(fresh);
                break self.editions.swap(blocklist.with(&levers), begin);
            }
        };
        self.tell_repositories();
        retired
    }

    /// Judges the first version of a list by how it was compiled.
    fn judge_first(&mut self, changed: &Changed, list: &CompiledList, now: Timestamp) -> Ruling {
        let settings = &list.settings;
        let withdrawn = self.levers().withdrawn.remove(&settings.name);
        let judging = Judging {
            settings,
            border: &list.border,
            protected: &self.config.protect,
            withdrawn: withdrawn.as_deref().unwrap_or_default(),
            entries: None,
            now,
        };
        let ruling = self.versions.offer_first(&judging, changed, list);
        self.tell(&settings.name);
        ruling
    }

    /// Reads a local list and offers it; says whether it is to be put in force.
    pub(crate) fn offer_local(&mut self, settings: &compile::Settings) -> bool {
        let compile::From::File { path, .. } = &settings.from else {
            return false;
        };
        let standing = self.versions.standing(&settings.name);
        let needed = standing
            .map(|standing| standing.needed())
            .unwrap_or_default();
        match read_local(&self.config.state, &settings.name, path, &needed) {
            Ok(file) => self.offer(settings, Changed::whole(file)),
            Err(error) => {
                tracing::error!(list = settings.name, file = %path.display(), "{error}; what was in force stays");
                false
            }
        }
    }

    /// Begins with a list as it is on disk: with what was in force, or stands in for it; where
    /// that is not known, the newest version is judged by the one before it.
    pub(crate) fn begin(&mut self, settings: &compile::Settings) {
        let name = &settings.name;
        let standing = self.versions.standing(name).cloned().unwrap_or_default();
        // Also what is held or was left is known to be stored, and is not fetched again.
        let mut known = standing.needed();
        known.retain(|version| standing.in_force.as_ref() != Some(version));
        for version in known {
            if let Err(error) = self.stored_text(settings, &version.stored()) {
                tracing::error!(list = name, %version, %error, "a stored version cannot be used");
            }
        }
        let (state, repositories) = (&self.config.state, &mut self.repositories);
        let in_force = self.versions.text(settings, |version| {
            text_of(state, settings, version, |name| repositories.puller(name))
        });
        match in_force {
            Some(file) => _ = self.fresh.insert(name.clone(), Changed::whole(file)),
            None => self.begin_anew(settings),
        }
        self.offer_local(settings);
        self.tell(name);
        self.tell_older(settings);
    }

    /// Says where what a list begins with is older than what was accepted before.
    fn tell_older(&self, settings: &compile::Settings) {
        let compile::From::Repository { list, .. } = &settings.from else {
            return;
        };
        let newest = stored(&self.config.state, settings).into_iter().next();
        let found = match newest {
            Some(Stored::Serial(generation, seq)) => Some((generation, seq)),
            _ => None,
        };
        let puller = self.repositories.of(settings);
        if let Some(accepted) = puller.and_then(|puller| puller.accepted_beyond(list, found)) {
            tracing::error!(
                list = settings.name,
                accepted,
                found = found.map(|(_, seq)| seq),
                "the version that was accepted last is not on disk; an older one is used until it is fetched again"
            );
        }
    }

    /// Begins with what the list's folder says was in force last, and offers the newest
    /// version as if it arrived now. Where that is not known, the newest but one is offered
    /// before.
    fn begin_anew(&mut self, settings: &compile::Settings) {
        // What the standing says was in force is nowhere: it is no measure for what is. What a
        // person went back to stays due, so that what comes can stand in for it.
        let standing = self.versions.standing(&settings.name);
        if standing.is_none_or(|standing| standing.pin.is_none()) {
            self.versions.forget_in_force(&settings.name);
        }
        let before = in_force_before(&self.config.state, settings);
        let before = before.and_then(|version| self.stored_text(settings, &version).ok());
        let standing = self.versions.standing(&settings.name);
        // Where people or guards are known to have decided otherwise, that holds.
        let before = before.filter(|file| {
            let version = Version::of(&file.get().provenance);
            standing.is_none_or(|standing| standing.ruling(&version).is_none())
        });
        let at_most = if before.is_some() { 1 } else { 2 };
        if let Some(file) = before {
            let version = Version::of(&file.get().provenance);
            let now = plausible(clock::timestamp(), self.repositories.issued());
            self.versions.begin_with(&settings.name, version, now);
            self.fresh
                .insert(settings.name.clone(), Changed::whole(file));
        }
        let mut newest = Vec::new();
        for version in stored(&self.config.state, settings) {
            match self.stored_text(settings, &version) {
                Ok(file) => newest.push(file),
                Err(error) => {
                    tracing::error!(list = settings.name, %version, %error, "a stored version cannot be used");
                }
            }
            if newest.len() == at_most {
                break;
            }
        }
        for file in newest.into_iter().rev() {
            self.offer(settings, Changed::whole(file));
        }
    }

    /// One version of a list from disk.
    pub(crate) fn stored_text(
        &mut self,
        settings: &compile::Settings,
        version: &Stored,
    ) -> Result<Verified<ListFile>, String> {
        let repositories = &mut self.repositories;
        text_of(&self.config.state, settings, version, |name| {
            repositories.puller(name)
        })
    }

    /// Puts a version of a list in force that a person chose.
    pub(crate) fn put(&mut self, settings: &compile::Settings, file: Verified<ListFile>) {
        self.fresh
            .insert(settings.name.clone(), Changed::whole(file));
        self.tell(&settings.name);
        self.put_in_force();
    }

    /// What the lists must be within, the stricter of the signed policy and the
    /// configuration.
    pub(crate) fn border(&self, settings: &compile::Settings) -> Border {
        border_of(&self.repositories, settings)
    }

    /// The border of every list.
    pub(crate) fn borders(&self) -> BTreeMap<String, Border> {
        let lists = self.config.lists.iter();
        lists
            .map(|settings| (settings.name.clone(), self.border(settings)))
            .collect()
    }

    /// What is let through at the moment.
    pub(crate) fn levers(&self) -> Levers {
        let now = plausible(clock::timestamp(), self.repositories.issued());
        let withdrawn = self.config.lists.iter().filter_map(|settings| {
            let compile::From::Repository { list, .. } = &settings.from else {
                return None;
            };
            let withdrawn = self.repositories.of(settings)?.withdrawals(list).to_vec();
            (!withdrawn.is_empty()).then(|| (settings.name.clone(), withdrawn))
        });
        Levers {
            now,
            withdrawn: withdrawn.collect(),
            allowed: self.allowed.names(now),
        }
    }

    /// Lets what is in force act by the levers as they are now.
    pub(crate) fn move_levers(&mut self) {
        let levers = self.levers();
        self.editions.move_levers(&levers);
        self.tell_lapsed();
    }

    /// Tells the report since when what is in force is known to be the newest, and ends the
    /// alarms of repositories that are not configured any more.
    pub(crate) fn tell_repositories(&self) {
        let updates = &self.editions.updates;
        for (repository, at) in self.repositories.accepted_at() {
            for subscription in subscriptions(&self.config, repository) {
                updates.was_newest(&subscription.name, at);
            }
        }
        updates
            .alarms
            .keep(|kind, about| !kind.is_of_repository() || self.is_configured(about));
        self.tell_lapsed();
        self.tell_stand_ins();
        self.tell_signers();
    }

    /// Tells the report how a list stands.
    pub(crate) fn tell(&self, list: &str) {
        if let Some(standing) = self.versions.standing(list) {
            self.editions.note_standing(list, standing);
        }
    }
}

/// What a list must be within.
pub(crate) fn border_of(repositories: &Repositories, settings: &compile::Settings) -> Border {
    let compile::From::Repository { list, .. } = &settings.from else {
        return Border::local(settings);
    };
    let Some(puller) = repositories.of(settings) else {
        return Border::local(settings);
    };
    // What a policy demands and this version cannot hold to costs the list its updates, and
    // not what is in force.
    let signed = puller.policy().map(|policy| policy.understood(list));
    Border::of(
        settings,
        signed.as_ref(),
        repositories.never_block(settings),
    )
}
