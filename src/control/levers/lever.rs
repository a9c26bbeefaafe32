//! [`Lever`]: what a person decides on the running node, on record before it takes effect.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::compile::{Settings, is_registry};
use crate::control::clock;
use crate::control::levers::allowed;
use crate::control::levers::audit_line::{Act, REASON_CHARS_MAX, WHO_CHARS_MAX};
use crate::control::rounds::update::Updater;
use crate::control::rulings::version::Stored;
use crate::control::terminal::minute;
use crate::policy::Name;
use crate::verify::{ListFile, Verified};

/// What a person decides.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "lever", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Lever {
    /// A held version goes in force.
    HoldAccept {
        /// The list.
        list: String,
        /// The serial; of a local list the digits its digest begins with.
        version: String,
    },
    /// A held version never goes in force.
    HoldReject {
        /// The list.
        list: String,
        /// The same.
        version: String,
    },
    /// A list goes back to a stored version.
    Rollback {
        /// The list.
        list: String,
        /// Which; nothing for the one before.
        version: Option<String>,
    },
    /// A name passes for a time, with all below it.
    Allow {
        /// The name.
        name: String,
        /// For so many seconds.
        seconds: u64,
    },
    /// It passes no longer.
    EndAllow {
        /// The name.
        name: String,
    },
}

/// Who decides, and why.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Person {
    /// As they call themselves.
    pub(crate) by: String,
    /// In their words.
    pub(crate) reason: String,
    /// The user that the command runs as; what the command itself says of it is not heard.
    #[serde(skip)]
    pub(crate) uid: Option<u32>,
}

/// A decision that can be carried out.
enum Prepared<'a> {
    Accept(&'a Settings, Box<Verified<ListFile>>),
    Reject(&'a Settings),
    GoBack(&'a Settings, Box<Verified<ListFile>>),
    Allow(Name, Duration),
    EndAllow(Name),
}

impl Lever {
    /// The word for it in the audit log.
    const fn word(&self) -> &'static str {
        match self {
            Self::HoldAccept { .. } => "hold_accept",
            Self::HoldReject { .. } => "hold_reject",
            Self::Rollback { .. } => "rollback",
            Self::Allow { .. } => "allow",
            Self::EndAllow { .. } => "allow_end",
        }
    }

    /// What it is about.
    fn subject(&self) -> String {
        match self {
            Self::HoldAccept { list, version } | Self::HoldReject { list, version } => {
                format!("list {list}, {version}")
            }
            Self::Rollback { list, version } => match version {
                Some(version) => format!("list {list}, {version}"),
                None => format!("list {list}"),
            },
            Self::Allow { name, seconds } => format!("{name}, {seconds} s"),
            Self::EndAllow { name } => name.clone(),
        }
    }
}

impl Person {
    /// Who is asked to answer for it has to be named, with a reason.
    ///
    /// # Errors
    /// A sentence where they are not.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (option, text, most) in [
            ("--by", &self.by, WHO_CHARS_MAX),
            ("--reason", &self.reason, REASON_CHARS_MAX),
        ] {
            if text.trim().is_empty() {
                return Err(format!(
                    "{option} is missing: who decides has to be known later, and why"
                ));
            }
            if text.chars().count() > most || text.chars().any(char::is_control) {
                return Err(format!(
                    "{option} has to be a line of at most {most} characters"
                ));
            }
        }
        Ok(())
    }

    /// Who runs this very command, without a daemon to ask.
    #[must_use]
    pub(crate) fn here(by: &str, reason: &str) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            by: by.to_owned(),
            reason: reason.to_owned(),
            uid: std::fs::metadata("/proc/self").ok().map(|own| own.uid()),
        }
    }

    /// What they did, for the audit log.
    #[must_use]
    pub(crate) fn act(&self, what: &'static str, subject: String, outcome: String) -> Act {
        Act {
            who: self.by.clone(),
            uid: self.uid,
            what,
            subject,
            reason: self.reason.clone(),
            outcome,
            is_refused: false,
        }
    }

    /// What they were refused, and why.
    #[must_use]
    pub(crate) fn refused(&self, what: &'static str, subject: String, why: &str) -> Act {
        Act {
            is_refused: true,
            ..self.act(what, subject, format!("refused: {why}"))
        }
    }
}

