//! [`RepoCommand`]: the authority's commands, as they are typed.

use std::path::PathBuf;

use super::at_hand::public_keys;
use super::delegate::DelegateArguments;
use super::init::init;
use super::key::{NewKey, key};
use super::never_block::NeverBlock;
use super::outcome::free_text;
use super::policy::Policy;
use super::proposal::staged_next;
use super::publish::{publish, read_legal, read_rows, scopes};
use super::refresh::refresh;
use super::rotate::rotate;
use super::sign::{discard, publish_staged, sign};
use super::status::status;
use super::withdraw::WithdrawArguments;
use crate::compile::Format;
use crate::control::ExitError;
use crate::publish::{Keyring, Publication, Rotation};

/// Make and keep a signed repository of lists: a static folder for any web server.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RepoCommand {
    /// Make a repository and its keys.
    Init {
        #[command(flatten)]
        place: Place,
        /// How many root keys and how many targets keys must sign; as many are made where
        /// none are given.
        #[arg(long, default_value_t = 1)]
        threshold: usize,
        /// A keeper's public key, for root, targets, snapshot, timestamp or withdraw; repeat it.
        #[arg(long, value_name = "ROLE=FILE.pub", value_parser = role_and_file)]
        key: Vec<(String, PathBuf)>,
        #[command(flatten)]
        stage: Stage,
        #[command(flatten)]
        output: Output,
    },
    /// Show the keys at hand, or make a key; the public half is NAME.pub.
    Key {
        /// The folder of the keys.
        #[arg(long)]
        keys: PathBuf,
        /// Make a key of that name.
        #[arg(long)]
        new: Option<String>,
        /// Encrypt it with a passphrase, which is asked for.
        #[arg(long, requires = "new")]
        passphrase: bool,
        /// The passphrase: the first line of this file. With --new, it encrypts the key.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// The repository, to say what each key signs.
        repo: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// Delegate a list to keys of its own, or withdrawals to duty officers.
    Delegate(DelegateArguments),
    /// Publish a version of a list, a full replacement, or what is staged.
    Publish {
        #[command(flatten)]
        place: Place,
        /// The list's name.
        #[arg(long, required_unless_present = "staged")]
        list: Option<String>,
        /// The file of rows; - is standard input.
        #[arg(long, required_unless_present = "staged")]
        from: Option<PathBuf>,
        /// How the rows are written: native, domains, hosts, urls, rpz, addresses.
        #[arg(long, value_parser = format, required_unless_present = "staged")]
        format: Option<Format>,
        /// How far rows go where the format does not say it: exact, subtree or children for
        /// domains, exact or prefix for urls.
        #[arg(long = "match")]
        matches: Option<String>,
        /// The legal file: issuer, category, legal basis, redress.
        #[arg(long)]
        legal: Option<PathBuf>,
        /// Publish even a version that nodes will hold until their operators decide; say why.
        #[arg(long, value_name = "REASON", value_parser = free_text)]
        accept_guard: Option<String>,
        /// Publish what is staged, which enough keepers must have signed.
        #[arg(long, conflicts_with_all = ["list", "from", "format", "matches", "legal", "stage"])]
        staged: bool,
        #[command(flatten)]
        stage: Stage,
        #[command(flatten)]
        output: Output,
    },
    /// Sign what is staged: shows what it would change, and asks.
    Sign {
        /// The repository, or a copy of it.
        repo: PathBuf,
        /// The folder of your keys.
        #[arg(long, required_unless_present = "discard")]
        keys: Option<PathBuf>,
        /// The passphrase of encrypted keys: the first line of this file; without it, it is
        /// asked for.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// Sign without asking, if this is the digest of what is staged.
        #[arg(long, value_name = "DIGEST")]
        yes: Option<String>,
        /// Show every entry that comes and goes.
        #[arg(long)]
        all: bool,
        /// Throw away what is staged, with its signatures.
        #[arg(long, conflicts_with_all = ["keys", "yes", "all", "passphrase_file"])]
        discard: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Give a role other keys, or another threshold.
    Rotate {
        #[command(flatten)]
        place: Place,
        /// The role: root, targets, snapshot, timestamp, withdraw, or list-NAME.
        #[arg(long)]
        role: String,
        /// The public key of a keeper who comes; repeat it.
        #[arg(long, value_name = "FILE.pub")]
        add: Vec<PathBuf>,
        /// Make a key of that name, which comes; repeat it.
        #[arg(long, value_name = "NAME")]
        new: Vec<String>,
        /// The id of a key that goes, or the beginning of it; repeat it.
        #[arg(long, value_name = "KEYID")]
        remove: Vec<String>,
        /// How many keys must sign from now on.
        #[arg(long)]
        threshold: Option<usize>,
        #[command(flatten)]
        stage: Stage,
        #[command(flatten)]
        output: Output,
    },
    /// Publish what each list may hold and how far it may change: signed by the offline keys.
    Policy(Policy),
    /// Publish the names that no list may block: signed by the offline keys.
    NeverBlock(NeverBlock),
    /// Let entries through at once, before their list drops them.
    Withdraw(WithdrawArguments),
    /// Renew every role past half its life whose keys are at hand; run it every few minutes.
    Refresh {
        #[command(flatten)]
        place: Place,
        /// Stage those whose keys are not, so that their keepers can sign.
        #[command(flatten)]
        stage: Stage,
        #[command(flatten)]
        output: Output,
    },
    /// Say how the repository stands.
    Status {
        /// The repository.
        repo: PathBuf,
        /// The folder of the keys, to say which are at hand.
        #[arg(long)]
        keys: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
}

/// Where repository and keys are.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The repository.
    pub(super) repo: PathBuf,
    /// The folder of the keys.
    #[arg(long)]
    pub(super) keys: PathBuf,
    /// The passphrase of encrypted keys: the first line of this file; without it, it is
    /// asked for.
    #[arg(long, value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
}

/// Whether what the keys at hand cannot sign alone is staged.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Stage {
    /// Do not publish it: let it wait in the repository until enough keepers have signed.
    #[arg(long)]
    pub(super) stage: bool,
}

