//! [`NameServer`]: who answers for a zone.

use std::net::IpAddr;

use super::Name;

/// A name server of a zone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameServer {
    /// Its name.
    pub name: Name,
    /// The dots in the name of its zone; the most, where it serves several.
    pub zone_dots: u8,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}
