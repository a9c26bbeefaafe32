//! 3 · COMPILE: verified lists become one index. Pure: bytes and time in, facts out.

mod blocklist;
pub mod parse;
mod settings;

pub use blocklist::{Blocklist, CompiledList, REJECTS_KEPT_MAX, RuleView};
pub use parse::{Format, Reject};
pub use settings::{Ede, From, Mode, PassThru, Protected, Settings};
