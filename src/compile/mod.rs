//! 3 · COMPILE: verified lists become one index. Pure: bytes and time in, facts out.

mod address_index;
mod blocklist;
mod border;
mod candidate;
mod change;
mod compiled_list;
mod compiler;
mod in_effect;
mod index;
mod levers;
mod list_set;
mod name_index;
mod name_map;
pub mod parse;
mod placed;
mod policing;
mod protected;
mod repeats;
mod reserved;
mod row;
mod rule_set;
mod rules;
mod settings;
mod url_index;
mod zone_holes;
mod zone_names;

pub use blocklist::{Blocklist, RuleView};
pub use border::{Border, Refusal, is_registry};
pub use compiled_list::{CompiledList, REJECTS_KEPT_MAX, Triggers, ZoneSoa};
pub use compiler::Compiler;
pub use levers::Levers;
pub use parse::{Format, Reject};
pub use placed::{Criterion, Explained, Fate, Placed, Role};
pub use policing::{Asker, Foresight, Policing, Stage, Truth};
pub use protected::{Own, OwnHost, Protected};
pub use reserved::Reserved;
pub use settings::{DnsOptions, Ede, From, Guard, Mode, OnTrip, PassThru, Settings};

#[cfg(test)]
pub(crate) mod example;
#[cfg(test)]
mod tests;
