//! x
#[derive(Debug, clap::Subcommand)]
pub(super) enum UserCommand { Add }
pub(super) fn run(_: UserCommand) -> Result<(), crate::control::ExitError> { Ok(()) }
