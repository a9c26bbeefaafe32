//! 6 · REPORT: what the regulator and the operator may see.

mod settings;

pub use settings::{ServerTls, Settings};
