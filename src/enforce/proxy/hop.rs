//! [`Hop`]: what a proxy changes in the fields of a message it passes on.

use std::hash::{BuildHasher, Hasher, RandomState};

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};

/// This proxy as one hop of a message (RFC 9110 section 7.6): drops what is meant for one
/// connection alone, and signs with `Via`. It adds nothing about the client.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    /// Names this process alone, so that a message that comes back is known.
    pseudonym: String,
    via: HeaderValue,
}

impl Hop {
    /// A hop with a pseudonym by chance.
    pub(super) fn new() -> Self {
        let chance = RandomState::new().build_hasher().finish();
        let pseudonym = format!("cordon-{chance:016x}");
        let via = HeaderValue::try_from(format!("1.1 {pseudonym}"))
            .unwrap_or_else(|_| HeaderValue::from_static("1.1 cordon"));
        Self { pseudonym, via }
    }

    /// Whether a request has been here before (RFC 9110 section 7.6.3).
    pub(super) fn is_loop(&self, fields: &HeaderMap) -> bool {
        fields
            .get_all(VIA)
            .iter()
            .any(|via| contains(via.as_bytes(), self.pseudonym.as_bytes()))
    }

    /// Makes the fields of a request those of the next hop. `authority` becomes its `Host`.
    pub(super) fn request(&self, fields: &mut HeaderMap, authority: &str) {
        strip(fields);
        // The body's length is said anew by who writes it. 100 (Continue) was answered here.
        for name in [CONTENT_LENGTH, EXPECT, HOST] {
            fields.remove(name);
        }
        if let Ok(host) = HeaderValue::try_from(authority) {
            fields.insert(HOST, host);
        }
        fields.append(VIA, self.via.clone());
    }

    /// Makes the fields of a response those of the next hop.
    pub(super) fn response(&self, fields: &mut HeaderMap) {
        strip(fields);
        fields.append(VIA, self.via.clone());
    }
}

/// Drops the fields that concern one connection: those that `Connection` lists, and those
/// that are known to.
fn strip(fields: &mut HeaderMap) {
    let listed: Vec<HeaderName> = fields
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        // The framing of a message is not up to a list of its sender.
        .filter(|name| *name != CONTENT_LENGTH)
        .collect();
    for name in listed {
        fields.remove(name);
    }
    for name in [
        CONNECTION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
    ] {
        fields.remove(name);
    }
    for name in [
        "keep-alive",
        "proxy-connection",
        "proxy-authentication-info",
        "http2-settings",
    ] {
        fields.remove(name);
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    fn names(fields: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = fields.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_concerns_one_connection_is_dropped() {
        let hop = Hop::new();
        let mut request = fields(&[
            ("host", "other.test"),
            ("connection", "keep-alive, X-Secret, te"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("expect", "100-continue"),
            ("cookie", "a=b"),
            ("authorization", "Basic y"),
        ]);
        hop.request(&mut request, "origin.test:8080");
        assert_eq!(names(&request), ["authorization", "cookie", "host", "via"]);
        assert_eq!(request[HOST], "origin.test:8080");

        let mut response = fields(&[
            ("connection", "close, x-one"),
            ("x-one", "1"),
            ("content-length", "3"),
            ("proxy-authenticate", "Basic"),
            ("set-cookie", "a=b"),
        ]);
        hop.response(&mut response);
        assert_eq!(names(&response), ["content-length", "set-cookie", "via"]);
    }

    #[test]
    fn a_request_that_comes_back_is_known() {
        let hop = Hop::new();
        let mut request = fields(&[("via", "1.0 fred, 1.1 example.test")]);
        assert!(!hop.is_loop(&request));
        hop.request(&mut request, "origin.test");
        assert!(hop.is_loop(&request));
        assert!(!Hop::new().is_loop(&request), "another node is another hop");
    }
}
