//! [`enum@Error`] and [`LookupError`]: why a resolver cannot be made, or finds no address.

use thiserror::Error;

/// Why a resolver cannot be made of its settings.
#[derive(Debug, Error)]
pub enum Error {
    /// The system's certificate authorities, by which `tls://` upstreams are trusted.
    #[error(
        "the certificate authorities of this system cannot be used, but an upstream is asked over TLS; install the package ca-certificates"
    )]
    Authorities(#[source] rustls::Error),
    /// The name that a `tls://` upstream's certificate must have.
    #[error("\"{0}\" behind the # of a tls:// upstream is not a name that a certificate can have")]
    TlsName(String),
}

/// Why there is no address for a name.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum LookupError {
    /// The name does not exist, or has no address.
    #[error("the name has no address")]
    NotFound,
    /// No upstream could be asked, or it failed.
    #[error("no resolver could say which address the name has")]
    Failed,
}
