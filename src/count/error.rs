//! [`CountError`]: why hits cannot be counted or told; [`Damage`]: what was lost and begun anew.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a step of counting failed. None of them stops the counting itself: hits wait in the
/// counters until they can be settled.
#[derive(Debug, Error)]
pub enum CountError {
    /// The system refused a file.
    #[error("cannot use {path}: {error}; hits are counted on and settled once it works again")]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// Another process counts here.
    #[error(
        "{path} is in use by another cordon; give each its own state folder, or stop the other"
    )]
    InUse {
        /// The folder of the counters.
        path: PathBuf,
    },
    /// A later cordon wrote it.
    #[error(
        "{path} has format {found}, and this cordon reads up to {known}; use the later cordon \
         again, or move the file away to begin anew"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The highest format that is understood.
        known: u64,
    },
    /// More rules than slots can be numbered.
    #[error("there are more counted rules than {max}; take fewer or smaller lists")]
    TooMany {
        /// The highest number of slots.
        max: usize,
    },
    /// SQLite refused.
    #[error(
        "the ledger {path} refuses: {error}; hits are counted on and settled once it works again"
    )]
    Ledger {
        /// The ledger's file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        error: rusqlite::Error,
    },
    /// A question has more answers than are given at once.
    #[error("the answer has more than {max} rows; ask for a shorter time, or by day")]
    Rows {
        /// The most rows of one answer.
        max: usize,
    },
}

/// What was found damaged, set aside and begun anew; for the log and an alarm.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Damage {
    /// The counters could not be read. Hits that were not settled are lost to the ledger.
    Counters {
        /// Where the damaged file is now.
        aside: PathBuf,
    },
    /// The counters were cut short. Unsettled hits of the missing part are lost.
    Cut {
        /// How many slots are missing.
        slots: usize,
    },
    /// The book that names the slots is damaged: hits whose slots the ledger does not know
    /// cannot be attributed any more.
    Unnamed {
        /// How many these can be at most.
        hits: u64,
        /// Where a copy of the damaged book is.
        aside: PathBuf,
    },
    /// The ledger was damaged. Totals before now are in the file that was set aside.
    Ledger {
        /// Where the damaged file is now.
        aside: PathBuf,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counters { aside } => write!(
                f,
                "the counters were damaged and begun anew; hits since the last settling are \
                 lost, and the damaged file is kept as {}",
                aside.display()
            ),
            Self::Cut { slots } => write!(
                f,
                "the counters were cut short by {slots} slots; hits of these since the last \
                 settling are lost"
            ),
            Self::Unnamed { hits, aside } => write!(
                f,
                "the names of some counters were damaged and up to {hits} hits cannot be \
                 attributed; the damaged file is kept as {}",
                aside.display()
            ),
            Self::Ledger { aside } => write!(
                f,
                "the ledger was damaged and begun anew; earlier totals are in {}",
                aside.display()
            ),
        }
    }
}
