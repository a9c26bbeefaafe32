//! [`ReportError`]: why the report cannot be served or kept.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// Why the report cannot be served or kept.
#[derive(Debug, Error)]
pub enum ReportError {
    /// An address cannot be bound.
    #[error(
        "cannot listen on {address} for the report: {error}; free the address or change report.listen"
    )]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The certificate or key cannot be used.
    #[error("cannot use {path} for TLS of the report: {reason}")]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// Why, as part of a sentence.
        reason: String,
    },
    /// The users file cannot be used.
    #[error("cannot use the users file {path}: {reason}; `cordon user add` writes it")]
    Users {
        /// Which file.
        path: PathBuf,
        /// Why, as part of a sentence.
        reason: String,
    },
    /// The timeline cannot be read or written.
    #[error("cannot use the timeline {path}: {error}")]
    Timeline {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// A later cordon wrote the timeline.
    #[error(
        "the timeline {path} has format {found}, and this cordon reads up to {known}; use the \
         later cordon again, or move the file away to begin anew"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The highest format that is understood.
        known: u64,
    },
    /// The server could not start.
    #[error("cannot start the report server: {0}")]
    Start(#[source] io::Error),
}
