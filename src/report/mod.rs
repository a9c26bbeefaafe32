//! 6 · REPORT: what the regulator and the operator may see.

mod attempts;
mod csv;
mod error;
mod json;
mod openmetrics;
mod password;
mod sessions;
mod settings;
pub mod summary;
pub mod suppression;
mod timeline;
mod updates;
mod users;

#[cfg(test)]
mod example;

pub use error::ReportError;
pub use openmetrics::Metrics;
pub use password::PASSWORD_CHARS_MIN;
pub use settings::{ServerTls, Settings};
pub use summary::{Health, ListStatus, Summary};
pub use timeline::{End, ListInForce, Period, Timeline};
pub use updates::{Failure, ListUpdates, Outcome, Updates};
pub use users::{Role, User, Users};
