//! Commands without a daemon: the lists on disk, verified again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::command::explained;
use super::explain::{Explanation, Question};
use super::round::Puller;
use super::shown::Shown;
use super::update::text_of;
use super::{ExitError, clock};
use crate::compile::{Blocklist, Compiler};
use crate::config::Config;

/// Explains from what is on disk what a daemon with this configuration would do.
///
/// # Errors
/// A sentence where the state cannot be read, or `asked` is no name, URL or address.
pub(super) fn explain(
    config: &Config,
    asked: &str,
    client: Option<IpAddr>,
    rtype: &str,
) -> Result<Shown, ExitError> {
    let blocklist = compile(config)?;
    let question = Question {
        asked,
        client,
        rtype,
        now: clock::timestamp(),
    };
    Explanation::of(config, &blocklist, &question)
        .and_then(|explanation| explained(&explanation))
        .map_err(ExitError::failed)
}

fn compile(config: &Config) -> Result<Blocklist, ExitError> {
    let mut pullers = BTreeMap::new();
    for repository in &config.repositories {
        let puller = Puller::open(&config.state, &repository.source, &repository.verify).map_err(
            |error| ExitError::system(format!("repository {}: {error}", repository.name)),
        )?;
        pullers.insert(repository.name.clone(), puller);
    }
    let mut compiler = Compiler::new(&config.protect, clock::timestamp());
    for settings in &config.lists {
        match text_of(config, settings, |repository| pullers.get_mut(repository)) {
            Some(file) => compiler.add(settings, &file),
            None => eprintln!("list {}: there is no version of it on disk", settings.name),
        }
    }
    Ok(compiler.finish())
}
