//! CONTROL · who does what when.

pub mod cli;
pub mod clock;
mod error;

pub use error::{ExitCode, ExitError};
