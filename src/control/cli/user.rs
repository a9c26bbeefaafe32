//! `cordon user add`: the report's users.

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::Path;

use clap::Subcommand;

use super::commands::Configuration;
use crate::control::ExitError;
use crate::control::clock;
use crate::control::configuration;
use crate::control::levers::audit_log::AuditLog;
use crate::control::levers::lever::Person;
use crate::control::terminal::say;
use crate::report::{PASSWORD_CHARS_MIN, Role, User};

/// What can be done with the report's users.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Write somebody to the users file; asks for the password, or reads it from standard
    /// input. The daemon takes the change by itself.
    Add {
        /// The name to log in with: lower-case letters, digits, and . _ - @
        name: String,
        /// An operator sees exact figures; from a regulator small counts of entries are
        /// hidden.
        #[arg(long, value_parser = ["operator", "regulator"])]
        role: String,
        /// Only these lists; without it all.
        #[arg(long, value_delimiter = ',', value_name = "LIST,…")]
        lists: Option<Vec<String>>,
        /// Give a new password, role and lists to a user who is there already.
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        configuration: Configuration,
    },
}

/// Does what the command line says.
pub(super) fn run(command: UserCommand) -> Result<(), ExitError> {
    let UserCommand::Add {
        name,
        role,
        lists,
        replace,
        configuration,
    } = command;
    let config = configuration::load(&configuration.config)?;
    let users_file = config.report.and_then(|report| report.users_file);
    let Some(file) = users_file else {
        return Err(ExitError::configuration(
            "the configuration names no users file, so that the report is for this machine alone; \
             add report.users_file, such as /etc/cordon/users.yaml",
        ));
    };
    let mut asked = lists.iter().flatten();
    let is_known = |list: &&String| config.lists.iter().any(|known| known.name == **list);
    if let Some(list) = asked.find(|list| !is_known(list)) {
        return Err(ExitError::usage(format!(
            "there is no list {list} in the configuration; --lists takes names from `lists`, with commas between"
        )));
    }
    let role = Role::from_word(&role)
        .ok_or_else(|| ExitError::usage("--role is operator or regulator"))?;
    let password = password(&name)?;
    let user = User::new(&name, role, lists, &password).map_err(ExitError::usage)?;
    // The log lies in the state folder, which is there once a daemon has run.
    if config.state.is_dir() {
        let who = Person::here("", "");
        let subject = format!("{name} as {}", role.as_str());
        let act = who.act("user_add", subject, "ordered".to_owned());
        let audit = AuditLog::new(&config.state);
        audit
            .append(&act, clock::timestamp())
            .map_err(ExitError::failed)?;
    }
    let replaced = add(user, &file, replace)?;
    let done = if replaced { "replaced" } else { "added" };
    say(format_args!(
        "{name} is {done} as {} in {}",
        role.as_str(),
        file.display()
    ));
    Ok(())
}

fn add(user: User, file: &Path, replace: bool) -> Result<bool, ExitError> {
    user.add_to(file, replace).map_err(ExitError::failed)
}

/// The password: asked for twice at a terminal, else the first line of standard input.
fn password(name: &str) -> Result<String, ExitError> {
    let failed =
        |error: io::Error| ExitError::failed(format!("the password cannot be read: {error}"));
    if io::stdin().is_terminal() {
        let prompt = format!("Password for {name}, at least {PASSWORD_CHARS_MIN} characters: ");
        let password = rpassword::prompt_password(prompt).map_err(failed)?;
        let again = rpassword::prompt_password("Once more: ").map_err(failed)?;
        if password != again {
            return Err(ExitError::failed(
                "the two passwords are not the same; nothing is written",
            ));
        }
        return Ok(password);
    }
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(LINE_OCTETS_MAX)
        .read_line(&mut line)
        .map_err(failed)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A longer line is not read as a password.
const LINE_OCTETS_MAX: u64 = 4096;
