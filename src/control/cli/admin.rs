//! The short commands of an admin to the running daemon: reload, update, cache flush.

use clap::Subcommand;
use serde_json::Value;

use super::commands::Configuration;
use crate::control::ExitError;
use crate::control::configuration;
use crate::control::socket::{self, Request};
use crate::control::terminal::say;

/// What can be done with the answer cache.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Cache {
    /// Forget cached answers at and below a name.
    Flush {
        /// The name.
        name: String,
        #[command(flatten)]
        configuration: Configuration,
    },
}

/// Has the daemon take its configuration anew. A wrong one is shown with every mistake and
/// is not sent: exit 78, and the old one stays in force.
pub(super) fn reload(configuration: &Configuration) -> Result<(), ExitError> {
    let config = configuration::load(&configuration.config)?;
    let done = socket::ask(&config.state, &Request::Reload)?;
    say(sentence(&done));
    Ok(())
}

/// Has the daemon run an update round now, and says what became of each list.
pub(super) fn update(configuration: &Configuration, list: Option<String>) -> Result<(), ExitError> {
    let state = configuration::state(&configuration.config)?;
    let done = socket::ask(&state, &Request::Update { list })?;
    say(sentence(&done));
    Ok(())
}

/// Has the daemon forget cached answers.
pub(super) fn cache(cache: &Cache) -> Result<(), ExitError> {
    let Cache::Flush {
        name,
        configuration,
    } = cache;
    let state = configuration::state(&configuration.config)?;
    let done = socket::ask(&state, &Request::FlushCache { name: name.clone() })?;
    say(sentence(&done));
    Ok(())
}

fn sentence(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
