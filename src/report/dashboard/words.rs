//! Numbers, times and codes in the words of the pages.

use jiff::{SignedDuration, Timestamp};

use crate::policy::{Category, Surface};

/// A number with its thousands apart.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            // A narrow space that does not break: neither a comma nor a point misleads.
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A time as people write it, UTC.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%-d %b %Y, %H:%M UTC").to_string()
}

/// A duration in its largest unit: `3 minutes`, `2 days`.
pub(super) fn duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().unsigned_abs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// What is counted on a surface.
pub(super) const fn operations(surface: Surface) -> &'static str {
    match surface {
        Surface::Dns => "DNS queries",
        Surface::Http => "HTTP requests",
        Surface::Tls => "TLS connections",
    }
}

/// A category in words; its code where it is none that is known.
pub(super) fn category(code: &str) -> &str {
    match Category::from_word(code) {
        Some(Category::Csam) => "Child sexual abuse material",
        Some(Category::Terrorism) => "Terrorist content",
        Some(Category::Gambling) => "Unlicensed gambling",
        Some(Category::Phishing) => "Phishing",
        Some(Category::Malware) => "Malware",
        Some(Category::Copyright) => "Copyright",
        Some(Category::CopyrightLive) => "Copyright, live events",
        Some(Category::Finance) => "Unlicensed financial services",
        Some(Category::Consumer) => "Consumer protection",
        Some(Category::Sanctions) => "Sanctions",
        Some(Category::CourtOther) => "Other court orders",
        Some(Category::Local) => "The operator\u{2019}s own rules",
        None => code,
    }
}

/// The first characters of a long digest or key id.
pub(super) fn short(digest: &str) -> String {
    match digest.char_indices().nth(DIGEST_CHARS) {
        Some((end, _)) => format!("{}\u{2026}", digest.get(..end).unwrap_or(digest)),
        None => digest.to_owned(),
    }
}

/// How much of a digest is shown.
const DIGEST_CHARS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_people() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(
            time("2026-11-04T08:05:59Z".parse().unwrap()),
            "4 Nov 2026, 08:05 UTC"
        );
        assert_eq!(duration(SignedDuration::from_secs(1)), "1 second");
        assert_eq!(duration(SignedDuration::from_secs(-7200)), "2 hours");
        assert_eq!(duration(SignedDuration::from_secs(86_400 * 30)), "30 days");
        assert_eq!(category("csam"), "Child sexual abuse material");
        assert_eq!(category("new"), "new");
        assert_eq!(short("abc"), "abc");
        assert_eq!(short(&"a".repeat(64)), "aaaaaaaaaaaa\u{2026}");
    }
}
