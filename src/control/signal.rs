//! [`Signal`]: what the outside asks of the running daemon.

use tokio::signal::unix::{self, SignalKind};

/// What the outside asks of the running daemon; a closed set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Signal {
    /// SIGTERM or SIGINT: drain and end.
    Terminate,
    /// SIGHUP: take the configuration and the local lists anew.
    Reload,
}

/// The signals of this process.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    /// Begins to listen; from here on SIGHUP no longer ends the process.
    ///
    /// # Errors
    /// Where the system refuses the handlers.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hangup: unix::signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Terminate,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}