impl Stage {
    /// What comes next, where it was staged.
    pub(super) fn next(self, place: &Place, keys: &Keyring) -> Result<Option<String>, ExitError> {
        self.stage.then(|| staged_next(place, keys)).transpose()
    }
}

/// How the outcome is said.
#[derive(Debug, clap::Args)]
pub(crate) struct Output {
    /// For programs.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs one of the authority's commands.
///
/// # Errors
/// [`ExitError`] when it could not be done; what was published before still is.
pub(crate) fn run(command: RepoCommand) -> Result<(), ExitError> {
    match command {
        RepoCommand::Init {
            place,
            threshold,
            key,
            stage,
            output,
        } => init(&place, threshold, &key, stage, &output),
        RepoCommand::Key {
            keys,
            new,
            passphrase,
            passphrase_file,
            repo,
            output,
        } => {
            let wanted = NewKey {
                name: new.as_deref(),
                asks: passphrase,
                passphrase_file: passphrase_file.as_deref(),
            };
            key(&keys, &wanted, repo.as_deref(), &output)
        }
        RepoCommand::Delegate(arguments) => arguments.run(),
        RepoCommand::Publish { .. } => run_publish(command),
        RepoCommand::Policy(policy) => policy.run(),
        RepoCommand::NeverBlock(names) => names.run(),
        RepoCommand::Withdraw(arguments) => arguments.run(),
        RepoCommand::Sign { .. } => run_sign(command),
        RepoCommand::Rotate { .. } => run_rotate(command),
        RepoCommand::Refresh {
            place,
            stage,
            output,
        } => refresh(&place, stage, &output),
        RepoCommand::Status { repo, keys, output } => status(&repo, keys.as_deref(), &output),
    }
}

/// Signs what is staged, or throws it away.
fn run_sign(command: RepoCommand) -> Result<(), ExitError> {
    let RepoCommand::Sign {
        repo,
        keys,
        passphrase_file,
        yes,
        all,
        discard: _,
        output,
    } = command
    else {
        return Ok(());
    };
    let Some(keys) = keys else {
        return discard(&repo, &output);
    };
    let place = Place {
        repo,
        keys,
        passphrase_file,
    };
    sign(&place, yes.as_deref(), all, &output)
}

/// Gives a role other keys.
fn run_rotate(command: RepoCommand) -> Result<(), ExitError> {
    let RepoCommand::Rotate {
        place,
        role,
        add,
        new,
        remove,
        threshold,
        stage,
        output,
    } = command
    else {
        return Ok(());
    };
    let rotation = Rotation {
        role,
        add: public_keys(&add)?,
        new,
        remove,
        threshold,
    };
    rotate(&place, &rotation, stage, &output)
}

/// Publishes rows, or what is staged.
fn run_publish(command: RepoCommand) -> Result<(), ExitError> {
    let RepoCommand::Publish {
        place,
        list,
        from,
        format,
        matches,
        legal,
        accept_guard,
        staged: _,
        stage,
        output,
    } = command
    else {
        return Ok(());
    };
    let (Some(list), Some(from), Some(format)) = (list, from, format) else {
        if accept_guard.is_some() {
            return Err(ExitError::usage(
                "a reason is signed with what it is for, so it is given where that is staged: \
                 give --accept-guard together with --stage, and have it signed anew",
            ));
        }
        return publish_staged(&place, &output);
    };
    let (scope, url_scope) = scopes(format, matches.as_deref())?;
    let publication = Publication {
        list,
        text: read_rows(&from)?,
        format,
        scope,
        url_scope,
        legal: legal
            .as_deref()
            .map(read_legal)
            .transpose()?
            .unwrap_or_default(),
        accept_guard,
    };
    publish(&place, &publication, stage, &output)
}

fn role_and_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((role, file)) if FOUNDED.contains(&role) && !file.is_empty() => {
            Ok((role.to_owned(), file.into()))
        }
        _ => Err(format!(
            "is not ROLE=FILE.pub; ROLE is one of {}",
            FOUNDED.join(", ")
        )),
    }
}

fn format(word: &str) -> Result<Format, String> {
    let words = Format::ALL.map(Format::as_str);
    Format::from_word(word).ok_or_else(|| format!("is none of {}", words.join(", ")))
}

/// The roles that a new repository has.
const FOUNDED: [&str; 5] = ["root", "targets", "snapshot", "timestamp", "withdraw"];
