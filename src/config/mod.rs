//! CONTROL · what the operator wrote.

mod settings;

pub use settings::{Config, LogFormat, LogSettings, Repository};
