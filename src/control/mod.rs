//! CONTROL · who does what when.

pub mod cli;
pub mod clock;
mod clock_judge;
mod command;
mod configuration;
mod daemon;
mod demo;
mod editions;
mod error;
mod explain;
mod keeper;
mod left_out;
mod logging;
mod offline;
mod reload;
pub mod round;
mod shown;
mod signal;
mod socket;
mod standing;
mod status;
mod surfaces;
mod systemd;
mod tasks;
mod terminal;
mod trouble;
mod update;
mod watch;

pub use error::{ExitCode, ExitError};
