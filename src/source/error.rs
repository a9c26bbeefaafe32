//! [`SourceError`]: why a mirror did not give a file. None of these means "there is none".

use std::path::PathBuf;

/// Why a mirror did not give a file.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A PEM file of the TLS settings cannot be used.
    #[error("{path}: {reason}")]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system's authorities cannot be used.
    #[error("the system's certificate authorities cannot be used: {0}; give tls.ca")]
    Authorities(String),
    /// Not a path below the mirror.
    #[error("{0:?} is not a path below a mirror")]
    Path(String),
    /// It could not be reached, or broke off.
    #[error("{address}: {reason}")]
    Unreachable {
        /// The file's address at the mirror.
        address: String,
        /// What happened.
        reason: String,
    },
    /// It answered with an error.
    #[error("{address}: the mirror answered {status}")]
    Status {
        /// The file's address at the mirror.
        address: String,
        /// The status code.
        status: u16,
    },
    /// It sent the node elsewhere, which is never followed.
    #[error(
        "{address}: the mirror redirects with status {status}, which is not followed; \
         give its present address"
    )]
    Redirected {
        /// The file's address at the mirror.
        address: String,
        /// The status code.
        status: u16,
    },
    /// It sent more octets than the file may have.
    #[error("{address}: the mirror sent more than {octets_max} octets")]
    TooLong {
        /// The file's address at the mirror.
        address: String,
        /// The limit.
        octets_max: u64,
    },
    /// It took too long.
    #[error("{address}: the mirror took longer than {seconds} s")]
    TimedOut {
        /// The file's address at the mirror.
        address: String,
        /// The limit.
        seconds: u64,
    },
    /// It sent less than [`SPEED_MIN`](super::SPEED_MIN).
    #[error("{address}: the mirror sent less than {speed_min} octets a second")]
    TooSlow {
        /// The file's address at the mirror.
        address: String,
        /// The limit.
        speed_min: u64,
    },
    /// A file of this machine cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
}

impl SourceError {
    /// Whether there was no room left: the disk is full, or the user's share of it.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind;
        matches!(
            self,
            Self::Io { source, .. }
                if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        )
    }

    /// The stable short name, for metrics and `status`.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Tls { .. } | Self::Authorities(_) => "tls",
            Self::Path(_) => "path",
            Self::Unreachable { .. } => "unreachable",
            Self::Status { .. } | Self::Redirected { .. } => "mirror_error",
            Self::TooLong { .. } => "too_long",
            Self::TimedOut { .. } | Self::TooSlow { .. } => "too_slow",
            Self::Io { .. } => "io",
        }
    }
}
