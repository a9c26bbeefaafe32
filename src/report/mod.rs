//! 6 · REPORT: what the regulator and the operator may see.

mod access;
mod alarms;
mod api;
mod attempts;
mod csv;
mod dashboard;
mod desk;
mod error;
mod json;
mod latencies;
mod openmetrics;
mod password;
mod problem;
mod routes;
mod self_test;
mod server;
mod sessions;
mod settings;
mod summary;
mod suppression;
mod timeline;
mod updates;
mod users;

#[cfg(test)]
mod example;

pub use alarms::{Alarm, AlarmKind, Alarms, Severity};
pub use error::ReportError;
pub use json::SelfTestOf;
pub use latencies::{Latencies, LatencyFigures};
pub use openmetrics::Metrics;
pub use password::PASSWORD_CHARS_MIN;
pub use self_test::{Probe, SelfTest, SelfTestFailure, SelfTests};
pub use server::{Bound, DRAIN, Sources, bind, check, serve};
pub use settings::{ServerTls, Settings};
pub use summary::{Health, ListStatus, Summary, waiting};
pub use suppression::{Figure, Shown, suppress};
pub use timeline::{End, ListInForce, Period, Timeline};
pub use updates::{
    Failure, HeldVersion, ListUpdates, Outcome, PinnedVersion, RejectedVersion, STALE_ALARM,
    STALE_WARNING, Updates,
};
pub use users::{Role, User, Users};
