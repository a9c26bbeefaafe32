//! CONTROL · who does what when.

pub mod cli;
pub mod clock;
mod error;
mod round;

pub use error::{ExitCode, ExitError};
pub use round::{ListOutcome, Puller, Refusal, RestoredList, Round, RoundError};
