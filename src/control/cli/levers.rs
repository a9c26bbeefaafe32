//! `cordon hold`, `cordon rollback`, `cordon allow`: what a person decides on the running node.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::commands::Configuration;
use crate::control::ExitError;
use crate::control::configuration;
use crate::control::levers::lever::{Lever, Person};
use crate::control::shown::Shown;
use crate::control::socket::{self, Request};
use crate::control::terminal::say;

/// What `cordon hold` is told.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Hold {
    #[command(subcommand)]
    decide: Option<Decide>,
    /// For programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    configuration: Configuration,
}

/// What becomes of a held version.
#[derive(Clone, Debug, Subcommand)]
enum Decide {
    /// Put the held version in force.
    Accept(Decided),
    /// Never put it in force; the next one is judged anew.
    Reject(Decided),
}

/// Which version, by whom, and why.
#[derive(Args, Clone, Debug)]
struct Decided {
    /// The list.
    list: String,
    /// Its serial as `cordon hold` shows it; of a local list the first digits of its digest.
    serial: String,
    #[command(flatten)]
    answerable: Answerable,
    #[command(flatten)]
    configuration: Configuration,
}

/// Who answers for it.
#[derive(Args, Clone, Debug)]
struct Answerable {
    /// Your name; it goes to the audit log.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why; it goes to the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// What `cordon rollback` is told.
#[derive(Args, Clone, Debug)]
pub(super) struct Rollback {
    /// The list.
    list: String,
    /// The serial to go back to, of those that are stored; without it the one before. Of a
    /// local list the first digits of its digest.
    serial: Option<String>,
    #[command(flatten)]
    answerable: Answerable,
    #[command(flatten)]
    configuration: Configuration,
}

/// What `cordon allow` is told.
#[derive(Args, Clone, Debug)]
pub(super) struct Allow {
    /// The name; all below it passes, too. Without it the names that pass are shown.
    name: Option<String>,
    /// For how long, at most 7d: such as 24h, 90m, 2d.
    #[arg(long = "for", value_name = "TIME", value_parser = span, requires = "name", conflicts_with = "end")]
    span: Option<Duration>,
    /// End it now.
    #[arg(long, requires = "name")]
    end: bool,
    /// Your name; it goes to the audit log.
    #[arg(long, value_name = "NAME", requires = "name")]
    by: Option<String>,
    /// Why; it goes to the audit log.
    #[arg(long, value_name = "TEXT", requires = "name")]
    reason: Option<String>,
    /// For programs, where the names are shown.
    #[arg(long, conflicts_with = "name")]
    json: bool,
    #[command(flatten)]
    configuration: Configuration,
}

impl From<Answerable> for Person {
    fn from(answerable: Answerable) -> Self {
        Self {
            by: answerable.by,
            reason: answerable.reason,
            uid: None,
        }
    }
}

/// Shows what is held, or decides on it.
pub(super) fn hold(hold: Hold) -> Result<(), ExitError> {
    let (decided, accepts) = match hold.decide {
        None => {
            let state = configuration::state(&hold.configuration.config)?;
            Shown::ask(&state, &Request::Held)?.print(hold.json);
            return Ok(());
        }
        Some(Decide::Accept(decided)) => (decided, true),
        Some(Decide::Reject(decided)) => (decided, false),
    };
    let (list, version) = (decided.list, decided.serial);
    let lever = if accepts {
        Lever::HoldAccept { list, version }
    } else {
        Lever::HoldReject { list, version }
    };
    pull(&decided.configuration, lever, decided.answerable.into())
}

/// Puts a stored version of a list in force again.
pub(super) fn rollback(rollback: Rollback) -> Result<(), ExitError> {
    let lever = Lever::Rollback {
        list: rollback.list,
        version: rollback.serial,
    };
    pull(&rollback.configuration, lever, rollback.answerable.into())
}

/// Lets a name through for a time, ends that, or shows which names pass.
pub(super) fn allow(allow: Allow) -> Result<(), ExitError> {
    let Some(name) = allow.name else {
        let state = configuration::state(&allow.configuration.config)?;
        Shown::ask(&state, &Request::Allowed)?.print(allow.json);
        return Ok(());
    };
    let lever = match (allow.span, allow.end) {
        (Some(span), false) => Lever::Allow {
            name,
            seconds: span.as_secs(),
        },
        (None, true) => Lever::EndAllow { name },
        _ => {
            return Err(ExitError::usage(
                "say for how long with --for, such as --for 24h, or --end",
            ));
        }
    };
    let person = Person {
        by: allow.by.unwrap_or_default(),
        reason: allow.reason.unwrap_or_default(),
        uid: None,
    };
    pull(&allow.configuration, lever, person)
}

fn pull(configuration: &Configuration, lever: Lever, person: Person) -> Result<(), ExitError> {
    let state = configuration::state(&configuration.config)?;
    let done = socket::ask(&state, &Request::Lever { lever, person })?;
    say(done.as_str().unwrap_or_default());
    Ok(())
}

/// A time such as `24h`.
fn span(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 0,
    };
    let count: u64 = digits.parse().unwrap_or(0);
    match count.checked_mul(seconds) {
        Some(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err("write a number and one of s, m, h, d, such as 24h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_in_the_configuration() {
        for (text, seconds) in [("30s", 30), ("90m", 5400), ("24h", 86_400), ("2d", 172_800)] {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)));
        }
        for text in [
            "",
            "24",
            "h",
            "0h",
            "-1h",
            "1w",
            "1.5h",
            "99999999999999999999d",
        ] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
