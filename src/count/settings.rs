//! What this stage must be told: where the counters and the ledger are.

use std::path::PathBuf;
use std::time::Duration;

/// Where hits are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The folder of the mapped counters.
    pub counters: PathBuf,
    /// The SQLite file of hourly totals.
    pub ledger: PathBuf,
    /// How often the counters are settled into the ledger.
    pub settle_interval: Duration,
}
