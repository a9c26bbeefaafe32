//! The command line: which command there is, and what does it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::{admin, check, explain, levers, repo, status, trust, tuf, user};
use crate::control::ExitError;
use crate::control::daemon;
use crate::control::demo;

/// Publishes signed blocklists, and enforces exactly them.
#[derive(Debug, Parser)]
#[command(name = "cordon", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The main job in one command: without root, without a network, with throw-away keys.
    Demo {
        /// Keep everything in this folder; without it a temporary one is removed at exit.
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
    /// The daemon, in the foreground.
    Run(Configuration),
    /// Show every mistake of the configuration at once; exit 0, or 78.
    Check(check::Check),
    /// Why a name, URL or address is blocked or passes, on every surface.
    Explain(explain::Explain),
    /// What is in force, and how it is.
    Status(status::Status),
    /// Take the configuration and the local lists anew.
    Reload(Configuration),
    /// Run an update round now.
    Update {
        /// Only for this list.
        list: Option<String>,
        #[command(flatten)]
        configuration: Configuration,
    },
    /// Updates that a guard holds back: show them, accept or reject one.
    Hold(levers::Hold),
    /// Put one of the stored versions of a list in force again.
    Rollback(levers::Rollback),
    /// Let a name through for a time, with all below it; without a name, show which pass.
    Allow(levers::Allow),
    /// The answer cache.
    #[command(subcommand)]
    Cache(admin::Cache),
    /// What is trusted: pin another root by hand.
    #[command(subcommand)]
    Trust(trust::TrustCommand),
    /// The report's users.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Make and keep a signed repository of lists.
    #[command(subcommand)]
    Repo(repo::RepoCommand),
    /// A plain client of TUF, for testing the verifier against others' repositories.
    #[command(hide = true)]
    Tuf(tuf::Tuf),
}

/// Where the configuration is.
#[derive(Args, Clone, Debug)]
pub(super) struct Configuration {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/cordon/cordon.yaml")]
    pub(super) config: PathBuf,
}

/// Does what the command line says.
///
/// # Errors
/// What the process says at last, and its exit code.
pub fn main() -> Result<(), ExitError> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are asked for, and go to standard output.
        Err(error) if !error.use_stderr() => {
            let _ = error.print();
            return Ok(());
        }
        Err(error) => {
            let _ = error.print();
            return Err(ExitError::usage(""));
        }
    };
    match cli.command {
        Command::Demo { state } => demo::run(state),
        Command::Run(configuration) => daemon::run(&configuration.config, |_| {}),
        Command::Check(check) => check::run(&check),
        Command::Explain(explain) => explain::run(&explain),
        Command::Status(status) => status::run(&status),
        Command::Reload(configuration) => admin::reload(&configuration),
        Command::Update {
            list,
            configuration,
        } => admin::update(&configuration, list),
        Command::Hold(hold) => levers::hold(hold),
        Command::Rollback(rollback) => levers::rollback(rollback),
        Command::Allow(allow) => levers::allow(allow),
        Command::Cache(cache) => admin::cache(&cache),
        Command::Trust(command) => trust::run(command),
        Command::User(command) => user::run(command),
        Command::Repo(command) => repo::run(command),
        Command::Tuf(tuf) => tuf::run(&tuf),
    }
}
