//! [`Shown`]: what a command shows: text for people, JSON for programs.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::control::ExitError;
use crate::control::socket::{self, Request};
use crate::control::terminal::say;

/// What a command shows. The daemon makes both, so that the command that asks need not be
/// of its version to understand it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Shown {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
}

impl Shown {
    /// Asks the running daemon whose state folder this is.
    ///
    /// # Errors
    /// As [`socket::ask`].
    pub(super) fn ask(state: &Path, request: &Request) -> Result<Self, ExitError> {
        serde_json::from_value(socket::ask(state, request)?).map_err(|error| {
            ExitError::failed(format!("the daemon's answer cannot be read: {error}"))
        })
    }

    /// Prints one of the two to standard output.
    pub(super) fn print(&self, json: bool) {
        if json {
            say(format_args!("{:#}", self.json));
        } else {
            say(self.text.trim_end());
        }
    }
}
