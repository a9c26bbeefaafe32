//! The formats that lists come in; each reader says what it understood and what it did not.

mod addresses;
mod format;
mod lines;
mod names;
pub mod native;
mod reading;
pub mod rpz;
mod urls;

pub use format::Format;
pub use reading::{Parsed, Reading, Reject};

/// Reads a list, row by row; no row can fail it.
pub fn read(reading: &Reading, text: &[u8], take: &mut dyn FnMut(Parsed)) {
    match reading.format {
        Format::Native => native::read(text, take),
        Format::Domains => names::read_domains(reading, text, take),
        Format::Hosts => names::read_hosts(reading, text, take),
        Format::Urls => urls::read(reading, text, take),
        Format::Rpz => rpz::read(reading, text, take),
        Format::Addresses => addresses::read(reading, text, take),
    }
}
