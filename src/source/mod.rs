//! 1 · GET: bytes in, bounded; knows nothing of what they mean.

mod directory;
mod durable;
mod error;
mod fetcher;
mod https;
mod list_states;
mod pace;
mod partial;
mod reserve;
mod settings;
mod store;
mod tls;

pub use durable::{remove, replace};
pub use error::SourceError;
pub use fetcher::{Fetched, Source, Validator};
pub use list_states::{ListStates, STATES_KEPT_MAX, StateRank, StoredState};
pub use pace::SPEED_MIN;
pub use reserve::{RESERVE_OCTETS, RESERVED_FOR_OCTETS_MAX, Reserve};
pub use settings::{ClientTls, Mirror, Settings};
pub use store::{EVIDENCE_FILES_MAX, Store};
