//! What the DNS surface must be told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::StructuredErrors;
use crate::policy::Prefix;

/// How DNS queries are answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Where queries are taken, over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// UDP threads per address.
    pub threads: usize,
    /// Who is served; others get REFUSED.
    pub clients: Vec<Prefix>,
    /// Where blocked names point; a family without an address is NODATA, none at all is
    /// NXDOMAIN.
    pub stop_page: StopAddresses,
    /// The TTL of policy answers.
    pub ttl: Duration,
    /// SERVFAIL until every required list is in force, instead of answering normally.
    pub servfail_until_ready: bool,
    /// What clients that ask for structured errors are told of the node; nothing where they are
    /// off.
    pub structured_errors: Option<StructuredErrors>,
}

impl Settings {
    /// Whether a client is among those that are served.
    #[must_use]
    pub fn serves(&self, client: IpAddr) -> bool {
        self.clients.iter().any(|network| network.contains(client))
    }
}

/// The addresses of the stop page.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StopAddresses {
    /// For A.
    pub ipv4: Option<Ipv4Addr>,
    /// For AAAA.
    pub ipv6: Option<Ipv6Addr>,
}