impl Updater {
    /// Carries out a decision; who is refused is on record, too.
    ///
    /// # Errors
    /// A sentence; then nothing has changed.
    pub(crate) fn pull(&mut self, lever: &Lever, person: &Person) -> Result<String, String> {
        let config = std::sync::Arc::clone(&self.config);
        let act = |outcome| person.act(lever.word(), lever.subject(), outcome);
        let prepared = person
            .check()
            .and_then(|()| self.prepare(&config.lists, lever));
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(refusal) => {
                let refused = person.refused(lever.word(), lever.subject(), &refusal);
                if let Err(error) = self.audit.append(&refused, clock::timestamp()) {
                    tracing::error!(%error, "a refusal is not on record");
                }
                return Err(refusal);
            }
        };
        let audited = self
            .audit
            .append(&act("done".to_owned()), clock::timestamp());
        audited.map_err(|error| error.to_string())?;
        let done = self.carry_out(prepared, person);
        match &done {
            Ok(sentence) => {
                tracing::warn!(by = person.by, reason = person.reason, "{sentence}");
            }
            Err(failure) => {
                let failed = act(format!("failed: {failure}"));
                if let Err(error) = self.audit.append(&failed, clock::timestamp()) {
                    tracing::error!(%error, "a failure is not on record");
                }
            }
        }
        done
    }

    /// Whether it can be done; nothing has changed yet.
    fn prepare<'a>(
        &mut self,
        lists: &'a [Settings],
        lever: &Lever,
    ) -> Result<Prepared<'a>, String> {
        let settings = |list: &str| {
            let found = lists.iter().find(|settings| settings.name == list);
            found.ok_or_else(|| format!("no list is called {list}; `cordon status` names them"))
        };
        let name = |text: &str| Name::from_text(text).map_err(|error| format!("{text}: {error}"));
        match lever {
            Lever::HoldAccept { list, version } => {
                let settings = settings(list)?;
                let version = self.held(list, version)?;
                let file = self.stored_text(settings, &version).map_err(|error| {
                    format!("{version} of list {list} cannot be used: {error}. `cordon update {list}` fetches it again")
                })?;
                Ok(Prepared::Accept(settings, Box::new(file)))
            }
            Lever::HoldReject { list, version } => {
                let settings = settings(list)?;
                self.held(list, version)?;
                Ok(Prepared::Reject(settings))
            }
            Lever::Rollback { list, version } => {
                let settings = settings(list)?;
                let version = self.earlier(settings, version.as_deref())?;
                let file = self
                    .stored_text(settings, &version)
                    .map_err(|error| format!("{version} of list {list} cannot be used: {error}"))?;
                Ok(Prepared::GoBack(settings, Box::new(file)))
            }
            Lever::Allow {
                name: text,
                seconds,
            } => {
                let (name, span) = (name(text)?, Duration::from_secs(*seconds));
                if is_registry(&name) {
                    let edition = self.editions.in_force.load();
                    let opened = edition.blocklist.registered_below(&name);
                    return Err(format!(
                        "{name} is a public suffix: this would let everything below it through, {opened} registered names among it that lists speak of now. Let those through that are meant, or take a list back with `cordon rollback`"
                    ));
                }
                allowed::until(&name, span, clock::timestamp())?;
                Ok(Prepared::Allow(name, span))
            }
            Lever::EndAllow { name: text } => {
                let name = name(text)?;
                self.allowed.check_end(&name, clock::timestamp())?;
                Ok(Prepared::EndAllow(name))
            }
        }
    }

    /// What is held of a list and meant by `text`.
    fn held(&self, list: &str, text: &str) -> Result<Stored, String> {
        let standing = self.versions.standing(list).cloned().unwrap_or_default();
        Ok(standing.held(list, text)?.version.stored())
    }

    /// The version that a person goes back to.
    fn earlier(&self, settings: &Settings, text: Option<&str>) -> Result<Stored, String> {
        let list = &settings.name;
        let standing = self.versions.standing(list).cloned().unwrap_or_default();
        let Some(in_force) = &standing.in_force else {
            return Err(format!(
                "list {list} is not in force, so there is nothing to go back from"
            ));
        };
        let earlier = self.versions.earlier(settings);
        let named: Vec<String> = earlier.iter().map(Stored::to_string).collect();
        let named = named.join(", ");
        let found = match text {
            Some(text) => earlier.into_iter().find(|version| version.answers_to(text)),
            // Of local versions the one written last; of signed ones the next below.
            None => earlier.into_iter().find(|version| match version {
                Stored::Serial(..) => *version < in_force.stored(),
                Stored::Digest(_) => true,
            }),
        };
        found.ok_or_else(|| match text {
            _ if named.is_empty() => format!("of list {list} no other version is stored"),
            Some(text) => {
                format!("{text} of list {list} is not stored to go back to; there are {named}")
            }
            None => format!("of list {list} no earlier version is stored; there are {named}"),
        })
    }

    fn carry_out(&mut self, prepared: Prepared<'_>, person: &Person) -> Result<String, String> {
        let now = clock::timestamp();
        match prepared {
            Prepared::Accept(settings, file) => {
                let list = &settings.name;
                let mut accepted = None;
                self.versions
                    .change(list, |standing| accepted = standing.accept(now))?;
                self.put(settings, *file);
                let version = accepted.map_or_else(String::new, |version| version.to_string());
                Ok(format!("{version} of list {list} is in force."))
            }
            Prepared::Reject(settings) => {
                let list = &settings.name;
                let (rejected, others) = self.versions.reject(settings, now)?;
                self.tell(list);
                for other in others {
                    self.tell(&other);
                }
                let version = rejected.map_or_else(String::new, |version| version.to_string());
                Ok(format!(
                    "{version} of list {list} is rejected and never goes in force; the next one is judged anew."
                ))
            }
            Prepared::GoBack(settings, file) => {
                let list = &settings.name;
                let version = crate::control::rulings::version::Version::of(&file.get().provenance);
                let mut left = None;
                self.versions.change(list, |standing| {
                    standing.go_back(version.clone(), &person.by, &person.reason, now);
                    left = standing.pin.as_ref().map(|pin| pin.left.clone());
                })?;
                self.put(settings, *file);
                let left = left.map_or_else(String::new, |left| left.to_string());
                Ok(format!(
                    "{version} of list {list} is in force again, until one comes after {left}."
                ))
            }
            Prepared::Allow(name, span) => {
                let given = self
                    .allowed
                    .allow(&name, span, &person.by, &person.reason, now)?;
                self.move_levers();
                Ok(format!(
                    "{name} and all below it pass until {}. Who was answered before keeps that answer for as long as its TTL.",
                    minute(given.until)
                ))
            }
            Prepared::EndAllow(name) => {
                self.allowed.end(&name, now)?;
                self.move_levers();
                let wider = self.allowed.wider(&name, now).next();
                Ok(match wider {
                    Some(wider) => format!(
                        "{name} is still let through until {}, with {} and all below that; `cordon allow {} --end` ends it.",
                        minute(wider.until),
                        wider.name,
                        wider.name
                    ),
                    None => format!("{name} is judged by the lists again."),
                })
            }
        }
    }
}
