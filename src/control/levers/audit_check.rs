//! [`check`]: walks the chain of the audit log, and names the first line that is broken.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::control::levers::audit_line::{
    FORMAT, HASH_MEMBER, HEAD, Head, LINE_OCTETS_MAX, NO_HASH, Record, hash, read_head,
};
use crate::control::levers::audit_log::{BROKEN, FILES_MAX, LOG, is_begun, rotated};

/// A chain that holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Checked {
    /// How many lines it has.
    pub(crate) records: u64,
    /// Whether a crash left a last line unfinished; the next line cuts it off.
    pub(crate) is_torn: bool,
}

/// Checks every line of every file against the one before it, and the last against the head.
///
/// # Errors
/// A sentence that names file and line of the first that is not what was written.
pub(crate) fn check(state: &Path) -> Result<Checked, String> {
    let mut walk = Walk::default();
    for number in (1..=FILES_MAX).rev() {
        walk.file(state, &rotated(number))?;
    }
    walk.file(state, LOG)?;
    let last = walk.last.clone();
    let head = read_head(state);
    match (&head, &last) {
        (None, None) if is_begun(state) => {
            return Err(format!(
                "{LOG} and {HEAD} are gone, though something was written down here"
            ));
        }
        (None, None) => {}
        (None, Some(_)) => {
            return Err(format!(
                "{HEAD} is missing or cannot be read: whether lines were cut off from the end of {LOG} is not known"
            ));
        }
        (Some(head), last) => {
            let end = last.clone().unwrap_or_else(Head::none);
            let is_ahead = walk.before_last.as_deref() == Some(head.hash.as_str());
            let is_end = (head.number, &head.hash) == (end.number, &end.hash);
            if !is_end && !is_ahead {
                return Err(format!(
                    "{HEAD} names line {} and the chain ends with line {}: lines were cut off from the end of {LOG}, or written anew",
                    head.number, end.number
                ));
            }
        }
    }
    Ok(Checked {
        records: walk.records,
        is_torn: walk.is_torn,
    })
}

/// A line and its hash; nothing where it is no line of the log, or its hash is not its own.
pub(crate) fn read_line(line: &[u8]) -> Option<(Record, String)> {
    let line = std::str::from_utf8(line).ok()?;
    let (text, end) = line.rsplit_once(HASH_MEMBER)?;
    let told = end.strip_suffix("\"}")?;
    let text = format!("{text}}}");
    let record: Record = serde_json::from_str(&text).ok()?;
    (hash(&text) == told).then(|| (record, told.to_owned()))
}

/// How far the chain was walked.
#[derive(Default)]
struct Walk {
    records: u64,
    last: Option<Head>,
    /// The hash of the line before the last.
    before_last: Option<String>,
    is_torn: bool,
}

impl Walk {
    fn file(&mut self, state: &Path, name: &str) -> Result<(), String> {
        let file = match File::open(state.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(format!("{name} cannot be read: {error}")),
        };
        let mut reader = BufReader::new(file);
        for number in 1_u64.. {
            let mut line = Vec::new();
            let read = (&mut reader)
                .take(LINE_OCTETS_MAX)
                .read_until(b'\n', &mut line)
                .map_err(|error| format!("{name} cannot be read: {error}"))?;
            if read == 0 {
                break;
            }
            let Some(line) = line.strip_suffix(b"\n") else {
                // Only the very end may be torn, and what follows has to fit all the same.
                self.is_torn = name == LOG;
                if self.is_torn {
                    break;
                }
                return Err(format!("{name}, line {number} is not finished"));
            };
            self.line(line)
                .map_err(|reason| format!("{name}, line {number} {reason}"))?;
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let Some((record, hash)) = read_line(line) else {
            return Err("is not what was written: its hash is not that of its text");
        };
        if record.format != FORMAT {
            return Err("is of another format; a newer cordon is needed");
        }
        if record.what == BROKEN {
            return Err("says that before it lines were cut off or changed");
        }
        match &self.last {
            Some(last) if record.previous != last.hash => {
                return Err(
                    "does not follow the line before it: lines were taken out, put in, or moved",
                );
            }
            Some(last) if record.number != last.number.saturating_add(1) => {
                return Err("has not the next number");
            }
            // The oldest files go with time; only the first line of all has none before it.
            None if (record.number == 1) != (record.previous == NO_HASH) => {
                return Err("does not begin the chain: lines before it were taken out");
            }
            _ => {}
        }
        self.before_last = Some(record.previous);
        self.last = Some(Head::behind(record.number, hash));
        self.records = self.records.saturating_add(1);
        Ok(())
    }
}
