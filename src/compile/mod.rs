//! 3 · COMPILE: verified lists become one index. Pure: bytes and time in, facts out.

mod blocklist;
mod border;
mod compiler;
mod levers;
mod name_index;
pub mod parse;
mod protected;
mod reserved;
mod settings;
mod url_index;

pub use blocklist::{Blocklist, CompiledList, REJECTS_KEPT_MAX, RuleView};
pub use border::{Border, Refusal};
pub use compiler::Compiler;
pub use levers::Levers;
pub use parse::{Format, Reject};
pub use protected::{Own, OwnHost, Protected};
pub use reserved::Reserved;
pub use settings::{Ede, From, Guard, Mode, OnTrip, PassThru, Settings};

#[cfg(test)]
pub(crate) mod example;
#[cfg(test)]
mod tests;
