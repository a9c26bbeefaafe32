//! What this stage must be told.

use std::net::SocketAddr;
use std::path::PathBuf;

/// How the report is served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Where.
    pub listen: Vec<SocketAddr>,
    /// Needed off loopback.
    pub tls: Option<ServerTls>,
    /// Who may see what; nothing: loopback only, and everyone is an operator.
    pub users_file: Option<PathBuf>,
    /// Per-entry figures below this are not shown to regulators, nor exported.
    pub small_counts_below: u64,
    /// The node's name.
    pub node: String,
}

/// The certificate of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerTls {
    /// PEM file of the certificate chain.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
}
