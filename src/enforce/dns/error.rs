//! [`enum@Error`]: why DNS cannot be served.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// Why DNS cannot be served.
#[derive(Debug, Error)]
pub enum Error {
    /// Another program has the port.
    #[error(
        "{address} cannot be used for DNS over {transport}: another program has that port; stop it (`ss -lnp 'sport = :{port}'` names it) or change dns.listen",
        port = address.port()
    )]
    Taken {
        /// The address.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        transport: &'static str,
    },
    /// The port is below 1024 and the process may not have it.
    #[error(
        "{address} cannot be used for DNS over {transport}: no permission for ports below 1024; run it with CAP_NET_BIND_SERVICE or change dns.listen"
    )]
    Permission {
        /// The address.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        transport: &'static str,
    },
    /// Anything else that a socket may have against an address.
    #[error("{address} cannot be used for DNS over {transport}; check dns.listen")]
    Socket {
        /// The address.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        transport: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("a thread for DNS cannot be started; raise the limit of threads of this process")]
    Thread(#[source] io::Error),
    /// A thread ended before it was told to, by a defect of this program.
    #[error("a thread that answers DNS ended unexpectedly; it is to be started again")]
    ThreadEnded,
}

impl Error {
    pub(super) fn socket(
        address: SocketAddr,
        transport: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::AddrInUse => Self::Taken { address, transport },
            io::ErrorKind::PermissionDenied => Self::Permission { address, transport },
            _ => Self::Socket {
                address,
                transport,
                source,
            },
        }
    }
}
