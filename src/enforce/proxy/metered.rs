//! [`Metered`]: a connection that shows whether anything moves on it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that shows whether anything moves on it, in either direction.
#[derive(Debug)]
pub(super) struct Metered<S> {
    io: S,
    activity: Activity,
}

/// Shows whether anything moves on a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<AtomicU64>);

impl<S> Metered<S> {
    /// A meter before `io`.
    pub(super) fn new(io: S) -> Self {
        Self {
            io,
            activity: Activity::default(),
        }
    }

    /// The meter.
    pub(super) fn activity(&self) -> Activity {
        self.activity.clone()
    }
}

impl Activity {
    /// Ends when nothing has moved for `idle_max`, at the latest after twice that time.
    pub(super) async fn idle(&self, idle_max: Duration) {
        loop {
            let before = self.0.load(Ordering::Relaxed);
            tokio::time::sleep(idle_max).await;
            if self.0.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }

    fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if read.is_ready() {
            self.activity.note();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, octets);
        if written.is_ready() {
            self.activity.note();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
