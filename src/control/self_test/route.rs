//! [`Route`]: from which of its own addresses the node asks a listener, so that it is one of
//! those that are served.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::policy::Prefix;

/// From where to where a question goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Route {
    /// An address of this machine.
    pub(super) from: IpAddr,
    /// The listener.
    pub(super) to: SocketAddr,
}

impl Route {
    /// The route to a listener that serves everybody.
    pub(super) fn open(listener: SocketAddr) -> Self {
        let from = loopback(listener);
        let to = if listener.ip().is_unspecified() {
            SocketAddr::new(from, listener.port())
        } else {
            listener
        };
        // The system picks an address that leads there.
        let any = match listener {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self { from: any, to }
    }

    /// The route to a listener that serves `clients` alone; nothing where this machine has no
    /// address among them. `own` says which address of this machine faces another one.
    pub(super) fn to(
        listener: SocketAddr,
        clients: &[Prefix],
        own: impl Fn(IpAddr) -> Option<IpAddr>,
    ) -> Option<Self> {
        let family = |address: &IpAddr| address.is_ipv4() == listener.is_ipv4();
        let bound = Some(listener.ip()).filter(|address| !address.is_unspecified());
        let facing = clients.iter().map(Prefix::address).filter(family);
        let facing = facing.filter_map(|network| {
            // Every address of that network is this machine's.
            let is_loopback = network.is_loopback();
            if is_loopback {
                Some(network)
            } else {
                own(network)
            }
        });
        let from = bound
            .into_iter()
            .chain([loopback(listener)])
            .chain(facing)
            .filter(family)
            .find(|address| clients.iter().any(|network| network.contains(*address)))?;
        let to = match bound {
            Some(_) => listener,
            None => SocketAddr::new(from, listener.port()),
        };
        Some(Self { from, to })
    }
}

/// The address of this machine from which packets to another one would leave. A connected
/// UDP socket sends nothing; it only looks at the routes.
pub(super) fn own_address(facing: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match facing {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((facing, DISCARD)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

const fn loopback(listener: SocketAddr) -> IpAddr {
    match listener {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}

/// A port for a socket that never sends (RFC 863).
const DISCARD: u16 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listener: &str, clients: &[&str], expected: Option<(&str, &str)>) {
        let clients: Vec<Prefix> = clients.iter().map(|text| text.parse().unwrap()).collect();
        // This machine has 192.0.2.53 towards 192.0.2.0/24, and 203.0.113.9 elsewhere.
        let own = |facing: IpAddr| match facing {
            IpAddr::V4(v4) if v4.octets()[0] == 192 => Some("192.0.2.53".parse().unwrap()),
            IpAddr::V4(_) => Some("203.0.113.9".parse().unwrap()),
            IpAddr::V6(_) => None,
        };
        let found = Route::to(listener.parse().unwrap(), &clients, own);
        let expected = expected.map(|(from, to)| Route {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
        });
        assert_eq!(found, expected, "{listener} {clients:?}");
    }

    #[test]
    fn the_node_asks_as_one_of_its_clients() {
        let lo = "127.0.0.1:53";
        check(lo, &["127.0.0.0/8"], Some(("127.0.0.1", lo)));
        check("0.0.0.0:53", &["127.0.0.0/8"], Some(("127.0.0.1", lo)));
        check(
            "[::]:53",
            &["127.0.0.0/8", "::1/128"],
            Some(("::1", "[::1]:53")),
        );
        check(lo, &["127.0.0.9/32"], Some(("127.0.0.9", lo)));
        let public = "192.0.2.53:53";
        check(public, &["127.0.0.0/8"], Some(("127.0.0.1", public)));
        check(public, &["192.0.2.0/24"], Some(("192.0.2.53", public)));
        check(
            "0.0.0.0:53",
            &["192.0.2.0/24"],
            Some(("192.0.2.53", public)),
        );
        check("0.0.0.0:53", &["0.0.0.0/0"], Some(("127.0.0.1", lo)));
    }

    #[test]
    fn where_no_own_address_is_a_client_nothing_is_asked() {
        check("0.0.0.0:53", &["198.51.100.0/24"], None);
        check("[::]:53", &["192.0.2.0/24"], None);
        check("127.0.0.1:53", &[], None);
    }
}
