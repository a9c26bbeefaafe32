//! What goes to the person at the terminal.

use std::fmt::Display;
use std::io::Write;

use jiff::Timestamp;

/// Says a text on standard output, with a line break behind it. Who closed it, as `head`
/// does, has read enough.
pub(super) fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A moment as people read it, to the minute.
pub(super) fn minute(time: Timestamp) -> String {
    short(&time.to_string())
}

/// The same of a moment that is written as RFC 3339 has it.
pub(super) fn short(time: &str) -> String {
    let minute = time.get(..16).unwrap_or(time);
    format!("{} UTC", minute.replace('T', " "))
}
