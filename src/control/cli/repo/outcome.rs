//! How the outcome of an authority's command is said, and with which exit code.

use std::io::Write;

use crate::control::ExitError;
use crate::publish::PublishError;

/// Says it to a person.
pub(super) fn say(text: &str) -> Result<(), ExitError> {
    writeln!(std::io::stdout().lock(), "{text}").map_err(ExitError::system)
}

/// Says it to a program.
pub(super) fn say_json(value: &serde_json::Value) -> Result<(), ExitError> {
    say(&format!("{value:#}"))
}

/// The exit code by what went wrong.
pub(super) fn exit(error: PublishError) -> ExitError {
    match error {
        PublishError::ListName(_)
        | PublishError::Threshold(_)
        | PublishError::Signers { .. }
        | PublishError::Rotation(_) => ExitError::usage(error),
        PublishError::Io { .. } | PublishError::Random(_) => ExitError::system(error),
        _ => ExitError::failed(error),
    }
}
