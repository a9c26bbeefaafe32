//! `cordon trust replace`: pins another root by hand, after the old one was compromised.

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::commands::Configuration;
use crate::config::{Config, Repository};
use crate::control::ExitError;
use crate::control::clock;
use crate::control::configuration;
use crate::control::levers::audit_log::AuditLog;
use crate::control::levers::lever::Person;
use crate::control::socket;
use crate::control::terminal::say;
use crate::source::{self, Store};
use crate::verify::{
    REPLACED, ROOT_OCTETS_MAX, Replacement, Settings, TrustSummary, TrustedMetadata,
};

/// What can be done with what is trusted.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum TrustCommand {
    /// Pin another root of a repository, after its root keys were compromised. The stored
    /// metadata is set aside; no list ever goes back below its serial.
    Replace(Replace),
}

/// The command line of `trust replace`.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Replace {
    /// The repository, by its name in the configuration.
    repository: String,
    /// The new root metadata, had from the authority on a way that can be relied on.
    #[arg(value_name = "ROOT.json")]
    root: PathBuf,
    /// Who decides this.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    configuration: Configuration,
}

/// Does what the command line says.
pub(super) fn run(command: TrustCommand) -> Result<(), ExitError> {
    let TrustCommand::Replace(replace) = command;
    let config = configuration::load(&replace.configuration.config)?;
    let named = |of: &&Repository| of.name == replace.repository;
    let repository = config.repositories.iter().find(named).ok_or_else(|| {
        ExitError::usage(format!(
            "the configuration has no repository {}; `repositories` names them",
            replace.repository
        ))
    })?;
    let root = read(&replace.root)?;
    if root == repository.verify.root {
        say(format!(
            "{} is pinned already; nothing is changed.",
            replace.root.display()
        ));
        return Ok(());
    }
    let before = summary(repository, &repository.verify.root);
    let after = summary(repository, &root).map_err(|reason| {
        ExitError::failed(format!(
            "{}: {reason}. Nothing is changed; ask the authority for its root.json",
            replace.root.display()
        ))
    })?;
    say(shown(repository, before.ok().as_ref(), &after));
    if !(replace.yes || confirmed()?) {
        return Err(ExitError::failed("nothing is changed"));
    }
    audit(&config, &replace, &after)?;
    put(&config, repository, &root, &replace)?;
    reload(&config, repository)
}

/// Reads the new root, within the limit of roots.
fn read(file: &Path) -> Result<Vec<u8>, ExitError> {
    let failed = |error: io::Error| ExitError::failed(format!("{}: {error}", file.display()));
    let mut root = Vec::new();
    std::fs::File::open(file)
        .map_err(failed)?
        .take(ROOT_OCTETS_MAX.saturating_add(1))
        .read_to_end(&mut root)
        .map_err(failed)?;
    Ok(root)
}

/// What is to be said of a root, where it is sound.
fn summary(repository: &Repository, root: &[u8]) -> Result<TrustSummary, String> {
    let settings = Settings {
        root: root.to_vec(),
        ..repository.verify.clone()
    };
    TrustedMetadata::restore(
        &repository.name,
        &settings,
        &std::collections::BTreeMap::new(),
    )
    .map(|trusted| trusted.summary())
    .map_err(|error| error.to_string())
}

/// What would change, and what that means.
fn shown(repository: &Repository, before: Option<&TrustSummary>, after: &TrustSummary) -> String {
    let root = |word: &str, of: &TrustSummary| {
        let mut text = format!(
            "{word}: version {}, expires {}, signed by {} of\n",
            of.root_version, of.root_expires, of.root_threshold
        );
        for key in &of.root_keys {
            text.push_str(&format!("  {key}\n"));
        }
        text
    };
    format!(
        "The pinned root of repository {} ({})\n{}{}\
         Compare the new key ids with the authority, by telephone or in person.\n\
         The lists in force stay in force in the running daemon until a version verifies under the new root, \
         within the old policy, names never to block and withdrawals until those of the new root are taken. \
         A restart before that drops them, for nothing stored verifies under it.",
        repository.name,
        repository.trust.display(),
        before.map(|before| root("old", before)).unwrap_or_default(),
        root("new", after),
    )
}

/// Asks the person at the terminal.
fn confirmed() -> Result<bool, ExitError> {
    if !io::stdin().is_terminal() {
        return Err(ExitError::usage(
            "nobody is there to be asked; with --yes it is done without asking",
        ));
    }
    say("Pin the new root? Type yes:");
    let mut answer = String::new();
    io::stdin()
        .lock()
        .take(ANSWER_OCTETS_MAX)
        .read_line(&mut answer)
        .map_err(ExitError::system)?;
    Ok(answer.trim() == "yes")
}

/// Puts the new root in the place of the old one, which stays beside it. The word that it
/// was replaced comes first: by itself it does nothing.
fn put(
    config: &Config,
    repository: &Repository,
    root: &[u8],
    replace: &Replace,
) -> Result<(), ExitError> {
    let replacement = Replacement::new(root, &replace.by, &replace.reason);
    let mut beside = repository.trust.clone().into_os_string();
    beside.push(".replaced");
    Store::open(&config.state, &repository.name)
        .and_then(|store| store.put(REPLACED, &replacement.write()))
        .and_then(|()| source::replace(Path::new(&beside), &repository.verify.root))
        .and_then(|()| source::replace(&repository.trust, root))
        .map_err(|error| {
            ExitError::system(format!(
                "{error}; the old root may still be pinned, try again"
            ))
        })
}

/// Puts on record what a person overrides, before it takes effect.
fn audit(config: &Config, replace: &Replace, after: &TrustSummary) -> Result<(), ExitError> {
    let subject = format!(
        "repository {}, keys {}",
        replace.repository,
        after.root_keys.join(" ")
    );
    let person = Person::here(&replace.by, &replace.reason);
    person.check().map_err(ExitError::usage)?;
    let act = person.act("trust_replace", subject, "done".to_owned());
    AuditLog::new(&config.state)
        .append(&act, clock::timestamp())
        .map_err(ExitError::failed)
}

/// Has the daemon take it, if one runs.
fn reload(config: &Config, repository: &Repository) -> Result<(), ExitError> {
    say(format!(
        "{} holds the new root; the old one is beside it, with .replaced behind its name.",
        repository.trust.display()
    ));
    if !socket::path(&config.state).exists() {
        say("No daemon runs; the next start pins it.");
        return Ok(());
    }
    let done = socket::ask(&config.state, &socket::Request::Reload)?;
    say(done.as_str().unwrap_or("The daemon has taken it."));
    Ok(())
}

/// The most octets of an answer that are read.
const ANSWER_OCTETS_MAX: u64 = 100;
