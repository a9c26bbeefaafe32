//! `cordon repo`: the authority's commands, and what they say.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::super::{ExitError, clock};
use super::repo_words::{
    grouped, keys_json, keys_text, published_json, published_text, status_json, status_text,
};
use crate::compile::Format;
use crate::policy::{Category, Scope, UrlScope};
use crate::publish::{
    Delegation, Keyring, Legal, Progress, Publication, PublishError, Refreshed, Repository,
    RoleStatus,
};

/// Make and keep a signed repository of lists: a static folder for any web server.
#[derive(Debug, clap::Subcommand)]
pub(super) enum RepoCommand {
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
        #[command(flatten)]
        output: Output,
    },
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
pub(super) struct Place {
    /// The repository.
    pub(super) repo: PathBuf,
    /// The folder of the keys.
    #[arg(long)]
    pub(super) keys: PathBuf,
}

/// How the outcome is said.
#[derive(Debug, clap::Args)]
pub(super) struct Output {
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// Runs one of the authority's commands.
///
/// # Errors
/// [`ExitError`] when it could not be done; what was published before still is.
pub(super) fn run(command: RepoCommand) -> Result<(), ExitError> {
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
            };
            publish(&place, &publication, &output)
        }
        RepoCommand::Refresh { place, output } => refresh(&place, &output),
        RepoCommand::Status { repo, keys, output } => status(&repo, keys.as_deref(), &output),
    }
}

fn init(place: &Place, threshold: usize, output: &Output) -> Result<(), ExitError> {
    let mut keys = Keyring::open(&place.keys).map_err(exit)?;
    let now = clock::timestamp();
    let (_, made) = Repository::init(&place.repo, &mut keys, threshold, now).map_err(exit)?;
    let root = place.repo.join("metadata/1.root.json");
    if output.json {
        return say_json(&json!({"trust": root, "keys": keys_json(&made)}));
    }
    let (repo, folder) = (place.repo.display(), place.keys.display());
    say(&format!(
        "Made the repository {repo} and its keys in {folder}:\n\n{}\n\
         Nodes pin {} as `trust`: give it to them by a way of its own.\n\
         Keep root and targets keys away from the machine that publishes; the others sign often.\n\
         Next: cordon repo delegate {repo} --keys {folder} --list NAME --title TITLE --category CATEGORY",
        keys_text(&made),
        root.display(),
    ))
}

fn key(
    folder: &Path,
    new: Option<&str>,
    repo: Option<&Path>,
    output: &Output,
) -> Result<(), ExitError> {
    let mut keys = Keyring::open(folder).map_err(exit)?;
    let shown = match new {
        Some(name) if name.is_empty() || name.starts_with('.') || name.contains('/') => {
            return Err(ExitError::usage(format!(
                "{name:?} is no name of a key file"
            )));
        }
        Some(name) => vec![keys.make(name).map_err(exit)?],
        None => keys.public_keys(),
    };
    let roles = match repo {
        Some(repo) => Repository::open(repo).map_err(exit)?.status(&keys).roles,
        None => Vec::new(),
    };
    let signs = |id: &str| -> Vec<&str> {
        let has = |role: &&RoleStatus| role.keys.iter().any(|(key, _)| key == id);
        roles
            .iter()
            .filter(has)
            .map(|role| role.role.as_str())
            .collect()
    };
    if output.json {
        let shown: Vec<_> = shown
            .iter()
            .map(|key| json!({"name": key.name, "id": key.id, "public": key.public, "roles": signs(&key.id)}))
            .collect();
        return say_json(&json!({"keys": shown}));
    }
    if shown.is_empty() {
        return say(&format!("There is no key in {}.", folder.display()));
    }
    let blocks: Vec<String> = shown
        .iter()
        .map(|key| {
            let signs = match signs(&key.id).join(", ") {
                signs if repo.is_some() && signs.is_empty() => "\n  signs   nothing".to_owned(),
                signs if signs.is_empty() => String::new(),
                signs => format!("\n  signs   {signs}"),
            };
            format!(
                "{}\n  id      {}\n  public  {}{signs}",
                key.name, key.id, key.public
            )
        })
        .collect();
    say(&blocks.join("\n"))
}

