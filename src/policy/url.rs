//! [`CanonicalUrl`]: a URL reduced to its one canonical spelling.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use super::{Name, NameError};

/// An `http` or `https` URL in its one spelling (RFC 3986 section 6, WHATWG URL where
/// browsers differ; field.md section 2.3). Lists and requests go through the same code, so
/// that two spellings of one URL are one.
///
/// The scheme and its default port are dropped (`http` and `https` are alike), as are
/// userinfo and fragment; the host is lower case, without a trailing dot, in A-labels, with
/// addresses in their usual form; dot segments are resolved, `\` in the path is `/`;
/// escapes of unreserved characters are decoded, all others are in upper case; what may
/// not stand in a URL is escaped; a stray `%` stays literal. `%2F`, double slashes and an
/// empty query are kept: servers tell them apart.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CanonicalUrl {
    text: String,
    host: Host,
    /// Where the path begins in `text`.
    path_at: usize,
    /// Where the query begins, at its question mark; the end of `text` without one.
    query_at: usize,
}

/// The host of a URL or request.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Host {
    /// A name, in presentation form without a trailing dot.
    Name(String),
    /// An address literal.
    Address(IpAddr),
}

/// Why some text is not a URL that can be judged.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum UrlError {
    /// Longer than [`URL_OCTETS_MAX`].
    #[error("the URL is longer than 8192 octets")]
    TooLong,
    /// No `http://` or `https://` in front.
    #[error("this is not an http or https URL")]
    Scheme,
    /// Nothing between `//` and the path.
    #[error("the URL has no host")]
    NoHost,
    /// The host is neither a name nor an address.
    #[error("the URL's host is not a name: {0}")]
    Host(NameError),
    /// The host looks like an address and is none.
    #[error("the URL's host is not an address")]
    Address,
    /// Not a number from 0 to 65535.
    #[error("the URL's port is not a number from 0 to 65535")]
    Port,
    /// A line break, tab or other control character.
    #[error("the URL holds a control character")]
    Control,
}

impl CanonicalUrl {
    /// Reads and reduces a URL.
    ///
    /// # Errors
    /// Every [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim_matches(' ');
        if text.len() > URL_OCTETS_MAX {
            return Err(UrlError::TooLong);
        }
        if text.bytes().any(|octet| octet.is_ascii_control()) {
            return Err(UrlError::Control);
        }
        let (scheme, rest) = text.split_once(':').ok_or(UrlError::Scheme)?;
        let default_port = match scheme.to_ascii_lowercase().as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err(UrlError::Scheme),
        };
        let mut slashes = rest.chars();
        if !(matches!(slashes.next(), Some('/' | '\\'))
            && matches!(slashes.next(), Some('/' | '\\')))
        {
            return Err(UrlError::Scheme);
        }
        let rest = slashes.as_str();
        let authority_end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(authority_end);
        let rest = rest.split('#').next().unwrap_or_default();
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };

        let host_and_port = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let (host, port) = split_port(host_and_port)?;
        let host = Host::parse(host)?;
        let mut canonical = host.to_string();
        if let Some(port) = port.filter(|port| *port != default_port) {
            canonical.push(':');
            canonical.push_str(&port.to_string());
        }
        let path_at = canonical.len();
        push_path(&mut canonical, &escape(&slashed(path)));
        let query_at = canonical.len();
        if let Some(query) = query {
            canonical.push('?');
            canonical.push_str(&escape(query));
        }
        Ok(Self {
            text: canonical,
            host,
            path_at,
            query_at,
        })
    }

    /// The canonical text: host, port unless it is the scheme's own, path, query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Host and port, as in [`Self::as_str`].
    #[must_use]
    pub fn authority(&self) -> &str {
        self.text.get(..self.path_at).unwrap_or_default()
    }

    /// The path, beginning with a slash.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text
            .get(self.path_at..self.query_at)
            .unwrap_or_default()
    }

    /// The query with its question mark; empty without one.
    #[must_use]
    pub fn query(&self) -> &str {
        self.text.get(self.query_at..).unwrap_or_default()
    }
}

impl fmt::Display for CanonicalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Port 80 is only kept where it is not the scheme's own.
        let scheme = if self.authority().ends_with(":80") {
            "https"
        } else {
            "http"
        };
        write!(f, "{scheme}://{}", self.text)
    }
}

