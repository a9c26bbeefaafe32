//! CONTROL · who does what when.

mod answers;
pub mod cli;
pub mod clock;
mod command;
mod configuration;
mod daemon;
mod demo;
mod error;
mod levers;
mod logging;
mod reload;
pub mod rounds;
mod rulings;
mod self_test;
mod shown;
mod signal;
mod socket;
mod surfaces;
mod systemd;
mod tasks;
mod terminal;
mod watch;

pub use error::{ExitCode, ExitError};
