//! What this stage must be told: where the mirrors of a repository are.

use std::path::PathBuf;
use std::time::Duration;

/// How to reach one repository.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The repository's name in the configuration.
    pub repository: String,
    /// The mirrors, tried in order; none is trusted. Never empty.
    pub mirrors: Vec<Mirror>,
    /// Own authorities and a client certificate for https.
    pub tls: Option<ClientTls>,
    /// How long one file may take, from connecting to its last octet.
    pub timeout: Duration,
}

/// One place where the repository's files are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Mirror {
    /// A base address with scheme `https`, or `http`; always ends in a slash.
    Http(String),
    /// A folder on this machine.
    Directory(PathBuf),
}

/// TLS towards mirrors, beyond the system's authorities.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientTls {
    /// PEM file of the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM file of the client certificate chain.
    pub client_certificate: Option<PathBuf>,
    /// PEM file of its key.
    pub client_key: Option<PathBuf>,
}
