//! 5 · COUNT: how often did each entry fire. No client is known here.

mod bucket;
mod counter_map;
mod counters;
mod error;
mod hit_counter;
mod ledger;
mod question;
mod settings;
mod slot_book;
mod slot_index;

pub use bucket::Bucket;
pub use counters::Counters;
pub use error::{CountError, Damage};
pub use hit_counter::{CountedRule, HitCounter};
pub use ledger::{HitLedger, PER_ENTRY_DAYS, Settled};
pub use question::{By, Per, Question, ROWS_MAX, Sum};
pub use settings::Settings;
