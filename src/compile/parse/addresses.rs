//! One address or prefix a line.

use super::lines::{each_row, reject, without_comment};
use super::{Parsed, Reading};
use crate::policy::{Action, Entry, EntryId, Kind, Prefix, Trigger};

/// Reads one address or prefix a line; `#` begins a comment.
pub(super) fn read(reading: &Reading, text: &[u8], take: &mut dyn FnMut(Parsed)) {
    each_row(text, take, |line, text, take| {
        let text = without_comment(text);
        if !text.is_empty() {
            take(address_row(reading, line, text));
        }
    });
}

fn address_row(reading: &Reading, line: u32, text: &str) -> Parsed {
    match text.parse::<Prefix>() {
        Err(error) => Parsed::Reject(reject(line, error.to_string())),
        Ok(prefix) if prefix.length() == 0 => {
            Parsed::Reject(reject(line, "this prefix would cover every address"))
        }
        Ok(prefix) => Parsed::Entry(
            line,
            Box::new(Entry::plain(
                EntryId::derive(&reading.list, Kind::Ip, &prefix.to_string()),
                Trigger::Address(prefix),
                Action::Block,
                reading.record.clone(),
            )),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::native::tests::{check_format, reading};

    #[test]
    fn addresses() {
        check_format(
            &reading(Format::Addresses),
            "# x\n192.0.2.1\n2001:db8::/32\n192.0.2.1/24\n0.0.0.0/0\nname.test\n",
            &["2 ip 192.0.2.1/32", "3 ip 2001:db8::/32"],
            &[4, 5, 6],
        );
    }
}
