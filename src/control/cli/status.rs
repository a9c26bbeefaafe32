//! `cordon status`: what is in force, and how it is.

use std::path::Path;

use clap::Args;

use super::commands::Configuration;
use crate::control::ExitError;
use crate::control::configuration;
use crate::control::levers::audit_log::AuditLog;
use crate::control::shown::Shown;
use crate::control::socket::Request;
use crate::control::terminal::say;

/// What `cordon status` is told.
#[derive(Args, Clone, Debug)]
pub(super) struct Status {
    /// For programs.
    #[arg(long)]
    json: bool,
    /// Check the audit log instead, line by line; works without the daemon, too.
    #[arg(long, conflicts_with = "json")]
    verify_audit: bool,
    #[command(flatten)]
    configuration: Configuration,
}

/// Asks the daemon, and shows the answer.
pub(super) fn run(status: &Status) -> Result<(), ExitError> {
    let state = configuration::state(&status.configuration.config)?;
    if status.verify_audit {
        return verify_audit(&state);
    }
    Shown::ask(&state, &Request::Status)?.print(status.json);
    Ok(())
}

/// Checks the audit log, and says what is broken first.
fn verify_audit(state: &Path) -> Result<(), ExitError> {
    let checked = AuditLog::new(state).check().map_err(|broken| {
        ExitError::failed(format!(
            "the audit log in {} is broken: {broken}. What it says from there on is not to be relied on; keep the file, and find out who can write there",
            state.display()
        ))
    })?;
    if checked.records == 0 {
        return Err(ExitError::failed(format!(
            "there is no audit log in {}: cordon has not run here yet, or somebody removed the log with its head",
            state.display()
        )));
    }
    say(format_args!(
        "The audit log is whole: {} records, each chained to the one before.",
        checked.records
    ));
    if checked.is_torn {
        say("A crash left its last line unfinished; the next record cuts that off and says so.");
    }
    Ok(())
}
