//! `cordon repo policy`: what each list may hold, signed by the offline keys.

use std::path::PathBuf;

use serde_json::json;

use super::at_hand::{keys, repository};
use super::command::{Output, Place, Stage};
use super::outcome::{exit, free_text, read_text, say, say_json, warn};
use crate::control::ExitError;
use crate::control::clock;
use crate::publish::{OfflineChange, PolicyFile, PublishError, TermEffect};

/// What is asked of `cordon repo policy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Policy {
    #[command(flatten)]
    place: Place,
    /// The policy; `config/policy.example.yaml` says what can stand in it.
    #[arg(long)]
    from: PathBuf,
    #[command(flatten)]
    accept: AcceptEffects,
    #[command(flatten)]
    stage: Stage,
    #[command(flatten)]
    output: Output,
}

/// Why terms are published whatever they do to lists.
#[derive(Debug, clap::Args)]
pub(super) struct AcceptEffects {
    /// Publish it even where nodes then leave out entries that they enforce now, or where it
    /// lifts every bound of a list; say why.
    #[arg(long, value_name = "REASON", value_parser = free_text)]
    accept_guard: Option<String>,
}

impl AcceptEffects {
    /// The reason, where one is given.
    pub(super) fn reason(&self) -> Option<&str> {
        self.accept_guard.as_deref()
    }
}

impl Policy {
    /// Publishes the policy, and says what it changes.
    pub(super) fn run(&self) -> Result<(), ExitError> {
        let yaml = read_text(&self.from)?;
        let keys = keys(&self.place)?;
        let mut repository = repository(&self.place, self.stage)?;
        let policy = PolicyFile::read(&yaml, &repository.generations()).map_err(|mistakes| {
            exit(PublishError::Yaml {
                path: self.from.clone(),
                mistakes,
            })
        })?;
        let change = repository
            .bound(&keys, &policy, self.accept.reason(), clock::timestamp())
            .map_err(exit)?;
        drop(repository);
        let staged = self.stage.next(&self.place, &keys)?;
        say_change("The policy", &change, staged, &self.output)
    }
}

/// Says what is new and what is gone; `staged` is what comes next where it is staged.
pub(super) fn say_change(
    what: &str,
    change: &OfflineChange,
    staged: Option<String>,
    output: &Output,
) -> Result<(), ExitError> {
    let effects = change.effects.iter().flat_map(TermEffect::sentences);
    let effects: Vec<String> = effects.collect();
    for effect in &effects {
        warn(effect);
    }
    if output.json {
        return say_json(&json!({
            "added": change.added, "removed": change.removed, "effects": effects,
            "staged": staged.is_some(),
        }));
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
    match staged {
        Some(next) => say(&format!(
            "{what} is staged. It changes:\n{lines}{more}\n{next}"
        )),
        None => say(&format!("{what} is published. It changes:\n{lines}{more}")),
    }
}

/// How many changes are shown.
const LINES_SHOWN_MAX: usize = 200;
