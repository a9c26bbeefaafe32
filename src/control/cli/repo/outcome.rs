//! How the outcome of an authority's command is said, and with which exit code.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use crate::control::ExitError;
use crate::publish::{PublishError, plain_lines};

/// Says it to a person. Whoever wrote what is in it, it cannot make a terminal show something
/// else.
pub(super) fn say(text: &str) -> Result<(), ExitError> {
    writeln!(std::io::stdout().lock(), "{}", plain_lines(text)).map_err(ExitError::system)
}

/// Says, likewise, what somebody should know beside the outcome.
pub(super) fn warn(text: &str) {
    eprintln!("warning: {}", plain_lines(text));
}

/// Reads a free text of the command line.
///
/// # Errors
/// The end of a sentence for one that is empty, or has more than one line, or would make a
/// terminal show something else.
pub(super) fn free_text(text: &str) -> Result<String, String> {
    match text.trim().is_empty() || text.contains(char::is_control) {
        true => Err("is to be a line of text, without control characters".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// Says it to a program.
pub(super) fn say_json(value: &serde_json::Value) -> Result<(), ExitError> {
    say(&format!("{value:#}"))
}

/// Reads a file of text that an authority writes.
///
/// # Errors
/// A sentence where there is none, or it is too long.
pub(super) fn read_text(path: &Path) -> Result<String, ExitError> {
    let failed = |error: std::io::Error| {
        ExitError::failed(format!("{}: cannot be read: {error}", path.display()))
    };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(TEXT_OCTETS_MAX + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > TEXT_OCTETS_MAX {
        return Err(ExitError::failed(format!(
            "{}: is longer than {TEXT_OCTETS_MAX} octets",
            path.display()
        )));
    }
    Ok(text)
}

/// The longest file of text.
const TEXT_OCTETS_MAX: u64 = 4 << 20;

/// The exit code by what went wrong.
pub(super) fn exit(error: PublishError) -> ExitError {
    match error {
        PublishError::ListName(_)
        | PublishError::KeyName(_)
        | PublishError::Threshold(_)
        | PublishError::Signers { .. }
        | PublishError::Rotation(_) => ExitError::usage(error),
        PublishError::Io { .. } | PublishError::Random(_) => ExitError::system(error),
        _ => ExitError::failed(error),
    }
}
