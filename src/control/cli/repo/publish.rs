//! `cordon repo publish`: a version of a list, from a file of rows.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use super::at_hand::{keys, repository};
use super::command::{Output, Place, Stage};
use super::outcome::{exit, say, say_json, warn};
use super::proposal::staged_next;
use super::words::{grouped, published_json, published_text, staged_text};
use crate::compile::Format;
use crate::control::ExitError;
use crate::control::clock;
use crate::policy::{Scope, UrlScope};
use crate::publish::{Legal, Progress, Publication, PublishError};

/// Publishes the version, and says what it brought.
pub(super) fn publish(
    place: &Place,
    publication: &Publication,
    stage: Stage,
    output: &Output,
) -> Result<(), ExitError> {
    let keys = keys(place)?;
    let mut repository = repository(place, stage)?;
    let bar = progress_bar();
    let mut progress = |progress| match progress {
        Progress::Read(rows) => bar.set_message(format!("{} rows read", grouped(rows))),
        Progress::Compress => bar.set_message("compressing"),
        // A passphrase may be asked for, and the line has to be free.
        Progress::Sign => bar.finish_and_clear(),
    };
    let published = repository.publish(&keys, publication, clock::timestamp(), &mut progress);
    bar.finish_and_clear();
    drop(repository);
    let published = published.map_err(exit)?;
    for warning in &published.warnings {
        warn(warning);
    }
    if output.json {
        let mut value = published_json(&published);
        if let Some(value) = value.as_object_mut() {
            value.insert("staged".to_owned(), stage.stage.into());
        }
        return say_json(&value);
    }
    if stage.stage && published.is_new {
        let next = staged_next(place, &keys)?;
        return say(&format!("{}\n{next}", staged_text(&published)));
    }
    say(&published_text(place, &published))
}

/// How far rows go, by `--match`.
pub(super) fn scopes(
    format: Format,
    matches: Option<&str>,
) -> Result<(Option<Scope>, UrlScope), ExitError> {
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
pub(super) fn read_rows(path: &Path) -> Result<Vec<u8>, ExitError> {
    let failed = |error| ExitError::failed(format!("{}: {error}", path.display()));
    let mut rows = Vec::new();
    let limit = ROWS_OCTETS_MAX.saturating_add(1);
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut rows)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut rows))
    };
    read.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ExitError::failed(format!(
            "{}: there is no such file; --from names the file of rows, and - is standard input",
            path.display()
        )),
        _ => failed(error),
    })?;
    if rows.len() as u64 > ROWS_OCTETS_MAX {
        return Err(ExitError::failed(format!(
            "{}: is larger than 1 GiB",
            path.display()
        )));
    }
    Ok(rows)
}

/// Reads the legal file.
pub(super) fn read_legal(path: &Path) -> Result<Legal, ExitError> {
    let yaml = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ExitError::failed(format!(
            "{}: there is no such file; --legal names the legal file",
            path.display()
        )),
        _ => ExitError::failed(format!("{}: {error}", path.display())),
    })?;
    Legal::read(&yaml).map_err(|mistakes| {
        exit(PublishError::Yaml {
            path: path.to_owned(),
            mistakes,
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

/// The largest file of rows.
const ROWS_OCTETS_MAX: u64 = 1 << 30;

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
