//! CONTROL · what the operator wrote.

mod change;
mod check;
#[cfg(test)]
mod documentation;
mod error;
mod file;
mod node;
mod own;
mod place;
mod reading;
mod scalar;
mod schema;
mod section;
mod settings;

pub use change::{ConfigChange, NeedsRestart, Part};
pub use check::schema;
pub use error::{Mistake, Mistakes};
pub use place::Place;
pub use settings::{Config, LogFormat, LogSettings, Repository, SelfTestSettings};
