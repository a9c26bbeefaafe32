//! What the resolver must be told: whom it asks.

use std::net::SocketAddr;

use crate::policy::Name;

/// Whom to ask, and how much to remember.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The resolvers asked for every name; empty where only `zones` are known.
    pub forward: Vec<Upstream>,
    /// Names that are asked elsewhere; the longest match wins.
    pub zones: Vec<ZoneForward>,
    /// The size of the answer cache, in octets.
    pub cache_octets: u64,
}

/// One resolver to ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upstream {
    /// Its address.
    pub address: SocketAddr,
    /// The name its certificate must have; then it is asked over TLS (RFC 7858), else over
    /// UDP and TCP.
    pub tls_name: Option<String>,
}

/// A zone that is asked elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ZoneForward {
    /// The zone's name.
    pub name: Name,
    /// Whom to ask for it and all below it.
    pub forward: Vec<Upstream>,
}
