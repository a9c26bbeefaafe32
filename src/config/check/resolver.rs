//! Reads `dns.resolver` and `proxy.resolver`: whom to ask.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::config::scalar::{Scalar, domain, size};
use crate::config::schema::Absent;
use crate::config::section::Section;
use crate::enforce::resolver::{Settings, Upstream, ZoneForward};
use crate::policy::Name;

/// Reads `dns.resolver`; `listen` is where this node itself answers. Nothing where nobody is
/// asked.
pub(super) fn read(s: &mut Section<'_, '_>, listen: &[SocketAddr]) -> Option<Option<Settings>> {
    let forward = s.list("forward", &[], FORWARD_ABOUT, upstream(listen));
    s.not_yet(
        "recurse",
        Absent::Nothing,
        "Resolves from the root servers on.",
    );
    let zones = s.sections("zones", "Names that are asked elsewhere.", |s| {
        let name = s.required(
            "name",
            "The name; all below it goes the same way.",
            domain(),
        );
        let about = "The resolvers that are asked for it.";
        let forward = s.required_list("forward", about, upstream(listen));
        s.not_yet("stub", Absent::Nothing, "Iterates from these servers.");
        Some(ZoneForward {
            name: name?,
            forward: forward?,
        })
    });
    s.not_yet(
        "dnssec",
        Absent::Text("off"),
        "Whether signatures are checked.",
    );
    s.not_yet(
        "negative_trust_anchors",
        Absent::List(&[]),
        "Names below which signatures are not checked.",
    );
    let cache = s.default(
        "cache",
        CACHE_DEFAULT,
        "How large the cache of answers may grow.",
        size(CACHE_OCTETS_MIN..=CACHE_OCTETS_MAX),
    );
    let (forward, zones) = (forward?, zones?);
    let cache_octets = cache?;
    let asks = !forward.is_empty() || !zones.is_empty();
    Some(asks.then_some(Settings {
        forward,
        zones,
        cache_octets,
    }))
}

/// Reads `proxy.resolver`. Nothing where nobody is asked.
pub(super) fn read_own(s: &mut Section<'_, '_>) -> Option<Option<Settings>> {
    let forward = s.list("forward", &[], FORWARD_ABOUT, upstream(&[]))?;
    let cache_octets = size(CACHE_OCTETS_MIN..=CACHE_OCTETS_MAX)
        .read(CACHE_DEFAULT)
        .ok()?;
    Some((!forward.is_empty()).then_some(Settings {
        forward,
        zones: Vec::new(),
        cache_octets,
    }))
}

/// Whether a resolver that is to be asked is this node itself.
fn is_own(upstream: SocketAddr, listen: &[SocketAddr]) -> bool {
    listen.iter().any(|own| {
        let everywhere = own.ip().is_unspecified()
            && own.is_ipv4() == upstream.is_ipv4()
            && upstream.ip().is_loopback();
        own.port() == upstream.port() && (own.ip() == upstream.ip() || everywhere)
    })
}

/// One resolver: `ADDRESS[:PORT]` or `tls://ADDRESS[:PORT]#NAME`; none of our own addresses.
fn upstream(listen: &[SocketAddr]) -> Scalar<Upstream> {
    let listen = listen.to_owned();
    Scalar::new("the address of a resolver", move |text| {
        let (address, tls_name, port) = match text.strip_prefix("tls://") {
            Some(rest) => {
                let (address, name) = rest.split_once('#').ok_or(
                    "add the name its certificate must have: `tls://198.51.100.55#dns.example`",
                )?;
                let name = Name::from_text(name).map_err(|error| error.to_string())?;
                let name = name.to_string();
                (
                    address,
                    Some(name.trim_end_matches('.').to_owned()),
                    TLS_PORT,
                )
            }
            None => (text, None, DNS_PORT),
        };
        let address = socket_address(address, port).ok_or(
            "write `198.51.100.53`, `198.51.100.53:5353`, `[2001:db8::53]:5353` or \
             `tls://198.51.100.55#dns.example`; a host name is not taken",
        )?;
        let ip = address.ip();
        if ip.is_unspecified() || ip.is_multicast() || address.port() == 0 {
            return Err("nobody answers at this address".to_owned());
        }
        if is_own(address, &listen) {
            return Err(
                "this node itself listens there and would ask itself for ever: name another \
                 resolver, or another port in `dns.listen`"
                    .to_owned(),
            );
        }
        Ok(Upstream { address, tls_name })
    })
}

/// An address with or without a port; IPv6 with or without brackets where there is none.
fn socket_address(text: &str, port: u16) -> Option<SocketAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let bracketed = bare
        .and_then(|text| text.parse::<Ipv6Addr>().ok())
        .map(IpAddr::V6);
    let address = text.parse::<IpAddr>().ok().or(bracketed);
    address
        .map(|address| SocketAddr::new(address, port))
        .or_else(|| text.parse().ok())
}

/// What `forward` is for.
const FORWARD_ABOUT: &str =
    "The resolvers that are asked: ADDRESS, ADDRESS:PORT or tls://ADDRESS#NAME.";
/// The port of DNS over UDP and TCP (RFC 1035).
const DNS_PORT: u16 = 53;
/// The port of DNS over TLS (RFC 7858).
const TLS_PORT: u16 = 853;
/// The size of a cache unless it is given.
const CACHE_DEFAULT: &str = "256MiB";
/// The smallest cache.
const CACHE_OCTETS_MIN: u64 = 1 << 20;
/// The largest cache.
const CACHE_OCTETS_MAX: u64 = 64 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, Option<&str>)>) {
        let found = upstream(&[]).read(text).ok();
        let expected = expected.map(|(address, name)| Upstream {
            address: address.parse().unwrap(),
            tls_name: name.map(str::to_owned),
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn an_upstream_is_an_address_and_perhaps_a_name() {
        check("198.51.100.53", Some(("198.51.100.53:53", None)));
        check("198.51.100.53:5353", Some(("198.51.100.53:5353", None)));
        check("2001:db8::53", Some(("[2001:db8::53]:53", None)));
        check("[2001:db8::53]", Some(("[2001:db8::53]:53", None)));
        check("[2001:db8::53]:5353", Some(("[2001:db8::53]:5353", None)));
        let name = Some("dns.example");
        check(
            "tls://198.51.100.55#DNS.example",
            Some(("198.51.100.55:853", name)),
        );
        check(
            "tls://[2001:db8::1]:8853#dns.example",
            Some(("[2001:db8::1]:8853", name)),
        );
        check("tls://198.51.100.55", None);
        check("tls://198.51.100.55#", None);
        check("dns.example", None);
        check("0.0.0.0", None);
        check("198.51.100.53:0", None);
        check("https://198.51.100.53", None);
        check("", None);
    }
}