fn delegate(place: &Place, delegation: &Delegation, output: &Output) -> Result<(), ExitError> {
    let mut keys = Keyring::open(&place.keys).map_err(exit)?;
    let mut repository = Repository::open(&place.repo).map_err(exit)?;
    let made = repository
        .delegate(&mut keys, delegation, clock::timestamp())
        .map_err(exit)?;
    let list = &delegation.list;
    if output.json {
        return say_json(&json!({"list": list, "keys": keys_json(&made)}));
    }
    say(&format!(
        "Delegated list {list} to keys in {}:\n\n{}\n\
         Next: cordon repo publish {} --keys {} --list {list} --from FILE --format FORMAT --legal legal.yaml",
        place.keys.display(),
        keys_text(&made),
        place.repo.display(),
        place.keys.display(),
    ))
}

fn publish(place: &Place, publication: &Publication, output: &Output) -> Result<(), ExitError> {
    let keys = Keyring::open(&place.keys).map_err(exit)?;
    let mut repository = Repository::open(&place.repo).map_err(exit)?;
    let bar = progress_bar();
    let mut progress = |progress| match progress {
        Progress::Read(rows) => bar.set_message(format!("{} rows read", grouped(rows))),
        Progress::Compress => bar.set_message("compressing"),
        Progress::Sign => bar.set_message("signing"),
    };
    let published = repository.publish(&keys, publication, clock::timestamp(), &mut progress);
    bar.finish_and_clear();
    let published = published.map_err(exit)?;
    if output.json {
        return say_json(&published_json(&published));
    }
    say(&published_text(place, &published))
}

fn refresh(place: &Place, output: &Output) -> Result<(), ExitError> {
    let keys = Keyring::open(&place.keys).map_err(exit)?;
    let mut repository = Repository::open(&place.repo).map_err(exit)?;
    let Refreshed { renewed, left } = repository
        .refresh(&keys, clock::timestamp())
        .map_err(exit)?;
    if output.json {
        let renewed: Vec<_> = renewed
            .iter()
            .map(
                |role| json!({"role": role.role, "version": role.version, "expires": role.expires}),
            )
            .collect();
        let left: Vec<_> = left
            .iter()
            .map(|role| json!({"role": role.role, "expires": role.expires, "reason": role.reason}))
            .collect();
        return say_json(&json!({"renewed": renewed, "left": left}));
    }
    let mut lines = Vec::new();
    // A job that runs every few minutes is to be heard when it did something.
    if renewed.is_empty() && left.is_empty() && !std::io::stdout().is_terminal() {
        return Ok(());
    }
    if renewed.is_empty() {
        lines.push(
            "Nothing to renew: no role whose keys are at hand is past half its life.".to_owned(),
        );
    }
    for role in &renewed {
        lines.push(format!(
            "Renewed {}: version {}, expires {}.",
            role.role, role.version, role.expires
        ));
    }
    for role in &left {
        lines.push(format!(
            "Left {}, which expires {}: {}.",
            role.role, role.expires, role.reason
        ));
    }
    say(&lines.join("\n"))?;
    // A root that others sign is named in time; what ends soon is an error.
    let soon = clock::timestamp() + LEFT_MAX;
    if left.iter().any(|role| role.expires < soon) {
        return Err(ExitError::failed(
            "A role ends soon that cannot be renewed here: its keys are not in this folder.",
        ));
    }
    Ok(())
}

fn status(repo: &Path, keys: Option<&Path>, output: &Output) -> Result<(), ExitError> {
    let keys = Keyring::open(keys.unwrap_or(Path::new(""))).map_err(exit)?;
    let status = Repository::open(repo).map_err(exit)?.status(&keys);
    if output.json {
        return say_json(&status_json(&status));
    }
    say(&status_text(repo, &status))
}

