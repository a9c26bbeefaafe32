//! The DNS surface.

mod chain;
mod datagrams;
mod error;
mod exchange;
mod inquiry;
mod late_reply;
mod message;
mod outcome;
mod response;
mod server;
mod service;
mod settings;
mod sockets;
mod stream;
mod structured_error;
mod udp;

pub use chain::Alias;
pub use error::Error;
pub use exchange::{Aged, Exchange, Step};
pub use inquiry::{Inquiry, Need};
pub use message::{Edns, Query, Unanswerable};
pub use outcome::{Outcome, Transport};
pub use response::{Data, ExtendedError, Response, write_answer, write_header};
pub use server::Server;
pub use settings::{Settings, StopAddresses};
pub use sockets::Bound;
pub use structured_error::{StructuredError, StructuredErrors};
