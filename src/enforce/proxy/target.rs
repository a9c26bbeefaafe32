//! [`RequestTarget`]: what a request asks for, or why that cannot be said for certain.

use thiserror::Error;

use super::head::Framing;
use crate::policy::{CanonicalUrl, Host, UrlError};

/// What a request asks for: the four forms of a request target (RFC 9112 section 3.2), with
/// the `Host` field, reduced to what policy judges.
///
/// What two readers could understand in two ways is refused, never guessed: filters that
/// guess are walked around (field.md section 4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RequestTarget {
    /// A resource: origin-form, absolute-form or asterisk-form.
    Resource {
        /// Its URL; of asterisk-form the root of the host.
        url: CanonicalUrl,
        /// The port of the URL, its scheme's own if it names none.
        port: u16,
        /// How it was written.
        form: Form,
    },
    /// A tunnel (CONNECT): authority-form.
    Tunnel {
        /// To this host.
        host: Host,
        /// To this port.
        port: u16,
    },
}

/// The parts of a request head that say what is asked for, as a parser leaves them.
#[derive(Clone, Copy, Debug)]
pub struct TargetHead<'a> {
    /// The method.
    pub method: &'a str,
    /// Whether it is HTTP/1.1, which demands a `Host` field.
    pub is_http_1_1: bool,
    /// The request target's scheme.
    pub scheme: Option<&'a str>,
    /// The request target's host and port.
    pub authority: Option<&'a str>,
    /// The request target's path and query, or `*`.
    pub path_and_query: Option<&'a str>,
    /// The first two `Host` fields.
    pub hosts: [Option<&'a [u8]>; 2],
    /// What the head said of its body before a parser resolved it.
    pub framing: Framing,
}

/// How the target of a resource was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// A path, as one asks an origin.
    Origin,
    /// A whole `http` URL, as one asks a proxy.
    Absolute,
    /// A whole `https` URL, which nobody may ask a proxy for in the clear.
    AbsoluteTls,
    /// `*`, of OPTIONS alone.
    Asterisk,
}

/// Why it cannot be said what a request asks for. The text is fit for the answer: it
/// repeats nothing of the request.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum TargetError {
    /// No `Host` field, which HTTP/1.1 demands and origin-form needs.
    #[error("The request has no Host field.")]
    HostMissing,
    /// More than one `Host` field.
    #[error("The request has more than one Host field.")]
    HostRepeated,
    /// The `Host` field names no host, or holds userinfo or a path.
    #[error("The Host field does not name a host.")]
    HostField,
    /// `Host` and the request target name different hosts or ports.
    #[error("The Host field and the request target name different hosts.")]
    HostMismatch,
    /// Both `Transfer-Encoding` and `Content-Length` (RFC 9112 section 6.1).
    #[error("The request has both a Transfer-Encoding and a Content-Length field.")]
    Framing,
    /// Userinfo in the request target.
    #[error("The request target holds a user name.")]
    Userinfo,
    /// CONNECT without a port.
    #[error("CONNECT needs a host and a port.")]
    PortMissing,
    /// CONNECT with a body.
    #[error("CONNECT takes no body.")]
    TunnelBody,
    /// A form that does not go with the method.
    #[error("The request target does not go with the method.")]
    Form,
    /// Neither `http` nor `https`.
    #[error("The request target is not an http URL.")]
    Scheme,
    /// A port of 0, or above 65535.
    #[error("The request target's port is not a number from 1 to 65535.")]
    Port,
    /// Longer than [`crate::policy::URL_OCTETS_MAX`].
    #[error("The request target is longer than 8192 octets.")]
    TooLong,
    /// Not a URL otherwise.
    #[error("The request target is not a URL.")]
    Url,
}

