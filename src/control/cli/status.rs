//! `cordon status`: what is in force, and how it is.

use clap::Args;

use super::commands::Configuration;
use crate::control::shown::Shown;
use crate::control::socket::Request;
use crate::control::{ExitError, configuration};

/// What `cordon status` is told.
#[derive(Args, Clone, Debug)]
pub(super) struct Status {
    /// For programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    configuration: Configuration,
}

/// Asks the daemon, and shows the answer.
pub(super) fn run(status: &Status) -> Result<(), ExitError> {
    Shown::ask(
        &configuration::state(&status.configuration.config)?,
        &Request::Status,
    )?
    .print(status.json);
    Ok(())
}
