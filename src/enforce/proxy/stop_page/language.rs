//! [`preferred`]: the language a reader asks for.

/// Picks from `offered`, by what an `Accept-Language` field says (RFC 9110 section 12.5.4,
/// lookup by primary subtag). Returns its place; the first one where nothing fits.
///
/// `offered` are primary subtags in lower case.
pub(super) fn preferred(field: Option<&str>, offered: &[&str]) -> usize {
    let mut best = (0, 0);
    for range in field.unwrap_or_default().split(',').take(RANGES_MAX) {
        let mut parts = range.split(';');
        let tag = parts.next().unwrap_or_default().trim();
        let weight = parts.find_map(quality).unwrap_or(1000);
        let primary = tag.split('-').next().unwrap_or_default();
        let place = if tag == "*" {
            Some(0)
        } else {
            offered
                .iter()
                .position(|language| language.eq_ignore_ascii_case(primary))
        };
        // Of equal weights the first in the field wins.
        if let Some(place) = place.filter(|_| weight > best.0) {
            best = (weight, place);
        }
    }
    best.1
}

/// The weight of a range in thousandths; nothing for another parameter.
fn quality(parameter: &str) -> Option<u32> {
    let value = parameter
        .trim()
        .strip_prefix(['q', 'Q'])?
        .trim_start()
        .strip_prefix('=')?
        .trim();
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let mut thousandths = whole.parse::<u32>().unwrap_or(0).min(1) * 1000;
    let mut unit = 100;
    for digit in fraction.chars().take(3) {
        thousandths += digit.to_digit(10).unwrap_or(0) * unit;
        unit /= 10;
    }
    Some(thousandths.min(1000))
}

/// How many ranges of a field are looked at.
const RANGES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(field: &str, expected: &str) {
        let offered = ["en", "de", "fr"];
        assert_eq!(
            offered[preferred(Some(field), &offered)],
            expected,
            "{field}"
        );
    }

    #[test]
    fn the_highest_weight_that_is_offered() {
        check("", "en");
        check("de", "de");
        check("DE-at", "de");
        check("it,fr;q=0.5,de;q=0.7", "de");
        check("it;q=1, fr ; q=0.50 , de;q=0.5", "fr");
        check("de;q=0, fr;q=0.001", "fr");
        check("de;q=0", "en");
        check("*, de;q=0.9", "en");
        check("nonsense;;;=,,,;q=", "en");
        assert_eq!(preferred(None, &["nl"]), 0);
    }
}