impl Host {
    /// Reads the host of a URL or `Host` field, without a port: a name in any spelling, an
    /// IPv4 address in any of the forms that browsers take, an IPv6 address in brackets.
    ///
    /// # Errors
    /// [`UrlError::NoHost`], [`UrlError::Host`], [`UrlError::Address`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if let Some(literal) = text.strip_prefix('[') {
            let literal = literal.strip_suffix(']').ok_or(UrlError::Address)?;
            let address: Ipv6Addr = literal.parse().map_err(|_| UrlError::Address)?;
            // An IPv4 address in the guise of IPv6 is the same host.
            return Ok(Self::Address(IpAddr::from(address).to_canonical()));
        }
        let decoded = decode_host(text)?;
        if decoded.is_empty() || decoded == "." {
            return Err(UrlError::NoHost);
        }
        let name = Name::from_text(&decoded)
            .map_err(UrlError::Host)?
            .to_string();
        match parse_ipv4(&name)? {
            Some(address) => Ok(Self::Address(address.into())),
            None => Ok(Self::Name(name)),
        }
    }

    /// The host as a name; nothing for an address.
    #[must_use]
    pub fn as_name(&self) -> Option<Name> {
        match self {
            Self::Name(name) => Name::from_text(name).ok(),
            Self::Address(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Splits `host:port`; an empty port is none.
fn split_port(text: &str) -> Result<(&str, Option<u16>), UrlError> {
    if text.starts_with('[') && !text.contains(']') {
        return Err(UrlError::Address);
    }
    let colon = match text.rfind(']') {
        Some(bracket) => text
            .get(bracket..)
            .and_then(|rest| rest.find(':'))
            .map(|at| at + bracket),
        None => text.find(':'),
    };
    let Some(colon) = colon else {
        return Ok((text, None));
    };
    let (host, port) = text.split_at(colon);
    let port = port.get(1..).unwrap_or_default();
    if port.is_empty() {
        return Ok((host, None));
    }
    if !port.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(UrlError::Port);
    }
    Ok((host, Some(port.parse().map_err(|_| UrlError::Port)?)))
}

/// Decodes the escapes of a host name.
fn decode_host(text: &str) -> Result<String, UrlError> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        match escaped_octet(rest) {
            Some(octet) => {
                octets.push(octet);
                rest = rest.get(3..).unwrap_or_default();
            }
            None => {
                octets.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(octets).map_err(|_| UrlError::Host(NameError::Character))
}

/// An IPv4 address in the forms of inet_aton, as WHATWG has it: one to four parts, decimal,
/// octal or hexadecimal. Only a host whose last label is a number is one.
fn parse_ipv4(host: &str) -> Result<Option<Ipv4Addr>, UrlError> {
    let parts: Vec<&str> = host.split('.').collect();
    let Some((last, leading)) = parts.split_last() else {
        return Ok(None);
    };
    let looks_numeric =
        last.bytes().all(|octet| octet.is_ascii_digit()) || ipv4_part(last).is_some();
    if !looks_numeric {
        return Ok(None);
    }
    if leading.len() > 3 {
        return Err(UrlError::Address);
    }
    let mut address = ipv4_part(last).ok_or(UrlError::Address)?;
    // The last part fills the octets that the leading ones leave.
    let room = 32 - 8 * leading.len();
    if address >= 1 << room {
        return Err(UrlError::Address);
    }
    for (place, part) in leading.iter().enumerate() {
        let octet = ipv4_part(part)
            .filter(|octet| *octet <= 255)
            .ok_or(UrlError::Address)?;
        address |= octet << (24 - 8 * place);
    }
    u32::try_from(address)
        .map(|address| Some(address.into()))
        .map_err(|_| UrlError::Address)
}

fn ipv4_part(text: &str) -> Option<u64> {
    let (digits, radix) = if let Some(hex) = text.strip_prefix("0x") {
        (hex, 16)
    } else if text.len() > 1 && text.starts_with('0') {
        (text.get(1..)?, 8)
    } else {
        (text, 10)
    };
    if digits.is_empty() && radix == 16 {
        return Some(0);
    }
    if !digits
        .bytes()
        .all(|octet| char::from(octet).is_digit(radix))
    {
        return None;
    }
    // Beyond u32 it is no address; u64 lets the caller see that.
    u64::from_str_radix(digits, radix).ok()
}

/// The octet that an escape at the start of `text` stands for.
fn escaped_octet(text: &[u8]) -> Option<u8> {
    match text {
        [b'%', high, low, ..] => Some(hex_value(*high)? << 4 | hex_value(*low)?),
        _ => None,
    }
}

const fn hex_value(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'a'..=b'f' => Some(octet - b'a' + 10),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

/// A path with slashes alone between its segments.
fn slashed(path: &str) -> Cow<'_, str> {
    if path.contains('\\') {
        Cow::Owned(path.replace('\\', "/"))
    } else {
        Cow::Borrowed(path)
    }
}

/// Brings the escapes of a path or query to their one form.
fn escape(text: &str) -> Cow<'_, str> {
    // Most have none.
    if text.bytes().all(|octet| octet != b'%' && may_stand(octet)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    // How many hexadecimal digits would complete a stray `%` at the end of `out`. A digit
    // decoded there would make an escape that nobody wrote, so it stays escaped.
    let mut stray = 0_u8;
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if let Some(octet) = escaped_octet(rest) {
            rest = rest.get(3..).unwrap_or_default();
            let completes_stray = stray > 0 && octet.is_ascii_hexdigit();
            if is_unreserved(octet) && !completes_stray {
                out.push(char::from(octet));
            } else {
                push_escape(&mut out, octet);
            }
            stray = 0;
            continue;
        }
        rest = tail;
        stray = match (*first, stray) {
            (b'%', _) => 2,
            (digit, 2) if digit.is_ascii_hexdigit() => 1,
            _ => 0,
        };
        if may_stand(*first) {
            out.push(char::from(*first));
        } else {
            push_escape(&mut out, *first);
        }
    }
    Cow::Owned(out)
}

fn push_escape(out: &mut String, octet: u8) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    out.push('%');
    for nibble in [octet >> 4, octet & 15] {
        out.push(DIGITS.get(usize::from(nibble)).copied().unwrap_or('0'));
    }
}

/// RFC 3986 section 2.3.
const fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')
}