impl RequestTarget {
    /// Reads what the request asks for.
    ///
    /// # Errors
    /// Every [`TargetError`].
    pub fn read(head: &TargetHead<'_>) -> Result<Self, TargetError> {
        if head.framing.is_ambiguous() {
            return Err(TargetError::Framing);
        }
        let host_field = host_field(head)?;
        if head.method == "CONNECT" {
            return Self::tunnel(head, host_field);
        }
        let path_and_query = head.path_and_query.unwrap_or("/");
        let (scheme, authority, form) = match (head.scheme, head.authority) {
            (Some(scheme), Some(authority)) => {
                let (scheme, form) = if scheme.eq_ignore_ascii_case("http") {
                    ("http", Form::Absolute)
                } else if scheme.eq_ignore_ascii_case("https") {
                    ("https", Form::AbsoluteTls)
                } else {
                    return Err(TargetError::Scheme);
                };
                (scheme, authority, form)
            }
            (None, None) => {
                let host = host_field.ok_or(TargetError::HostMissing)?;
                match (path_and_query, head.method) {
                    ("*", "OPTIONS") => ("http", host, Form::Asterisk),
                    (path, _) if path.starts_with('/') => ("http", host, Form::Origin),
                    _ => return Err(TargetError::Form),
                }
            }
            _ => return Err(TargetError::Form),
        };
        if authority.contains('@') {
            return Err(TargetError::Userinfo);
        }
        let path_and_query = match form {
            Form::Asterisk => "/",
            _ => path_and_query,
        };
        let url = parse(&format!("{scheme}://{authority}{path_and_query}"))?;
        let is_absolute = matches!(form, Form::Absolute | Form::AbsoluteTls);
        if let Some(host) = host_field.filter(|host| is_absolute && *host != authority) {
            let named =
                parse(&format!("{scheme}://{host}/")).map_err(|_| TargetError::HostField)?;
            if named.authority() != url.authority() {
                return Err(TargetError::HostMismatch);
            }
        }
        let default_port = if form == Form::AbsoluteTls { 443 } else { 80 };
        let port = port_of(url.authority())?.unwrap_or(default_port);
        Ok(Self::Resource { url, port, form })
    }

    fn tunnel(head: &TargetHead<'_>, host_field: Option<&str>) -> Result<Self, TargetError> {
        if head.framing.transfer_encoding || head.framing.content_length {
            return Err(TargetError::TunnelBody);
        }
        if head.scheme.is_some() || head.path_and_query.is_some() {
            return Err(TargetError::Form);
        }
        let authority = head.authority.ok_or(TargetError::Form)?;
        if authority.contains('@') {
            return Err(TargetError::Userinfo);
        }
        let (host, port) = split_authority(authority)?;
        let port = port.ok_or(TargetError::PortMissing)?;
        if let Some(field) = host_field {
            let (named, named_port) = split_authority(field).map_err(|_| TargetError::HostField)?;
            if named != host || named_port.is_some_and(|named| named != port) {
                return Err(TargetError::HostMismatch);
            }
        }
        Ok(Self::Tunnel { host, port })
    }

    /// The host that is asked for.
    #[must_use]
    pub const fn host(&self) -> &Host {
        match self {
            Self::Resource { url, .. } => url.host(),
            Self::Tunnel { host, .. } => host,
        }
    }

    /// The port that is asked for, from 1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self {
            Self::Resource { port, .. } | Self::Tunnel { port, .. } => *port,
        }
    }
}

/// The one `Host` field; none is only possible before HTTP/1.1 (RFC 9112 section 3.2).
fn host_field<'a>(head: &TargetHead<'a>) -> Result<Option<&'a str>, TargetError> {
    let field = match head.hosts {
        [_, Some(_)] => return Err(TargetError::HostRepeated),
        [Some(field), None] => field,
        [None, None] if head.is_http_1_1 => return Err(TargetError::HostMissing),
        [None, None] => return Ok(None),
    };
    let text = std::str::from_utf8(field).map_err(|_| TargetError::HostField)?;
    // What would end or extend the authority of a URL is no part of a host.
    let is_host = !text.is_empty()
        && text.is_ascii()
        && !text.contains(['/', '\\', '?', '#', '@', ',', ' ', '\t', '"', '<', '>']);
    if is_host {
        Ok(Some(text))
    } else {
        Err(TargetError::HostField)
    }
}

fn parse(url: &str) -> Result<CanonicalUrl, TargetError> {
    CanonicalUrl::parse(url).map_err(|error| match error {
        UrlError::TooLong => TargetError::TooLong,
        UrlError::Scheme => TargetError::Scheme,
        UrlError::Port => TargetError::Port,
        UrlError::NoHost | UrlError::Host(_) | UrlError::Address | UrlError::Control => {
            TargetError::Url
        }
    })
}

