//! Reads the configuration for a command, and says its mistakes to the person at the
//! terminal.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use crate::config::{Config, Repository};
use crate::control::ExitError;
use crate::report;
use crate::source::Source;
use crate::verify::TrustedMetadata;

/// Reads the configuration.
///
/// # Errors
/// Every mistake, with file, line, column and a way to mend it; exit code 78.
pub(super) fn load(file: &Path) -> Result<Config, ExitError> {
    let config = Config::load(file).map_err(|mistakes| {
        ExitError::configuration(mistakes.render(std::io::stderr().is_terminal()))
    })?;
    check_files(&config).map_err(ExitError::configuration)?;
    Ok(config)
}

/// Whether the files that the configuration names hold what their parts need: pinned roots,
/// certificates, keys, users.
///
/// # Errors
/// A sentence for each that does not, a line each.
pub(super) fn check_files(config: &Config) -> Result<(), String> {
    let mut wrong = Vec::new();
    for Repository {
        name,
        source,
        verify,
        ..
    } in &config.repositories
    {
        if let Err(error) = Source::new(source) {
            wrong.push(format!("repository {name}, `tls`: {error}"));
        }
        if let Err(error) = TrustedMetadata::restore(name, verify, &BTreeMap::new()) {
            wrong.push(format!("repository {name}, `trust`: {error}"));
        }
    }
    let report = config
        .report
        .as_ref()
        .map(report::check)
        .unwrap_or_default();
    wrong.extend(report.iter().map(|error| format!("`report`: {error}")));
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n"))
    }
}

/// The state folder, for commands that only speak to the running daemon: it runs with the
/// configuration that it took, whatever the file says by now.
///
/// # Errors
/// Every mistake, where the file does not even say that.
pub(super) fn state(file: &Path) -> Result<PathBuf, ExitError> {
    let mistakes = match Config::load(file) {
        Ok(config) => return Ok(config.state),
        Err(mistakes) => mistakes,
    };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("state:"));
    let Some(state) = line.map(|value| {
        value
            .split(" #")
            .next()
            .unwrap_or_default()
            .trim()
            .trim_matches(['"', '\''])
    }) else {
        return Err(ExitError::configuration(
            mistakes.render(std::io::stderr().is_terminal()),
        ));
    };
    eprintln!(
        "The configuration {} has mistakes by now (`cordon check` shows them); the daemon is asked about what it took before.",
        file.display()
    );
    Ok(PathBuf::from(state))
}
