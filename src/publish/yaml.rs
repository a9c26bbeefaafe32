//! [`YamlMistake`]: what is wrong in a file that an authority writes, and where.

use jiff::SignedDuration;
use serde::de::DeserializeOwned;
use serde_saphyr::{Location, Spanned};

/// A mistake in a YAML file, and where it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct YamlMistake {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is wrong there, and what is expected.
    pub reason: String,
}

impl YamlMistake {
    /// The mistake at a value.
    pub(super) fn at<T>(place: &Spanned<T>, reason: String) -> Self {
        Self::of(Some(&place.referenced), reason)
    }

    fn of(location: Option<&Location>, reason: String) -> Self {
        let (line, column) = location.map_or((1, 1), |at| (at.line(), at.column()));
        Self {
            line,
            column,
            reason,
        }
    }
}

/// Reads a file; what cannot be read at all is one mistake.
///
/// # Errors
/// The [`YamlMistake`], alone in a list to which checks add theirs.
pub(super) fn read<T: DeserializeOwned>(yaml: &str) -> Result<T, Vec<YamlMistake>> {
    serde_saphyr::from_str(yaml).map_err(|error| {
        let mut mistake = YamlMistake::of(
            error.location().as_ref(),
            error.without_snippet().to_string(),
        );
        // Where it is, is said in front.
        let place = format!(" at line {}, column {}", mistake.line, mistake.column);
        if let Some(reason) = mistake.reason.strip_suffix(&place) {
            mistake.reason = reason.to_owned();
        }
        vec![mistake]
    })
}

/// A duration such as `30s 5m 2h 90d`, longer than none.
pub(super) fn duration(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    (number > 0).then(|| number.checked_mul(seconds).map(SignedDuration::from_secs))?
}
