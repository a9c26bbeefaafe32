//! [`enum@Error`]: why the HTTP surface cannot be started or changed.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use super::TemplateError;

/// Why the HTTP surface cannot be started or changed. Nothing is half done: what was in use
/// before stays in use.
#[derive(Debug, Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}{}", advice(source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The template of the stop page cannot be read.
    #[error("the stop page's template {} cannot be read: {source}", path.display())]
    Read {
        /// Its file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The stop page cannot be made of its template and languages.
    #[error("{}: {source}", path.as_ref().map_or_else(|| "stop_page".to_owned(), |path| path.display().to_string()))]
    Template {
        /// The template's file; nothing for the built-in one.
        path: Option<PathBuf>,
        /// What is wrong with it.
        source: TemplateError,
    },
}

/// What to do about an address that cannot be listened on.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program uses it: stop that one, or choose another address under proxy"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need the capability CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; no interface of this machine has it: choose one that `ip address` shows"
        }
        _ => "",
    }
}
