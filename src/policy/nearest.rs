//! [`nearest`]: the known word that somebody most likely meant.

/// The word of `known` that is nearest to `written`, if it is near enough for a suggestion.
/// Of several at the same distance it is the first.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if written.len() > WRITTEN_OCTETS_MAX {
        return None;
    }
    let written = written.to_lowercase().replace('-', "_");
    let allowed = written.chars().count() / 3 + 1;
    known
        .into_iter()
        .map(|word| (distance(&written, &word.replace('-', "_")), word))
        .filter(|(distance, word)| *distance <= allowed && *distance < word.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// How many letters have to be added, removed, changed or swapped with their neighbour to
/// make one word of the other (the optimal string alignment distance).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // The two rows above the current one, each with the distances to every start of `to`.
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for letter in from.chars() {
        let mut row = vec![above.first().map_or(0, |first| first + 1)];
        for (at, wanted) in to.iter().enumerate() {
            let changed = above.get(at).copied().unwrap_or(0) + usize::from(letter != *wanted);
            let removed = above.get(at + 1).copied().unwrap_or(0) + 1;
            let added = row.last().copied().unwrap_or(0) + 1;
            let left = at.checked_sub(1).and_then(|left| to.get(left)).copied();
            let swapped = (left == Some(letter) && previous == Some(*wanted))
                .then(|| {
                    before
                        .get(at.saturating_sub(1))
                        .map(|distance| distance + 1)
                })
                .flatten()
                .unwrap_or(usize::MAX);
            row.push(changed.min(removed).min(added).min(swapped));
        }
        before = std::mem::replace(&mut above, row);
        previous = Some(letter);
    }
    above.last().copied().unwrap_or(0)
}

/// Nothing longer is compared: no word is.
const WRITTEN_OCTETS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, expected: Option<&str>) {
        let known = [
            "listen",
            "threads",
            "clients",
            "stop_page",
            "ttl",
            "tls",
            "key",
        ];
        assert_eq!(nearest(written, known), expected, "{written}");
    }

    #[test]
    fn what_is_near_is_suggested_and_nothing_else() {
        check("lisen", Some("listen"));
        check("litsen", Some("listen"));
        check("Listen", Some("listen"));
        check("stop-page", Some("stop_page"));
        check("thread", Some("threads"));
        check("tlt", Some("ttl"));
        check("qqq", None);
        check("", None);
        check("certificate", None);
    }
}
