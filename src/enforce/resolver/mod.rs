//! Answers from the world: the only folder that names hickory. Serves dns and proxy alike.

mod answer;
mod error;
mod forward;
mod name_servers;
mod packet_cache;
mod question;
#[expect(
    clippy::module_inception,
    reason = "a file is named after the type in it"
)]
mod resolver;
mod settings;
mod special_use;
pub mod wire;

pub use answer::{Answer, Unusable};
pub use error::{Error, LookupError};
pub use packet_cache::{PacketCache, Remembered};
pub use question::{Flags, Question};
pub use resolver::{Admission, QUERIES_IN_FLIGHT_MAX, Resolver};
pub use settings::{Settings, Upstream, ZoneForward};
pub use wire::{Rcode, RecordType};
