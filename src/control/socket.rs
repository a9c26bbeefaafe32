//! The control socket: the commands of an admin to the running daemon, one JSON object a
//! line each way.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream as AsyncStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control::ExitError;
use crate::control::command::{self, Shared};
use crate::control::levers::lever::{Lever, Person};

/// What an admin asks of the running daemon.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Request {
    /// What is in force, and how it is.
    Status,
    /// Take the configuration and the local lists anew.
    Reload,
    /// Run an update round now.
    Update {
        /// Only for this list.
        list: Option<String>,
    },
    /// Forget cached answers at and below a name.
    FlushCache {
        /// The name.
        name: String,
    },
    /// What the lists say about a name, URL or address.
    Explain {
        /// It.
        asked: String,
        /// The client that would ask.
        client: Option<IpAddr>,
        /// The type that would be asked.
        rtype: String,
    },
    /// What guards hold back.
    Held,
    /// Which names a person lets through.
    Allowed,
    /// Something that a person decides.
    Lever {
        /// What.
        lever: Lever,
        /// Who, and why.
        person: Person,
    },
}

/// The daemon's answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Response {
    /// It was done; what there is to show, for programs.
    Done(serde_json::Value),
    /// It failed; a sentence for people.
    Failed(String),
}

/// The path of the socket in a state folder.
#[must_use]
pub(super) fn path(state: &Path) -> PathBuf {
    state.join("control.sock")
}

/// Binds the socket, mode 0660. The state folder is locked by this daemon, so a socket that
/// is there was left by one that is gone.
///
/// # Errors
/// Where the folder may not be written.
pub(super) fn bind(state: &Path) -> std::io::Result<std::os::unix::net::UnixListener> {
    let path = path(state);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = std::os::unix::net::UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves the socket until the token is cancelled.
pub(super) async fn serve(
    listener: UnixListener,
    shared: Shared,
    tracker: TaskTracker,
    token: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = token.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let shared = shared.clone();
                tracker.spawn(async move {
                    // Who hangs up early hears nothing, and nobody else is concerned.
                    let _ = tokio::time::timeout(REQUEST_TIMEOUT, answer(stream, shared)).await;
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn answer(stream: AsyncStream, shared: Shared) -> std::io::Result<()> {
    // Who asks is what the system says, and not what the request does.
    let uid = stream.peer_cred().ok().map(|peer| peer.uid());
    let (reads, mut writes) = stream.into_split();
    let mut line = String::new();
    tokio::io::BufReader::new(reads.take(REQUEST_OCTETS_MAX))
        .read_line(&mut line)
        .await?;
    let response = match serde_json::from_str::<Request>(&line) {
        Ok(request) => command::run(&shared, request, uid).await,
        Err(error) => Response::Failed(format!("the request cannot be read: {error}")),
    };
    let mut text = serde_json::to_string(&response)?;
    text.push('\n');
    writes.write_all(text.as_bytes()).await
}

/// Asks the running daemon whose state folder this is.
///
/// # Errors
/// Where no daemon answers, and what it says when it fails.
pub(super) fn ask(state: &Path, request: &Request) -> Result<serde_json::Value, ExitError> {
    let path = path(state);
    let text = exchange(&path, request).map_err(|error| {
        ExitError::failed(format!(
            "no cordon answers at {}: {error}. Is the daemon running, with this configuration, and may you write to its socket?",
            path.display()
        ))
    })?;
    match serde_json::from_str(&text) {
        Ok(Response::Done(value)) => Ok(value),
        Ok(Response::Failed(message)) => Err(ExitError::failed(message)),
        Err(error) => Err(ExitError::failed(format!(
            "the daemon's answer cannot be read: {error}"
        ))),
    }
}

fn exchange(path: &Path, request: &Request) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(REQUEST_TIMEOUT))?;
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut text = String::new();
    BufReader::new(stream.take(RESPONSE_OCTETS_MAX)).read_line(&mut text)?;
    Ok(text)
}

/// The longest request, in octets.
const REQUEST_OCTETS_MAX: u64 = 64 * 1024;

/// The longest answer, in octets.
const RESPONSE_OCTETS_MAX: u64 = 64 * 1024 * 1024;

/// How long a request may take; an update round waits for its mirrors.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
