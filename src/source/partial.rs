//! [`Partial`]: what came of a file before its transfer broke off, and how the rest is asked
//! for (RFC 9110 section 14).

use hyper::header::{
    CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_RANGE, InvalidHeaderValue, RANGE,
};

/// The beginning of a file at one address.
#[derive(Debug, Default)]
pub(super) struct Partial {
    /// The file's address at the mirror.
    pub(super) address: String,
    /// By what the mirror knows this version again; a strong entity tag alone vouches for
    /// single octets.
    etag: Option<String>,
    /// What came so far.
    pub(super) bytes: Vec<u8>,
}

impl Partial {
    /// Nothing yet of the file at that address.
    pub(super) fn of(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            ..Self::default()
        }
    }

    /// Whether it is worth to ask for the rest alone: the file may be longer than
    /// [`RESUMED_OCTETS_MIN`], and the mirror can tell whether it is the same still.
    pub(super) fn can_be_resumed(&self, octets_max: u64) -> bool {
        octets_max > RESUMED_OCTETS_MIN && !self.bytes.is_empty() && self.etag.is_some()
    }

    /// Asks for the rest, if the file is the same still.
    ///
    /// # Errors
    /// Where the tag is none that can be sent back.
    pub(super) fn ask(&self, headers: &mut HeaderMap) -> Result<(), InvalidHeaderValue> {
        if let Some(etag) = self.etag.as_deref().filter(|_| !self.bytes.is_empty()) {
            headers.insert(IF_RANGE, HeaderValue::from_str(etag)?);
            let range = format!("bytes={}-", self.bytes.len());
            headers.insert(RANGE, HeaderValue::from_str(&range)?);
        }
        Ok(())
    }

    /// The mirror begins with the whole file, asked for the rest or not.
    pub(super) fn restart(&mut self, headers: &HeaderMap) {
        self.bytes.clear();
        self.etag = text(headers, ETAG).filter(|etag| etag.starts_with('"'));
    }

    /// Whether what the mirror sends as a part is the rest that was asked for. Otherwise
    /// what came before is worth nothing any more.
    pub(super) fn goes_on(&mut self, headers: &HeaderMap) -> bool {
        let start = text(headers, CONTENT_RANGE).and_then(|range| {
            let (start, _) = range.strip_prefix("bytes ")?.split_once('-')?;
            start.parse::<usize>().ok()
        });
        let etag = text(headers, ETAG);
        let goes_on = !self.bytes.is_empty()
            && start == Some(self.bytes.len())
            && (etag.is_none() || etag == self.etag);
        if !goes_on {
            self.bytes.clear();
        }
        goes_on
    }
}

/// A header as text.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Files that may be longer than this are resumed, in octets; shorter ones are asked for
/// anew.
pub(super) const RESUMED_OCTETS_MIN: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
        let lines = lines.iter().cloned();
        lines
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect()
    }

    /// Ten octets came with `etag`; whether they can be resumed, and are by that part.
    fn check(etag: &'static str, part: &[(HeaderName, &'static str)], expected: (bool, bool)) {
        let mut partial = Partial::of("http://mirror.test/full");
        partial.restart(&headers(&[(ETAG, etag)]));
        partial.bytes.extend([0; 10]);
        let can = partial.can_be_resumed(RESUMED_OCTETS_MIN + 1);
        assert!(!partial.can_be_resumed(RESUMED_OCTETS_MIN));
        let mut asked = HeaderMap::new();
        partial.ask(&mut asked).unwrap();
        assert_eq!(asked.contains_key(RANGE), can, "{etag}");
        let goes_on = partial.goes_on(&headers(part));
        assert_eq!((can, goes_on), expected, "{etag} {part:?}");
        assert_eq!(partial.bytes.len(), if goes_on { 10 } else { 0 });
    }

    #[test]
    fn only_the_rest_of_the_same_file_is_taken() {
        check("\"a\"", &[(CONTENT_RANGE, "bytes 10-19/20")], (true, true));
        check(
            "\"a\"",
            &[(CONTENT_RANGE, "bytes 10-19/20"), (ETAG, "\"a\"")],
            (true, true),
        );
        check(
            "\"a\"",
            &[(CONTENT_RANGE, "bytes 10-19/20"), (ETAG, "\"b\"")],
            (true, false),
        );
        check("\"a\"", &[(CONTENT_RANGE, "bytes 0-19/20")], (true, false));
        check("\"a\"", &[(CONTENT_RANGE, "items 10-19/20")], (true, false));
        check("\"a\"", &[], (true, false));
        check(
            "W/\"a\"",
            &[(CONTENT_RANGE, "bytes 10-19/20")],
            (false, true),
        );
    }
}
