//! Reads `dns`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZero;
use std::thread;
use std::time::Duration;

use crate::config::scalar::{address, count, duration, flag, prefix};
use crate::config::schema::Absent;
use crate::config::section::Section;
use crate::enforce::dns::{Settings, StopAddresses, StructuredErrors};
use crate::enforce::resolver;

/// What `dns` says.
pub(super) struct Dns {
    /// The surface; nothing where no address is given.
    pub(super) settings: Option<Settings>,
    /// Whom to ask; nothing where nobody is given.
    pub(super) resolver: Option<resolver::Settings>,
}

/// Reads it.
pub(super) fn read(s: &mut Section<'_, '_>) -> Option<Dns> {
    let listen = s.listen("Where queries are taken, over UDP and TCP.");
    let threads = s.optional(
        "threads",
        "UDP threads for each address; as many as there are cores unless it is given.",
        count(1..=256_usize),
    );
    let clients = s.list(
        "clients",
        LOOPBACK,
        "Who is served; others get REFUSED.",
        prefix(),
    );
    let own = listen.clone().unwrap_or_default();
    let resolver = s.section("resolver", "Whom to ask.", |s| {
        super::resolver::read(s, &own)
    });
    let stop_page = s.section(
        "stop_page",
        "Where blocked names point; without it they are NXDOMAIN.",
        |s| {
            let ipv4 = s.optional("ipv4", "For A.", address::<Ipv4Addr>("an IPv4 address"));
            let ipv6 = s.optional("ipv6", "For AAAA.", address::<Ipv6Addr>("an IPv6 address"));
            Some(StopAddresses {
                ipv4: ipv4?,
                ipv6: ipv6?,
            })
        },
    );
    let ttl = s.default(
        "ttl",
        "10s",
        "The TTL of policy answers: how long a withdrawn entry lives on in clients.",
        duration(Duration::ZERO, HOUR),
    );
    let servfail_until_ready = s.default(
        "servfail_until_ready",
        "false",
        "SERVFAIL until every required list is in force, instead of answering normally.",
        flag(),
    );
    let structured_errors = s.default(
        "structured_errors",
        "false",
        "Why a name is blocked, for programs that ask for it; the standard is a draft.",
        flag(),
    );
    not_yet(s);

    if !own.is_empty() && matches!(resolver, Some(None)) {
        return s.wrong(
            "listen",
            "queries are taken here, but `dns.resolver` names nobody to ask",
            "add `resolver: { forward: [ADDRESS] }` below `dns`",
        );
    }
    let (listen, resolver) = (listen?, resolver?);
    let settings = Settings {
        threads: threads?.unwrap_or_else(cores),
        clients: clients?,
        stop_page: stop_page?,
        ttl: ttl?,
        servfail_until_ready: servfail_until_ready?,
        structured_errors: structured_errors?.then(StructuredErrors::default),
        listen,
    };
    Some(Dns {
        settings: (!settings.listen.is_empty()).then_some(settings),
        resolver,
    })
}

/// The keys whose parts are not built.
fn not_yet(s: &mut Section<'_, '_>) {
    let listen = |s: &mut Section<'_, '_>| {
        s.not_yet("listen", Absent::List(&[]), "Where queries are taken.");
        Some(())
    };
    s.not_yet(
        "certificate",
        Absent::Nothing,
        "PEM file for tls, https and quic.",
    );
    s.not_yet("key", Absent::Nothing, "PEM file of its key.");
    s.section("tls", "DNS over TLS.", listen);
    s.section("https", "DNS over HTTPS.", |s| {
        listen(s)?;
        s.not_yet(
            "path",
            Absent::Text("/dns-query"),
            "The path of the queries.",
        );
        Some(())
    });
    s.section("quic", "DNS over QUIC.", listen);
    let about = "Hands the lists to other resolvers as RPZ zones.";
    s.section("transfer", about, |s| {
        listen(s)?;
        s.not_yet("zones", Absent::List(&[]), "Which list is which zone.");
        s.not_yet("keys", Absent::List(&[]), "The TSIG keys.");
        Some(())
    });
}

/// The number of cores that this process may use.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// The clients of a surface that is not told who they are.
pub(super) const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1/128"];
/// The longest TTL: what is withdrawn is to be gone within the hour.
const HOUR: Duration = Duration::from_secs(3_600);
