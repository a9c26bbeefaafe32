//! The lines of a list: numbered, bounded, UTF-8, in any of the usual line endings.

use super::{Parsed, Reject};

/// Numbers the lines of `text` and hands on those that can be read; blank lines are left
/// out, a byte order mark and carriage returns are taken off.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = Result<(u32, &str), Reject>> {
    lines_from(1, text)
}

/// The same of a part of a text, the line `first` and those behind it.
pub(super) fn lines_from(
    first: u32,
    text: &[u8],
) -> impl Iterator<Item = Result<(u32, &str), Reject>> {
    let marked = text.strip_prefix(BYTE_ORDER_MARK).filter(|_| first == 1);
    let text = marked.unwrap_or(text);
    split(text).zip(first..).filter_map(|(octets, line)| {
        if octets.len() > LINE_OCTETS_MAX {
            return Some(Err(reject(line, "this line is longer than 65536 octets")));
        }
        match std::str::from_utf8(octets) {
            Err(_) => Some(Err(reject(line, "this line is not UTF-8"))),
            Ok(text) => {
                let text = text.strip_suffix('\r').unwrap_or(text);
                if text.trim().is_empty() {
                    None
                } else {
                    Some(Ok((line, text)))
                }
            }
        }
    })
}

/// What stands between line feeds.
fn split(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some((line, behind)) =
            memchr::memchr(b'\n', text).and_then(|end| text.split_at_checked(end))
        else {
            rest = None;
            return Some(text);
        };
        rest = behind.get(1..);
        Some(line)
    })
}

/// Hands each line that can be read to `row`, and the others to `take` as rejects.
pub(super) fn each_row(
    text: &[u8],
    take: &mut dyn FnMut(Parsed),
    mut row: impl FnMut(u32, &str, &mut dyn FnMut(Parsed)),
) {
    for line in lines(text) {
        match line {
            Ok((line, text)) => row(line, text, take),
            Err(reject) => take(Parsed::Reject(reject)),
        }
    }
}

/// The line without what follows `#` at its start or after white space.
pub(super) fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, character) in line.char_indices() {
        if character == '#' && before.is_whitespace() {
            return line.get(..at).unwrap_or_default().trim();
        }
        before = character;
    }
    line.trim()
}

pub(super) fn reject(line: u32, reason: impl Into<String>) -> Reject {
    Reject {
        line,
        reason: reason.into(),
    }
}

/// The longest line of a list, in octets; a native entry with every field is far below.
const LINE_OCTETS_MAX: usize = 65536;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
