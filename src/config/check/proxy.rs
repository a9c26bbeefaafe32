//! Reads `proxy`.

use std::net::SocketAddr;

use super::dns::LOOPBACK;
use crate::config::scalar::{Scalar, count, prefix};
use crate::config::schema::Absent;
use crate::config::section::Section;
use crate::enforce::proxy::{Origins, Settings, StopPageSettings};
use crate::enforce::resolver;
use crate::policy::Prefix;

/// What `proxy` says.
pub(super) struct Proxy {
    /// Where the stop page is.
    http: Vec<SocketAddr>,
    /// Where the forward proxy is.
    forward: Vec<SocketAddr>,
    /// Who may use it.
    forward_clients: Vec<Prefix>,
    /// Which origins it may connect to.
    origins: Origins,
    /// Its own resolver.
    pub(super) resolver: Option<resolver::Settings>,
}

impl Proxy {
    /// The surface, with what its stop page says; nothing where no address is given.
    pub(super) fn settings(self, stop_page: StopPageSettings) -> Option<Settings> {
        let listens = !self.http.is_empty() || !self.forward.is_empty();
        listens.then_some(Settings {
            http: self.http,
            forward: self.forward,
            forward_clients: self.forward_clients,
            origins: self.origins,
            stop_page,
        })
    }
}

/// Reads it; `dns_resolves` where `dns.resolver` names somebody to ask.
pub(super) fn read(s: &mut Section<'_, '_>, dns_resolves: bool) -> Option<Proxy> {
    let http = s.section("http", "The stop page, over plain HTTP.", |s| {
        s.listen("Where it is served.")
    });
    s.section("tls", "Closes connections by server name.", |s| {
        s.not_yet("listen", Absent::List(&[]), "Where it listens.");
        Some(())
    });
    let forward = s.section("forward", "The explicit proxy, with CONNECT.", |s| {
        let listen = s.listen("Where it is served.");
        let about = "Who may use it; others get 403.";
        let clients = s.list("clients", LOOPBACK, about, prefix());
        Some((listen?, clients?))
    });
    s.not_yet(
        "hybrid",
        Absent::Text("false"),
        "DNS sends hosts with URL entries here, and the URL is judged.",
    );
    s.not_yet(
        "transparent",
        Absent::Text("off"),
        "Takes connections to elsewhere.",
    );
    let about = "The proxy's own resolver; that of `dns` where nobody is named.";
    let resolver = s.section("resolver", about, super::resolver::read_own);
    let origins = s.section("origins", "Which origins may be connected to.", origins);

    let (http, resolver) = (http?, resolver?);
    let (forward, forward_clients) = forward?;
    let listens = !http.is_empty() || !forward.is_empty();
    if listens && resolver.is_none() && !dns_resolves {
        let key = if forward.is_empty() {
            "http"
        } else {
            "forward"
        };
        return s.wrong(
            key,
            "the proxy listens, but nobody is named who resolves names for it",
            "add `resolver: { forward: [ADDRESS] }` below `dns` or `proxy`; the system's \
             resolver is never asked",
        );
    }
    Some(Proxy {
        http,
        forward,
        forward_clients,
        origins: origins?,
        resolver,
    })
}

/// Reads `origins`.
fn origins(s: &mut Section<'_, '_>) -> Option<Origins> {
    let deny = s.list(
        "deny",
        &["private", "loopback", "link_local"],
        "Addresses that are never connected to: these words, and networks.",
        networks(),
    );
    let ports = s.list(
        "ports",
        &["80", "443"],
        "Ports that may be connected to.",
        count(1..=u16::MAX),
    );
    Some(Origins {
        deny: deny?.concat(),
        ports: ports?,
    })
}

/// A word for some networks, or one network.
fn networks() -> Scalar<Vec<Prefix>> {
    let expected = "`private`, `loopback`, `link_local` or a network";
    Scalar::new(expected, |text| {
        let named = match text {
            "private" => PRIVATE,
            "loopback" => LOOPBACK_ORIGINS,
            "link_local" => LINK_LOCAL,
            network => &[network],
        };
        named
            .iter()
            .map(|network| network.parse::<Prefix>().map_err(|error| error.to_string()))
            .collect()
    })
}

/// RFC 1918, the shared space of RFC 6598, and unique local addresses (RFC 4193).
const PRIVATE: &[&str] = &[
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
];
/// This machine; the unspecified addresses lead to it, too.
const LOOPBACK_ORIGINS: &[&str] = &["127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128"];
/// RFC 3927 and RFC 4291.
const LINK_LOCAL: &[&str] = &["169.254.0.0/16", "fe80::/10"];
