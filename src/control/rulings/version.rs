//! [`Version`]: which version of a list, signed or not.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::policy::{Origin, Provenance};
use crate::source::StateRank;

/// Which version of a list: of a signed one its serial, of a local file its digest.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Version {
    /// Rises only by an offline decision; 0 of a local file.
    generation: u64,
    /// The serial; nothing of a local file.
    serial: Option<u64>,
    /// SHA-256 of the whole text, in hex.
    digest: String,
}

/// What a version is called on disk.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Stored {
    /// A local one, by its digest.
    Digest(String),
    /// A signed one, by its generation and serial.
    Serial(u64, u64),
}

impl Version {
    /// A signed version.
    #[must_use]
    pub(crate) fn signed(generation: u64, serial: u64, digest: &str) -> Self {
        Self {
            generation,
            serial: Some(serial),
            digest: digest.to_owned(),
        }
    }

    /// The version of a list that was verified or read.
    #[must_use]
    pub(crate) fn of(provenance: &Provenance) -> Self {
        match &provenance.origin {
            Origin::Signed {
                generation,
                seq,
                state,
                ..
            } => Self::signed(*generation, *seq, state),
            Origin::Unsigned { digest, .. } => Self {
                generation: 0,
                serial: None,
                digest: digest.clone(),
            },
        }
    }

    /// Its serial; a local file has none.
    #[must_use]
    pub(crate) const fn serial(&self) -> Option<u64> {
        self.serial
    }

    /// Its generation and serial; a local file has none.
    #[must_use]
    pub(crate) fn rank(&self) -> Option<StateRank> {
        Some((self.generation, self.serial?))
    }

    /// What it is called on disk.
    #[must_use]
    pub(crate) fn stored(&self) -> Stored {
        match self.serial {
            Some(serial) => Stored::Serial(self.generation, serial),
            None => Stored::Digest(self.digest.clone()),
        }
    }

    /// The digest of its text.
    #[must_use]
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether it comes after another. Local files have no order: any other one does.
    #[must_use]
    pub(crate) fn is_above(&self, other: &Self) -> bool {
        match (self.serial, other.serial) {
            (Some(serial), Some(before)) => (self.generation, serial) > (other.generation, before),
            _ => self.digest != other.digest,
        }
    }

    /// Whether a person means it by this text: its serial, or at least eight digits that its
    /// digest begins with.
    #[must_use]
    pub(crate) fn answers_to(&self, text: &str) -> bool {
        self.stored().answers_to(text)
    }
}

impl Stored {
    /// Whether a person means it by this text.
    #[must_use]
    pub(crate) fn answers_to(&self, text: &str) -> bool {
        match self {
            Self::Serial(_, serial) => text.parse() == Ok(*serial),
            Self::Digest(digest) => text.len() >= DIGITS_MIN && digest.starts_with(text),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stored().fmt(f)
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial(_, serial) => write!(f, "serial {serial}"),
            Self::Digest(digest) => {
                let digits = digest.get(..DIGITS_SHOWN).unwrap_or(digest);
                write!(f, "version {digits}")
            }
        }
    }
}

/// The fewest digits of a digest that name a version.
const DIGITS_MIN: usize = 8;
/// So many digits of a digest are shown.
const DIGITS_SHOWN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Verified;

    #[test]
    fn versions_are_named_by_serial_or_by_the_start_of_a_digest() {
        let one = Version::signed(1, 12, "aa");
        assert!(one.answers_to("12") && !one.answers_to("1") && !one.answers_to("aa"));
        assert_eq!(one.to_string(), "serial 12");
        assert!(Version::signed(2, 3, "bb").is_above(&one));
        assert!(!one.is_above(&one));
        let file = Verified::unsigned("l", "x", b"one.test\n".to_vec());
        let local = Version::of(&file.get().provenance);
        let digest = local.digest().to_owned();
        assert!(local.answers_to(&digest[..8]) && !local.answers_to(&digest[..7]));
        assert!(local.is_above(&one) && !local.is_above(&local.clone()));
    }
}