/// Splits `host:port`.
fn split_authority(text: &str) -> Result<(Host, Option<u16>), TargetError> {
    let port = port_of(text)?;
    let host = match text.rfind(':') {
        Some(colon) if !text.ends_with(']') => text.get(..colon).unwrap_or_default(),
        _ => text,
    };
    let host = Host::parse(host).map_err(|_| TargetError::Url)?;
    Ok((host, port))
}

/// The port of an authority; nothing where it names none.
fn port_of(authority: &str) -> Result<Option<u16>, TargetError> {
    let after_address = authority.rfind(']').map_or(authority, |bracket| {
        authority.get(bracket..).unwrap_or_default()
    });
    let Some((_, digits)) = after_address.rsplit_once(':') else {
        return Ok(None);
    };
    if !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(TargetError::Port);
    }
    match digits.parse() {
        Ok(0) => Err(TargetError::Port),
        Ok(port) => Ok(Some(port)),
        Err(_) if digits.is_empty() => Ok(None),
        Err(_) => Err(TargetError::Port),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HOST;
    use hyper::{Request, Version};
    use proptest::prelude::*;

    use super::super::handler::target_head;
    use super::*;

    /// Reads `METHOD TARGET`, with these `Host` fields.
    fn read(line: &str, hosts: &[&str]) -> Result<RequestTarget, TargetError> {
        let (method, target) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (head, ()) = request.body(()).map_err(|_| TargetError::Url)?.into_parts();
        RequestTarget::read(&target_head(&head, Framing::default()))
    }

    #[track_caller]
    fn check(line: &str, hosts: &[&str], expected: Result<&str, TargetError>) {
        let found = read(line, hosts).map(|target| match target {
            RequestTarget::Resource { url, port, form } => {
                format!("{form:?} {} {port}", url.as_str())
            }
            RequestTarget::Tunnel { host, port } => format!("Tunnel {host} {port}"),
        });
        assert_eq!(found, expected.map(str::to_owned), "{line} {hosts:?}");
    }

    #[test]
    fn the_four_forms() {
        let host = &["Listed.Test."][..];
        check("GET /a/%2e%2e/b?c", host, Ok("Origin listed.test/b?c 80"));
        check("GET //a", host, Ok("Origin listed.test//a 80"));
        check(
            "GET /",
            &["listed.test:8080"],
            Ok("Origin listed.test:8080/ 8080"),
        );
        check("GET /", &["[2001:DB8::1]"], Ok("Origin [2001:db8::1]/ 80"));
        check(
            "GET http://listed.test/a",
            host,
            Ok("Absolute listed.test/a 80"),
        );
        check(
            "GET HTTP://LISTED.test:80?q",
            host,
            Ok("Absolute listed.test/?q 80"),
        );
        check(
            "GET https://listed.test/a",
            host,
            Ok("AbsoluteTls listed.test/a 443"),
        );
        check("OPTIONS *", host, Ok("Asterisk listed.test/ 80"));
        check(
            "CONNECT listed.test:443",
            &["listed.test:443"],
            Ok("Tunnel listed.test 443"),
        );
        check(
            "CONNECT listed.test:443",
            host,
            Ok("Tunnel listed.test 443"),
        );
        check(
            "CONNECT 0x7f.1:443",
            &["127.0.0.1"],
            Ok("Tunnel 127.0.0.1 443"),
        );
        check("CONNECT [::1]:443", &["[::1]:443"], Ok("Tunnel [::1] 443"));
    }

    #[test]
    fn the_ambiguous_is_refused() {
        let host = &["listed.test"][..];
        check("GET /", &[], Err(TargetError::HostMissing));
        check(
            "GET http://listed.test/",
            &[],
            Err(TargetError::HostMissing),
        );
        check(
            "GET /",
            &["a.test", "b.test"],
            Err(TargetError::HostRepeated),
        );
        check(
            "GET /",
            &["a.test", "a.test"],
            Err(TargetError::HostRepeated),
        );
        check(
            "GET http://other.test/",
            host,
            Err(TargetError::HostMismatch),
        );
        check(
            "GET http://listed.test:81/",
            host,
            Err(TargetError::HostMismatch),
        );
        check(
            "GET https://listed.test:80/",
            host,
            Err(TargetError::HostMismatch),
        );
        check(
            "CONNECT other.test:443",
            host,
            Err(TargetError::HostMismatch),
        );
        check(
            "CONNECT listed.test:443",
            &["listed.test:80"],
            Err(TargetError::HostMismatch),
        );
        for field in [
            "",
            "a.test, b.test",
            "user@a.test",
            "a.test/x",
            "a.test\\x",
            "a.test?x",
            "a.test#x",
            "a b.test",
        ] {
            check("GET /", &[field], Err(TargetError::HostField));
        }
        check("GET /", &["a.test:0"], Err(TargetError::Port));
        check("GET /", &["a.test:65536"], Err(TargetError::Port));
        check("GET /", &["a.test:8o"], Err(TargetError::Port));
        check("GET /", &["a..test"], Err(TargetError::Url));
        check("GET /", &["[::1"], Err(TargetError::Url));
        check(
            "GET http://user@listed.test/",
            host,
            Err(TargetError::Userinfo),
        );
        check(
            "CONNECT user@listed.test:1",
            host,
            Err(TargetError::Userinfo),
        );
        check("CONNECT listed.test", host, Err(TargetError::PortMissing));
        check("CONNECT listed.test:", host, Err(TargetError::PortMissing));
        check("CONNECT listed.test:0", host, Err(TargetError::Port));
        check("CONNECT http://listed.test/", host, Err(TargetError::Form));
        check("CONNECT /", host, Err(TargetError::Form));
        check("GET listed.test:80", host, Err(TargetError::Form));
        check("GET *", host, Err(TargetError::Form));
        check("GET ftp://listed.test/", host, Err(TargetError::Scheme));
        check(
            &format!("GET /{}", "a".repeat(9000)),
            host,
            Err(TargetError::TooLong),
        );
    }

    #[test]
    fn a_body_of_two_lengths_is_refused() {
        let head = |method: &str, uri: &str| {
            let request = Request::builder()
                .method(method)
                .uri(uri)
                .header(HOST, "a.test");
            request.body(()).unwrap().into_parts().0
        };
        let both = Framing {
            content_length: true,
            transfer_encoding: true,
        };
        assert_eq!(
            RequestTarget::read(&target_head(&head("POST", "/"), both)),
            Err(TargetError::Framing)
        );
        let one = Framing {
            content_length: true,
            transfer_encoding: false,
        };
        assert!(RequestTarget::read(&target_head(&head("POST", "/"), one)).is_ok());
        assert_eq!(
            RequestTarget::read(&target_head(&head("CONNECT", "a.test:443"), one)),
            Err(TargetError::TunnelBody)
        );
    }

    #[test]
    fn http_1_0_may_leave_the_host_to_the_target() {
        let request = Request::builder().version(Version::HTTP_10);
        let (head, ()) = request.uri("http://a.test/").body(()).unwrap().into_parts();
        assert!(RequestTarget::read(&target_head(&head, Framing::default())).is_ok());
        let request = Request::builder().version(Version::HTTP_10);
        let (head, ()) = request.uri("/").body(()).unwrap().into_parts();
        assert_eq!(
            RequestTarget::read(&target_head(&head, Framing::default())),
            Err(TargetError::HostMissing)
        );
    }

    proptest! {
        #[test]
        fn both_forms_are_one_url(
            host in "[a-zA-Z0-9]{1,8}(\\.[a-zA-Z0-9-]{1,8}){0,2}\\.?", port in "(:80|:[1-9][0-9]{0,4})?", path in "/[a-zA-Z0-9%./;=~_-]{0,20}(\\?[a-zA-Z0-9%=&]{0,10})?",
        ) {
            let host = format!("{host}{port}");
            let origin = read(&format!("GET {path}"), &[&host]);
            let absolute = read(&format!("GET http://{host}{path}"), &[&host]);
            match (origin, absolute) {
                (
                    Ok(RequestTarget::Resource { url, .. }),
                    Ok(RequestTarget::Resource { url: other, .. }),
                ) => {
                    prop_assert_eq!(&url, &other);
                    prop_assert_eq!(url, CanonicalUrl::parse(&format!("http://{host}{path}")).unwrap());
                }
                (origin, absolute) => prop_assert_eq!(origin, absolute),
            }
        }

        #[test]
        fn nothing_panics(method in "(GET|OPTIONS|CONNECT)", target in "[!-~]{1,30}", host in "[ -~]{0,20}") {
            let _ = read(&format!("{method} {target}"), &[host.trim()]);
        }
    }
}