/// What stands unescaped: unreserved, and the reserved of RFC 3986 section 2.2 but for the
/// apostrophe, which browsers escape in queries; and a stray `%`.
const fn may_stand(octet: u8) -> bool {
    is_unreserved(octet)
        || matches!(
            octet,
            b':' | b'/'
                | b'?'
                | b'@'
                | b'['
                | b']'
                | b'!'
                | b'$'
                | b'&'
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b'%'
                | b'#'
        )
}

/// Appends a path with its dot segments resolved (RFC 3986 section 5.2.4); double slashes
/// stay.
fn push_path(out: &mut String, path: &str) {
    if path.starts_with('/') && !path.contains("/.") {
        out.push_str(path);
        return;
    }
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match part {
            "." if is_last => segments.push(""),
            "." => {}
            ".." => {
                segments.pop();
                if is_last {
                    segments.push("");
                }
            }
            segment => segments.push(segment),
        }
    }
    for segment in &segments {
        out.push('/');
        out.push_str(segment);
    }
    if segments.is_empty() {
        out.push('/');
    }
}

/// The longest URL that is read, in octets, in lists and requests alike.
pub const URL_OCTETS_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, UrlError>) {
        let found = CanonicalUrl::parse(text).map(|url| url.as_str().to_owned());
        assert_eq!(found, expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn one_spelling() {
        check("http://Shared.Example", Ok("shared.example/"));
        check("HTTPS://shared.example:443/a", Ok("shared.example/a"));
        check("http://shared.example:80/", Ok("shared.example/"));
        check("http://shared.example:/", Ok("shared.example/"));
        check("http://shared.example:8080/", Ok("shared.example:8080/"));
        check("http://shared.example.:80/", Ok("shared.example/"));
        check(
            "http://user:pass@shared.example/x#part",
            Ok("shared.example/x"),
        );
        check("http://a@b@shared.example/", Ok("shared.example/"));
        check("http://shared.example/a/./b/../c", Ok("shared.example/a/c"));
        check("http://shared.example/a/%2e%2E/c", Ok("shared.example/c"));
        check("http://shared.example/../../c", Ok("shared.example/c"));
        check("http://shared.example/a/..", Ok("shared.example/"));
        check("http://shared.example/a/b/.", Ok("shared.example/a/b/"));
        check("http://shared.example/a//b", Ok("shared.example/a//b"));
        check("http://shared.example/a%2fb", Ok("shared.example/a%2Fb"));
        check(
            "http://shared.example/%7Euser/%41",
            Ok("shared.example/~user/A"),
        );
        check(
            "http://shared.example\\a\\b?c\\d",
            Ok("shared.example/a/b?c%5Cd"),
        );
        check("http://shared.example?x", Ok("shared.example/?x"));
        check("http://shared.example/?", Ok("shared.example/?"));
        check(
            "http://shared.example/a b'\"<>{}|^`",
            Ok("shared.example/a%20b%27%22%3C%3E%7B%7D%7C%5E%60"),
        );
        check("http://shared.example/\u{e9}", Ok("shared.example/%C3%A9"));
        check("http://b\u{fc}cher.example/", Ok("xn--bcher-kva.example/"));
        check("http://sh%61red.example/", Ok("shared.example/"));
    }

    #[test]
    fn a_stray_percent_stays_literal() {
        check("http://shared.example/100%", Ok("shared.example/100%"));
        check("http://shared.example/%zz%4", Ok("shared.example/%zz%4"));
        check("http://shared.example/%%34%31", Ok("shared.example/%%341"));
        check("http://shared.example/%4%31", Ok("shared.example/%4%31"));
    }

    #[test]
    fn addresses_in_any_form() {
        check("http://192.0.2.1/", Ok("192.0.2.1/"));
        check("http://0xC0000201/", Ok("192.0.2.1/"));
        check("http://0300.0.513/", Ok("192.0.2.1/"));
        check("http://3221225985/", Ok("192.0.2.1/"));
        check("http://[2001:DB8:0::1]:8080/", Ok("[2001:db8::1]:8080/"));
        check("http://[::ffff:192.0.2.1]/", Ok("192.0.2.1/"));
        check("http://[::ffff:c000:201]/", Ok("192.0.2.1/"));
        check("http://192.0.2.256/", Err(UrlError::Address));
        check("http://1.2.3.4.5/", Err(UrlError::Address));
        check("http://[::1/", Err(UrlError::Address));
        check("http://1.example/", Ok("1.example/"));
    }

    #[test]
    fn what_is_no_url() {
        check("shared.example/a", Err(UrlError::Scheme));
        check("ftp://shared.example/a", Err(UrlError::Scheme));
        check("http:/shared.example", Err(UrlError::Scheme));
        check("http:///path", Err(UrlError::NoHost));
        check("http://shared.example:99999/", Err(UrlError::Port));
        check("http://shared.example:8o/", Err(UrlError::Port));
        check(
            "http://shared..example/",
            Err(UrlError::Host(NameError::EmptyLabel)),
        );
        check("http://shared.example/a\tb", Err(UrlError::Control));
        check(
            &format!("http://shared.example/{}", "a".repeat(URL_OCTETS_MAX)),
            Err(UrlError::TooLong),
        );
    }

    #[test]
    fn parts_are_where_they_belong() {
        let url = CanonicalUrl::parse("http://shared.example:8080/a/b?c=d").unwrap();
        assert_eq!(
            (url.authority(), url.path(), url.query()),
            ("shared.example:8080", "/a/b", "?c=d")
        );
        assert_eq!(url.host().as_name(), Name::from_text("shared.example").ok());
    }

    proptest! {
        #[test]
        fn canonicalising_again_changes_nothing(
            scheme in "https?", host in "[a-zA-Z0-9.%_-]{1,20}", port in "(:80|:443|:[0-9]{0,4})?", rest in "[/\\\\?][ -~\u{e9}]{0,40}",
        ) {
            if let Ok(url) = CanonicalUrl::parse(&format!("{scheme}://{host}{port}{rest}")) {
                let again = CanonicalUrl::parse(&url.to_string()).unwrap();
                prop_assert_eq!(again.as_str(), url.as_str());
            }
        }

        #[test]
        fn dense_escapes_are_stable(path in "[%0-9a-fA-F./]{0,24}") {
            if let Ok(url) = CanonicalUrl::parse(&format!("http://shared.example/{path}")) {
                let again = CanonicalUrl::parse(&url.to_string()).unwrap();
                prop_assert_eq!(again.as_str(), url.as_str());
            }
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,60}") {
            let _ = CanonicalUrl::parse(&format!("http://{text}"));
            let _ = CanonicalUrl::parse(&text);
        }
    }
}
