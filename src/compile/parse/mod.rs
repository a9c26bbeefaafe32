//! The formats that lists come in; each reader says what it understood and what it did not.

mod addresses;
mod format;
mod lines;
mod names;
pub mod native;
mod native_line;
mod reading;
mod record_data;
pub mod rpz;
pub mod rpz_rule;
mod urls;

pub use format::Format;
pub use reading::{Parsed, Reading, Reject};
pub use record_data::{number as type_number, written as written_record};

use crate::verify::Text;

/// Reads a list, row by row; no row can fail it. A native one is never in memory as a whole.
pub fn read(reading: &Reading, text: &Text, take: &mut dyn FnMut(Parsed)) {
    let mut reader = native::Reader::default();
    let read = match reading.format {
        Format::Native => text.blocks().and_then(|mut blocks| {
            while let Some(block) = blocks.next()? {
                reader.read(block, take);
            }
            Ok(())
        }),
        _ => text.whole().map(|whole| read_whole(reading, &whole, take)),
    };
    if let Err(reason) = read {
        take(Parsed::Reject(Reject {
            line: reader.line(),
            reason: format!("what follows {reason}"),
        }));
    }
}

/// Reads a list that is in memory as a whole.
pub fn read_whole(reading: &Reading, text: &[u8], take: &mut dyn FnMut(Parsed)) {
    match reading.format {
        Format::Native => native::Reader::default().read(text, take),
        Format::Domains => names::read_domains(reading, text, take),
        Format::Hosts => names::read_hosts(reading, text, take),
        Format::Urls => urls::read(reading, text, take),
        Format::Rpz => rpz::read(reading, text, take),
        Format::Addresses => addresses::read(reading, text, take),
    }
}
