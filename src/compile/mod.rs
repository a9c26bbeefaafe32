//! 3 · COMPILE: verified lists become one index. Pure: bytes and time in, facts out.

mod blocklist;
mod border;
mod compiler;
mod levers;
mod name_index;
pub mod parse;
mod settings;
mod url_index;

pub use blocklist::{Blocklist, CompiledList, REJECTS_KEPT_MAX, RuleView};
pub use border::Border;
pub use compiler::Compiler;
pub use levers::Levers;
pub use parse::{Format, Reject};
pub use settings::{Ede, From, Mode, PassThru, Protected, Settings};

#[cfg(test)]
pub(crate) mod example;
#[cfg(test)]
mod tests;