/// How far rows go, by `--match`.
fn scopes(format: Format, matches: Option<&str>) -> Result<(Option<Scope>, UrlScope), ExitError> {
    match (format, matches) {
        (Format::Domains, None) => Err(ExitError::usage(
            "a list of domains does not say how far a row goes; give --match exact or --match subtree",
        )),
        (Format::Domains, Some(word)) => match Scope::from_word(word) {
            Some(scope) => Ok((Some(scope), UrlScope::Exact)),
            None => Err(ExitError::usage(format!(
                "`{word}` is no match of domains: exact, subtree or children"
            ))),
        },
        (Format::Urls, Some(word)) => match UrlScope::from_word(word) {
            Some(scope) => Ok((None, scope)),
            None => Err(ExitError::usage(format!(
                "`{word}` is no match of URLs: exact or prefix"
            ))),
        },
        (_, None) => Ok((None, UrlScope::Exact)),
        (format, Some(_)) => Err(ExitError::usage(format!(
            "--match is not for format {}, whose rows say it themselves",
            format.as_str()
        ))),
    }
}

/// Reads the rows.
fn read_rows(path: &Path) -> Result<Vec<u8>, ExitError> {
    let failed = |error| ExitError::failed(format!("{}: {error}", path.display()));
    let mut rows = Vec::new();
    let limit = ROWS_OCTETS_MAX.saturating_add(1);
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut rows)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut rows))
    };
    read.map_err(failed)?;
    if rows.len() as u64 > ROWS_OCTETS_MAX {
        return Err(ExitError::failed(format!(
            "{}: is larger than 1 GiB",
            path.display()
        )));
    }
    Ok(rows)
}

/// Reads the legal file.
fn read_legal(path: &Path) -> Result<Legal, ExitError> {
    let yaml = std::fs::read_to_string(path)
        .map_err(|error| ExitError::failed(format!("{}: {error}", path.display())))?;
    Legal::read(&yaml).map_err(|mistake| {
        exit(PublishError::Legal {
            path: path.to_owned(),
            line: mistake.line,
            column: mistake.column,
            reason: mistake.reason,
        })
    })
}

/// Shows that long work goes on, when somebody looks.
fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}

fn say(text: &str) -> Result<(), ExitError> {
    writeln!(std::io::stdout().lock(), "{text}").map_err(ExitError::system)
}

fn say_json(value: &serde_json::Value) -> Result<(), ExitError> {
    say(&format!("{value:#}"))
}

/// The exit code by what went wrong.
fn exit(error: PublishError) -> ExitError {
    match error {
        PublishError::ListName(_) | PublishError::Threshold(_) => ExitError::usage(error),
        PublishError::Io { .. } | PublishError::Random(_) => ExitError::system(error),
        _ => ExitError::failed(error),
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

/// The largest file of rows.
const ROWS_OCTETS_MAX: u64 = 1 << 30;

/// A role that nobody here can renew and that ends within this is an error.
const LEFT_MAX: std::time::Duration = std::time::Duration::from_secs(30 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_match_is_asked_for_where_the_format_does_not_say_it() {
        let check = |format, word| scopes(format, word).ok();
        assert_eq!(check(Format::Domains, None), None);
        assert_eq!(check(Format::Domains, Some("prefix")), None);
        assert_eq!(
            check(Format::Domains, Some("subtree")),
            Some((Some(Scope::Subtree), UrlScope::Exact))
        );
        assert_eq!(check(Format::Urls, None), Some((None, UrlScope::Exact)));
        assert_eq!(
            check(Format::Urls, Some("prefix")),
            Some((None, UrlScope::Prefix))
        );
        assert_eq!(check(Format::Hosts, Some("exact")), None);
        assert_eq!(check(Format::Native, None), Some((None, UrlScope::Exact)));
    }
}
