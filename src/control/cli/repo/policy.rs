//! `cordon repo policy`: what each list may hold, signed by the offline keys.

use std::path::PathBuf;

use serde_json::json;

use super::command::{Output, Place};
use super::outcome::{exit, read_text, say, say_json};
use crate::control::{ExitError, clock};
use crate::publish::{Keyring, OfflineChange, PolicyFile, PublishError, Repository};

/// What is asked of `cordon repo policy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Policy {
    #[command(flatten)]
    place: Place,
    /// The policy; `config/policy.example.yaml` says what can stand in it.
    #[arg(long)]
    from: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl Policy {
    /// Publishes the policy, and says what it changes.
    pub(super) fn run(&self) -> Result<(), ExitError> {
        let yaml = read_text(&self.from)?;
        let keys = Keyring::open(&self.place.keys).map_err(exit)?;
        let mut repository = Repository::open(&self.place.repo).map_err(exit)?;
        let lists = repository.list_names();
        let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
        let policy = PolicyFile::read(&yaml, &lists).map_err(|mistakes| {
            exit(PublishError::Yaml {
                path: self.from.clone(),
                mistakes,
            })
        })?;
        let change = repository
            .bound(&keys, &policy, clock::timestamp())
            .map_err(exit)?;
        say_change("The policy", &change, &self.output)
    }
}

/// Says what is new and what is gone.
pub(super) fn say_change(
    what: &str,
    change: &OfflineChange,
    output: &Output,
) -> Result<(), ExitError> {
    if output.json {
        return say_json(&json!({"added": change.added, "removed": change.removed}));
    }
    if change.added.is_empty() && change.removed.is_empty() {
        return say(&format!(
            "{what} stays as it is: this is what is published already."
        ));
    }
    let lines = change.added.iter().map(|line| format!("  + {line}"));
    let lines: Vec<String> = lines
        .chain(change.removed.iter().map(|line| format!("  - {line}")))
        .collect();
    let shown = lines.len().min(LINES_SHOWN_MAX);
    let more = match lines.len() - shown {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    let lines = lines.get(..shown).unwrap_or_default().join("\n");
    say(&format!("{what} is published. It changes:\n{lines}{more}"))
}

/// How many changes are shown.
const LINES_SHOWN_MAX: usize = 200;
