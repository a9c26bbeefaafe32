//! [`OriginGuard`]: which origins may be connected to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use smallvec::{SmallVec, smallvec};

use super::Origins;

/// Decides on the very address that is connected to, after the name was resolved: a name
/// says nothing about where it leads (field.md section 4).
#[derive(Clone, Copy, Debug)]
pub(super) struct OriginGuard<'a> {
    /// What the operator says.
    pub(super) origins: &'a Origins,
    /// Where this proxy listens; connecting there would be a loop.
    pub(super) own: &'a [SocketAddr],
}

impl OriginGuard<'_> {
    /// Whether the port is allowed.
    pub(super) fn admits_port(&self, port: u16) -> bool {
        self.origins.ports.contains(&port)
    }

    /// Whether the address is allowed, in any of its guises: an IPv6 address that carries an
    /// IPv4 one is as good as that one.
    pub(super) fn admits(&self, address: SocketAddr) -> bool {
        let reached = SocketAddr::new(address.ip().to_canonical(), address.port());
        let is_denied = guises(address.ip()).into_iter().any(|guise| {
            is_no_host(guise) || self.origins.deny.iter().any(|range| range.contains(guise))
        });
        !is_denied && !self.own.contains(&reached) && !self.own.contains(&address)
    }

    /// Whether a connection from `local` to `peer` has ended up at this proxy, where it
    /// listens on every address of the machine.
    pub(super) fn is_loop(&self, local: SocketAddr, peer: SocketAddr) -> bool {
        local.ip().to_canonical() == peer.ip().to_canonical()
            && self
                .own
                .iter()
                .any(|own| own.ip().is_unspecified() && own.port() == peer.port())
    }
}

/// What is never the address of one host: unspecified ("this network", RFC 1122 section
/// 3.2.1.3, which Linux takes for itself), multicast, broadcast.
fn is_no_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            first == 0 || v4.is_multicast() || v4.is_broadcast()
        }
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast(),
    }
}

/// The address, and the IPv4 addresses that it may lead to.
fn guises(address: IpAddr) -> SmallVec<[IpAddr; 4]> {
    let IpAddr::V6(v6) = address.to_canonical() else {
        return smallvec![address.to_canonical()];
    };
    let mut guises: SmallVec<[IpAddr; 4]> = smallvec![v6.into()];
    let mut embedded = |bits: u32| guises.push(Ipv4Addr::from(bits).into());
    let segments = v6.segments();
    let pair = |high: usize, low: usize| {
        let segment = |at: usize| u32::from(segments.get(at).copied().unwrap_or_default());
        segment(high) << 16 | segment(low)
    };
    match segments {
        // Loopback; the unspecified address is refused as it is.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => {}
        // IPv4-compatible (RFC 4291 section 2.5.5.1) and SIIT (RFC 2765 section 2.1).
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => embedded(pair(6, 7)),
        // NAT64: the well-known prefix (RFC 6052 section 2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => embedded(pair(6, 7)),
        // NAT64: local use (RFC 8215), by a prefix of 48 bits or of 96.
        [0x64, 0xff9b, 1, ..] => {
            embedded(pair(6, 7));
            let by_48 = pair(3, 4) & 0xffff_0000 | (pair(4, 5) >> 8) & 0xffff;
            embedded(by_48);
        }
        // 6to4 (RFC 3056 section 2).
        [0x2002, ..] => embedded(pair(1, 2)),
        // Teredo (RFC 4380 section 4): the server, and the client with its bits turned.
        [0x2001, 0, ..] => {
            embedded(pair(2, 3));
            embedded(!pair(6, 7));
        }
        // ISATAP (RFC 5214 section 6.1).
        [_, _, _, _, 0 | 0x200, 0x5efe, _, _] => embedded(pair(6, 7)),
        _ => {}
    }
    guises
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins() -> Origins {
        let deny = [
            "10.0.0.0/8",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
        ];
        Origins {
            deny: deny.iter().map(|range| range.parse().unwrap()).collect(),
            ports: vec![80, 443],
        }
    }

    #[track_caller]
    fn check(address: &str, expected: bool) {
        let origins = origins();
        let own = ["203.0.113.7:80".parse().unwrap()];
        let guard = OriginGuard {
            origins: &origins,
            own: &own,
        };
        let address = SocketAddr::new(address.parse().unwrap(), 80);
        assert_eq!(guard.admits(address), expected, "{address}");
    }

    #[test]
    fn public_addresses_pass() {
        for address in [
            "203.0.113.8",
            "2001:db8::1",
            "2002:cb00:7108::1",
            "64:ff9b::203.0.113.8",
        ] {
            check(address, true);
        }
    }

    #[test]
    fn denied_addresses_are_denied_in_every_guise() {
        for address in [
            "127.0.0.1",
            "127.255.255.254",
            "10.1.2.3",
            "169.254.169.254",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:a00:1",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::127.0.0.1",
            "64:ff9b:1:7f00:0:100::",
            "2002:7f00:1::1",
            "2001:0:7f00:1::1",
            "2001:0:cb00:7108::80ff:fffe",
            "fd12::5efe:127.0.0.1",
            "2001:db8::5efe:127.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "::ffff:0.0.0.0",
        ] {
            check(address, false);
        }
    }

    #[test]
    fn the_proxy_does_not_ask_itself() {
        check("203.0.113.7", false);
        check("::ffff:203.0.113.7", false);
        let origins = origins();
        let own = ["0.0.0.0:3128".parse().unwrap()];
        let guard = OriginGuard {
            origins: &origins,
            own: &own,
        };
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(guard.is_loop(at("203.0.113.7:50000"), at("203.0.113.7:3128")));
        assert!(!guard.is_loop(at("203.0.113.7:50000"), at("203.0.113.7:80")));
        assert!(!guard.is_loop(at("203.0.113.7:50000"), at("203.0.113.8:3128")));
        assert!(guard.admits_port(443) && !guard.admits_port(25));
    }
}
