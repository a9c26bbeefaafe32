//! [`Bound`]: the sockets of the DNS surface, all bound before anything is served.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{Error, Settings};

/// Every socket that the settings ask for, UDP and TCP on the same ports. They outlive
/// every change of settings.
#[derive(Debug)]
pub struct Bound {
    pub(super) addresses: Vec<BoundAddress>,
}

/// The sockets of one address.
#[derive(Debug)]
pub(super) struct BoundAddress {
    pub(super) address: SocketAddr,
    /// One for each thread; the kernel spreads clients over them (SO_REUSEPORT).
    pub(super) udp: Vec<Arc<UdpSocket>>,
    pub(super) tcp: TcpListener,
}

impl Bound {
    /// Binds all of `listen`, or nothing. Port 0 is a free one, the same for all sockets of
    /// that address.
    ///
    /// # Errors
    /// [`Error::Taken`], [`Error::Permission`] or [`Error::Socket`], with the address.
    pub fn bind(settings: &Settings) -> Result<Self, Error> {
        let addresses = settings
            .listen
            .iter()
            .map(|address| BoundAddress::bind(*address, settings.threads.max(1)))
            .collect::<Result<_, _>>()?;
        Ok(Self { addresses })
    }

    /// The addresses, with the ports that were found for 0, in the order of `listen`.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses.iter().map(|bound| bound.address)
    }
}

impl BoundAddress {
    fn bind(asked: SocketAddr, threads: usize) -> Result<Self, Error> {
        let mut tries_left = if asked.port() == 0 {
            FREE_PORT_TRIES
        } else {
            1
        };
        loop {
            // TCP comes first: its port is ours alone, so that a second instance is noticed,
            // which SO_REUSEPORT would let share the UDP port.
            let tcp = bind_tcp(asked).map_err(Error::socket(asked, "TCP"))?;
            let address = tcp.local_addr().map_err(Error::socket(asked, "TCP"))?;
            let udp: io::Result<Vec<_>> = (0..threads).map(|_| bind_udp(address)).collect();
            tries_left -= 1;
            match udp {
                Ok(udp) => return Ok(Self { address, udp, tcp }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries_left > 0 => {}
                Err(error) => return Err(Error::socket(address, "UDP")(error)),
            }
        }
    }
}

/// Whether a socket at `address` takes packets for more than one local address, so that each
/// answer must say from which.
pub(super) fn is_wildcard(address: SocketAddr) -> bool {
    address.ip().is_unspecified()
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(TCP_BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn bind_udp(address: SocketAddr) -> io::Result<Arc<UdpSocket>> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    socket.set_reuse_port(true)?;
    // The kernel grants what its own limit allows.
    socket.set_recv_buffer_size(UDP_BUFFER_OCTETS)?;
    socket.set_send_buffer_size(UDP_BUFFER_OCTETS)?;
    if is_wildcard(address) {
        super::datagrams::ask_for_destinations(&socket, address)?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.set_read_timeout(Some(super::udp::WAIT_MAX))?;
    Ok(Arc::new(socket.into()))
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` are two addresses.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// How often a port is looked for that is free for both UDP and TCP.
const FREE_PORT_TRIES: usize = 16;
/// Connections that wait to be accepted; more are refused by the kernel.
const TCP_BACKLOG: i32 = 1024;
/// What a UDP socket may hold of packets that wait, in octets: some tens of thousands of
/// queries, as after a pause of the process.
const UDP_BUFFER_OCTETS: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(listen: &[SocketAddr], threads: usize) -> Settings {
        Settings {
            listen: listen.to_vec(),
            threads,
            clients: Vec::new(),
            stop_page: super::super::StopAddresses::default(),
            ttl: std::time::Duration::from_secs(10),
            servfail_until_ready: false,
            structured_errors: None,
        }
    }

    #[test]
    fn port_0_is_one_port_for_all() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let any_v6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0));
        let bound = Bound::bind(&settings(&[any, any_v6], 3)).unwrap();
        assert_eq!(bound.addresses().count(), 2);
        for one in &bound.addresses {
            assert_ne!(one.address.port(), 0);
            assert_eq!(one.udp.len(), 3);
            for socket in &one.udp {
                assert_eq!(socket.local_addr().unwrap(), one.address);
            }
        }
    }

    #[test]
    fn a_taken_port_is_named() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let first = Bound::bind(&settings(&[any], 1)).unwrap();
        let taken = first.addresses().next().unwrap();
        let error = Bound::bind(&settings(&[taken], 1)).unwrap_err();
        assert!(matches!(
            error,
            Error::Taken {
                transport: "TCP",
                ..
            }
        ));
        assert!(error.to_string().contains(&taken.to_string()));

        let udp_only = UdpSocket::bind(any).unwrap();
        let taken = udp_only.local_addr().unwrap();
        let error = Bound::bind(&settings(&[taken], 1)).unwrap_err();
        assert!(matches!(
            error,
            Error::Taken {
                transport: "UDP",
                ..
            }
        ));
    }
}
