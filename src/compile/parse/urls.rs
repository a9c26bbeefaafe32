//! One URL a line.

use super::lines::{each_row, reject};
use super::{Parsed, Reading};
use crate::policy::{Action, CanonicalUrl, Entry, EntryId, Kind, QueryMatch, Trigger, UrlScope};

/// Reads one URL a line; a line that begins with `#` is a comment.
pub(super) fn read(reading: &Reading, text: &[u8], take: &mut dyn FnMut(Parsed)) {
    each_row(text, take, |line, text, take| {
        if !text.trim_start().starts_with('#') {
            take(url_row(reading, line, text.trim()));
        }
    });
}

fn url_row(reading: &Reading, line: u32, text: &str) -> Parsed {
    let url = match CanonicalUrl::parse(text) {
        Ok(url) => url,
        Err(error) => return Parsed::Reject(reject(line, error.to_string())),
    };
    if let Err(reason) = check_prefix(&url, reading.url_scope) {
        return Parsed::Reject(reject(line, reason));
    }
    let id = EntryId::derive(&reading.list, Kind::Url, &url.to_string());
    Parsed::Entry(
        line,
        Box::new(Entry::plain(
            id,
            Trigger::Url {
                url,
                scope: reading.url_scope,
                query: QueryMatch::Exact,
            },
            Action::Block,
            reading.record.clone(),
        )),
    )
}

/// A prefix ends in the path: with a query it would not say what it covers.
pub(super) fn check_prefix(url: &CanonicalUrl, scope: UrlScope) -> Result<(), &'static str> {
    if scope == UrlScope::Prefix && !url.query().is_empty() {
        return Err(
            "a prefix ends in the path; leave the query out, or give this row match: exact",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::native::tests::{check_format, reading};
    use crate::policy::UrlScope;

    #[test]
    fn urls() {
        let mut reading = reading(Format::Urls);
        let text = "# a comment\nhttp://Shared.Test/a?b\nftp://shared.test/x\nshared.test/x\n";
        check_format(
            &reading,
            text,
            &["2 url exact http://shared.test/a?b"],
            &[3, 4],
        );
        reading.url_scope = UrlScope::Prefix;
        check_format(
            &reading,
            "http://shared.test/a\nhttp://shared.test/a?b\n",
            &["1 url prefix http://shared.test/a"],
            &[2],
        );
    }
}
