//! What the end-to-end tests need around the real program: an authority, an upstream
//! resolver, a web origin, a node, and plain clients.

pub(crate) mod authority;
pub(crate) mod client;
pub(crate) mod disk;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod origin;
pub(crate) mod upstream;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program under test.
pub(crate) fn cordon() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cordon"))
}

/// Runs a command that must succeed and returns what it printed.
#[track_caller]
pub(crate) fn must(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command; an absent program fails the test by name.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!(
            "{} cannot be run: {error}; `tests/run` installs it",
            command.get_program().to_string_lossy()
        )
    })
}

/// The real lists beside the project; nothing where they are not.
pub(crate) fn real_lists() -> Option<PathBuf> {
    let lists = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/lists");
    lists.is_dir().then_some(lists)
}
