//! [`RepoCommand`]: the authority's commands, as they are typed.

use std::path::PathBuf;

use super::delegate::delegate;
use super::init::init;
use super::key::key;
use super::never_block::NeverBlock;
use super::policy::Policy;
use super::publish::{publish, read_legal, read_rows, scopes};
use super::refresh::refresh;
use super::status::status;
use super::withdraw::WithdrawArguments;
use crate::compile::Format;
use crate::control::ExitError;
use crate::policy::Category;
use crate::publish::{Delegation, Publication};

/// Make and keep a signed repository of lists: a static folder for any web server.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RepoCommand {
    /// Make a repository and its keys.
    Init {
        #[command(flatten)]
        place: Place,
        /// How many root keys and how many targets keys must sign; as many are made.
        #[arg(long, default_value_t = 1)]
        threshold: usize,
        #[command(flatten)]
        output: Output,
    },
    /// Show the keys at hand, or make another keeper's key.
    Key {
        /// The folder of the keys.
        #[arg(long)]
        keys: PathBuf,
        /// Make a key of that name.
        #[arg(long)]
        new: Option<String>,
        /// The repository, to say what each key signs.
        repo: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// Delegate a list: make the keys of its role.
    Delegate {
        #[command(flatten)]
        place: Place,
        /// The list's name: a-z, 0-9 and -.
        #[arg(long)]
        list: String,
        /// Its title, in English.
        #[arg(long)]
        title: String,
        /// The class of its content.
        #[arg(long, value_parser = category)]
        category: Category,
        /// How many keys must sign the list; as many are made.
        #[arg(long, default_value_t = 1)]
        threshold: usize,
        #[command(flatten)]
        output: Output,
    },
    /// Publish a version of a list: a full replacement.
    Publish {
        #[command(flatten)]
        place: Place,
        /// The list's name.
        #[arg(long)]
        list: String,
        /// The file of rows; - is standard input.
        #[arg(long)]
        from: PathBuf,
        /// How the rows are written: native, domains, hosts, urls, rpz, addresses.
        #[arg(long, value_parser = format)]
        format: Format,
        /// How far rows go where the format does not say it: exact, subtree or children for
        /// domains, exact or prefix for urls.
        #[arg(long = "match")]
        matches: Option<String>,
        /// The legal file: issuer, category, legal basis, redress.
        #[arg(long)]
        legal: Option<PathBuf>,
        /// Publish even a version that nodes will hold until their operators decide; say why.
        #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        accept_guard: Option<String>,
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
            output,
        } => init(&place, threshold, &output),
        RepoCommand::Key {
            keys,
            new,
            repo,
            output,
        } => key(&keys, new.as_deref(), repo.as_deref(), &output),
        RepoCommand::Delegate {
            place,
            list,
            title,
            category,
            threshold,
            output,
        } => {
            let delegation = Delegation {
                list,
                title,
                category,
                threshold,
            };
            delegate(&place, &delegation, &output)
        }
        RepoCommand::Publish {
            place,
            list,
            from,
            format,
            matches,
            legal,
            accept_guard,
            output,
        } => {
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
            publish(&place, &publication, &output)
        }
        RepoCommand::Policy(policy) => policy.run(),
        RepoCommand::NeverBlock(names) => names.run(),
        RepoCommand::Withdraw(arguments) => arguments.run(),
        RepoCommand::Refresh { place, output } => refresh(&place, &output),
        RepoCommand::Status { repo, keys, output } => status(&repo, keys.as_deref(), &output),
    }
}

fn category(word: &str) -> Result<Category, String> {
    let published = Category::ALL
        .into_iter()
        .filter(|category| *category != Category::Local);
    let words: Vec<&str> = published.map(Category::as_str).collect();
    Category::from_word(word)
        .filter(|category| *category != Category::Local)
        .ok_or_else(|| format!("is none of {}", words.join(", ")))
}

fn format(word: &str) -> Result<Format, String> {
    let words = Format::ALL.map(Format::as_str);
    Format::from_word(word).ok_or_else(|| format!("is none of {}", words.join(", ")))
}
