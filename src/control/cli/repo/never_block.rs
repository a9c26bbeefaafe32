//! `cordon repo never-block`: names that no list may block, signed by the offline keys.

use std::path::PathBuf;

use super::at_hand::{keys, repository};
use super::command::{Output, Place, Stage};
use super::outcome::{exit, read_text};
use super::policy::{AcceptEffects, say_change};
use crate::control::ExitError;
use crate::control::clock;
use crate::verify::read_never_block;

/// What is asked of `cordon repo never-block`.
#[derive(Debug, clap::Args)]
pub(crate) struct NeverBlock {
    #[command(flatten)]
    place: Place,
    /// The names, one a line, each with all names below it; `#` begins a comment.
    #[arg(long)]
    from: PathBuf,
    #[command(flatten)]
    accept: AcceptEffects,
    #[command(flatten)]
    stage: Stage,
    #[command(flatten)]
    output: Output,
}

impl NeverBlock {
    /// Publishes the names, and says which are new and which are gone.
    pub(super) fn run(&self) -> Result<(), ExitError> {
        let text = read_text(&self.from)?;
        let names = read_never_block(text.as_bytes())
            .map_err(|reason| ExitError::failed(format!("{}: {reason}", self.from.display())))?;
        let keys = keys(&self.place)?;
        let mut repository = repository(&self.place, self.stage)?;
        let change = repository
            .never_block(&keys, &names, self.accept.reason(), clock::timestamp())
            .map_err(exit)?;
        drop(repository);
        let staged = self.stage.next(&self.place, &keys)?;
        say_change(
            "The list of names that are never blocked",
            &change,
            staged,
            &self.output,
        )
    }
}
