//! What goes to the person at the terminal.

use std::fmt::Display;
use std::io::Write;

/// Says a text on standard output, with a line break behind it. Who closed it, as `head`
/// does, has read enough.
pub(super) fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
