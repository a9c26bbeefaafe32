//! [`Record`]: one line of the audit log, and [`Head`], the last of them, kept apart.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::verify::hex;

/// What a person did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Act {
    /// Who, as they call themselves; empty where they need not say.
    pub(crate) who: String,
    /// The user that the command ran as; nothing for what the daemon did by itself.
    pub(crate) uid: Option<u32>,
    /// What: a word such as `hold_accept`.
    pub(crate) what: &'static str,
    /// To what: a list and version, a name.
    pub(crate) subject: String,
    /// Why, in their words.
    pub(crate) reason: String,
    /// `done`, or why it was refused.
    pub(crate) outcome: String,
    /// Whether it was refused, so that anybody who may ask can have it written: such lines
    /// are cut to [`REFUSED_CHARS_MAX`] and have a limit a day.
    pub(crate) is_refused: bool,
}

/// One line of the log, without its own hash, which comes last.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Record {
    pub(crate) format: u64,
    /// Rises by one with each line, over all files.
    pub(crate) number: u64,
    pub(crate) time: Timestamp,
    pub(crate) who: String,
    pub(crate) uid: Option<u32>,
    pub(crate) what: String,
    pub(crate) subject: String,
    pub(crate) reason: String,
    pub(crate) outcome: String,
    /// The hash of the line before; of the first line [`NO_HASH`].
    pub(crate) previous: String,
}

/// `audit.head`: the last line, kept apart from the log.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Head {
    pub(crate) format: u64,
    /// The number of the last line; 0 before the first.
    pub(crate) number: u64,
    /// Its hash.
    pub(crate) hash: String,
    /// What the lines on refusals have taken today.
    #[serde(default)]
    pub(super) refused: Refused,
}

/// What lines on refusals take of the log, so that they push nothing that was done out of it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Refused {
    /// The day, counted from 1970.
    pub(super) day: i64,
    /// How many octets they have taken on it.
    pub(super) octets: u64,
    /// Whether more were refused than are written down.
    pub(super) is_more: bool,
}

impl Head {
    /// Before the first line.
    pub(crate) fn none() -> Self {
        Self {
            format: FORMAT,
            number: 0,
            hash: NO_HASH.to_owned(),
            refused: Refused::default(),
        }
    }

    /// Behind a line of that number and hash.
    pub(crate) fn behind(number: u64, hash: String) -> Self {
        Self {
            number,
            hash,
            ..Self::none()
        }
    }
}

/// The head of a state folder; nothing where there is none that can be read.
pub(crate) fn read_head(state: &Path) -> Option<Head> {
    let bytes = fs::read(state.join(HEAD)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The hash of a line: of its text without the hash itself.
pub(crate) fn hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// A text of at most so many characters; what is longer is cut.
pub(super) fn bounded(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

/// The format of a line and of the head.
pub(crate) const FORMAT: u64 = 1;
/// The last line, kept apart.
pub(crate) const HEAD: &str = "audit.head";
/// What stands for the hash before the first line.
pub(crate) const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// What stands between a line's text and its hash.
pub(crate) const HASH_MEMBER: &str = ",\"hash\":\"";
/// The longest line, in octets: the limits below, each character of four octets that are
/// written as twelve, and the rest.
pub(crate) const LINE_OCTETS_MAX: u64 = 64 << 10;
/// The longest name of a person, in characters.
pub(crate) const WHO_CHARS_MAX: usize = 100;
/// The longest subject.
pub(super) const SUBJECT_CHARS_MAX: usize = 1_000;
/// The longest subject, reason or outcome of what was refused, in characters.
pub(super) const REFUSED_CHARS_MAX: usize = 200;
/// The longest reason.
pub(crate) const REASON_CHARS_MAX: usize = 1_000;
