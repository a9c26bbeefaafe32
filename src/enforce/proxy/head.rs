//! [`HeadGate`]: hands the HTTP parser one request head at a time, so that the raw head is judged too.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::patience::Patience;

/// A client's connection as the HTTP parser sees it.
///
/// hyper resolves what a head says twice (of `Content-Length` beside `Transfer-Encoding` it
/// keeps one, and the handler cannot see that there were two), and reads ahead into the next
/// request. So the gate reads every head line by line, passes nothing beyond its end until
/// the handler [claims](GateState::claim) it, and then lets exactly its body through:
///
/// ```text
///        ┌── head complete ──▶ Waiting ── claim ──┬─ no body ──▶ Head
///  Head ─┘                                        ├─ n octets ─▶ Body ── n passed ──▶ Head
///                                                 └─ CONNECT, chunked ──▶ Open, to the end
/// ```
///
/// A connection that is open carries no further request: a chunked body ends it (the handler
/// answers with `Connection: close`), and a tunnel has none.
///
/// It also ends connections that stall: while a body is awaited, or while the client does
/// not take what it asked for.
#[derive(Debug)]
pub(super) struct HeadGate<S> {
    io: S,
    state: Arc<GateState>,
    /// Octets read beyond the end of a head, not passed on yet.
    held: Vec<u8>,
    scan: HeadScan,
    read_patience: Patience,
    write_patience: Patience,
}

/// What the gate and the handler of one connection share. They run in one task.
#[derive(Debug, Default)]
pub(super) struct GateState {
    mode: AtomicU8,
    /// Octets of the body that were not passed yet.
    body_left: AtomicU64,
    framing: AtomicU8,
    /// Whether a head was begun and not completed.
    partial: AtomicU8,
}

/// What a head says of the length of its body, before any rule picks one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Framing {
    /// It has a `Content-Length` field.
    pub content_length: bool,
    /// It has a `Transfer-Encoding` field.
    pub transfer_encoding: bool,
}

/// What follows a head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Following {
    /// So many octets of body, then another head.
    Body(u64),
    /// Whatever comes; no further head.
    Anything,
}

impl Framing {
    /// Whether two lengths are given (RFC 9112 section 6.1).
    #[must_use]
    pub const fn is_ambiguous(self) -> bool {
        self.content_length && self.transfer_encoding
    }
}

impl<S> HeadGate<S> {
    /// A gate before `io`. A body that does not come, and a client that does not read, end
    /// the connection after `stall_max`.
    pub(super) fn new(io: S, stall_max: Duration) -> (Self, Arc<GateState>) {
        let state = Arc::new(GateState::default());
        let gate = Self {
            io,
            state: Arc::clone(&state),
            held: Vec::new(),
            scan: HeadScan::default(),
            read_patience: Patience::new(stall_max),
            write_patience: Patience::new(stall_max),
        };
        (gate, state)
    }

    /// How many of these octets may pass now; what is told here counts as passed.
    fn admit(&mut self, octets: &[u8]) -> usize {
        match self.state.mode.load(Ordering::Relaxed) {
            HEAD => {
                let (used, framing) = self.scan.feed(octets);
                let is_partial = framing.is_none() && self.scan.has_begun();
                self.state
                    .partial
                    .store(is_partial.into(), Ordering::Relaxed);
                if let Some(framing) = framing {
                    let bits =
                        u8::from(framing.content_length) | u8::from(framing.transfer_encoding) << 1;
                    self.state.framing.store(bits, Ordering::Relaxed);
                    self.state.mode.store(WAITING, Ordering::Relaxed);
                }
                used
            }
            BODY => {
                let left = self.state.body_left.load(Ordering::Relaxed);
                let used =
                    usize::try_from(left).map_or(octets.len(), |left| left.min(octets.len()));
                let left = left.saturating_sub(u64::try_from(used).unwrap_or(u64::MAX));
                self.state.body_left.store(left, Ordering::Relaxed);
                if left == 0 {
                    self.state.mode.store(HEAD, Ordering::Relaxed);
                }
                used
            }
            OPEN => octets.len(),
            _ => 0,
        }
    }
}

impl GateState {
    /// Takes the complete head that the handler was just called with, and lets through what
    /// follows it.
    pub(super) fn claim(&self, following: Following) -> Framing {
        let (mode, left) = match following {
            Following::Body(0) => (HEAD, 0),
            Following::Body(octets) => (BODY, octets),
            Following::Anything => (OPEN, 0),
        };
        self.body_left.store(left, Ordering::Relaxed);
        self.mode.store(mode, Ordering::Relaxed);
        self.framing()
    }

    /// What the head that waits, or was claimed last, says of its body.
    pub(super) fn framing(&self) -> Framing {
        let bits = self.framing.load(Ordering::Relaxed);
        Framing {
            content_length: bits & 1 != 0,
            transfer_encoding: bits & 2 != 0,
        }
    }

    /// Whether the client began a head and did not finish it.
    pub(super) fn is_within_head(&self) -> bool {
        self.partial.load(Ordering::Relaxed) != 0
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadGate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let gate = &mut *self;
        if gate.held.is_empty() {
            let before = buffer.filled().len();
            let read = Pin::new(&mut gate.io).poll_read(context, buffer);
            let expects_body = gate.state.mode.load(Ordering::Relaxed) == BODY;
            match gate.read_patience.judge(context, read, expects_body) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
            let fresh = buffer.filled().get(before..).unwrap_or_default();
            if fresh.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let used = gate.admit(fresh);
            gate.held
                .extend_from_slice(fresh.get(used..).unwrap_or_default());
            buffer.set_filled(before + used);
            return if used == 0 {
                Poll::Pending
            } else {
                Poll::Ready(Ok(()))
            };
        }
        // A head that waits is claimed before the parser asks for more, so that nobody has
        // to be woken; a parser that disagrees about its end runs into its own deadline.
        let held = std::mem::take(&mut gate.held);
        let offered = held.get(..buffer.remaining()).unwrap_or(&held);
        let used = gate.admit(offered);
        buffer.put_slice(held.get(..used).unwrap_or_default());
        gate.held = held.into_iter().skip(used).collect();
        if used == 0 {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadGate<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let gate = &mut *self;
        let written = Pin::new(&mut gate.io).poll_write(context, octets);
        gate.write_patience.judge(context, written, true)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Finds the end of a head and the fields that say how long its body is, octet by octet.
/// Where a head ends is what hyper takes for its end: an empty line, with CRLF or LF.
#[derive(Clone, Copy, Debug, Default)]
struct HeadScan {
    begun: bool,
    /// Whether the request line is over.
    in_fields: bool,
    /// Octets of this line; a lone CR is none.
    line_octets: usize,
    /// The start of the field name of this line, lower case.
    name: [u8; FIELD_NAME_OCTETS_MAX],
    name_octets: usize,
    name_complete: bool,
    framing: Framing,
}

impl HeadScan {
    /// Reads on. Returns how many octets belong to the head, and at its end what it says.
    fn feed(&mut self, octets: &[u8]) -> (usize, Option<Framing>) {
        for (at, octet) in octets.iter().enumerate() {
            match *octet {
                // Empty lines before a request are skipped (RFC 9112 section 2.2).
                b'\r' | b'\n' if !self.begun => {}
                b'\n' if self.line_octets == 0 => {
                    let framing = self.framing;
                    *self = Self::default();
                    return (at + 1, Some(framing));
                }
                b'\n' => {
                    self.in_fields = true;
                    self.line_octets = 0;
                    self.name_octets = 0;
                    self.name_complete = false;
                }
                b'\r' => {}
                octet => {
                    self.begun = true;
                    self.line_octets += 1;
                    if self.in_fields && !self.name_complete {
                        self.name_octet(octet);
                    }
                }
            }
        }
        (octets.len(), None)
    }

    const fn has_begun(&self) -> bool {
        self.begun
    }

    fn name_octet(&mut self, octet: u8) {
        if octet == b':' {
            self.name_complete = true;
            match self.name.get(..self.name_octets).unwrap_or_default() {
                b"content-length" => self.framing.content_length = true,
                b"transfer-encoding" => self.framing.transfer_encoding = true,
                _ => {}
            }
        } else if let Some(slot) = self.name.get_mut(self.name_octets) {
            *slot = octet.to_ascii_lowercase();
            self.name_octets += 1;
        } else {
            self.name_complete = true;
        }
    }
}

/// Awaits or passes a head.
const HEAD: u8 = 0;
/// Has passed a whole head, which nobody claimed yet.
const WAITING: u8 = 1;
/// Passes a body of known length.
const BODY: u8 = 2;
/// Passes everything.
const OPEN: u8 = 3;

/// The longest field name that matters, `transfer-encoding`.
const FIELD_NAME_OCTETS_MAX: usize = 17;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[track_caller]
    fn check(head: &str, expected: (usize, Option<(bool, bool)>)) {
        let (used, framing) = HeadScan::default().feed(head.as_bytes());
        let framing = framing.map(|f| (f.content_length, f.transfer_encoding));
        assert_eq!((used, framing), expected, "{head:?}");
    }

    #[test]
    fn a_head_ends_at_its_empty_line() {
        check(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest",
            (27, Some((false, false))),
        );
        check(
            "GET / HTTP/1.1\nHost: a\n\nrest",
            (24, Some((false, false))),
        );
        check("\r\n\r\nGET / HTTP/1.1\r\n\r\n", (22, Some((false, false))));
        check("GET / HTTP/1.1\r\nHost: a\r\n", (25, None));
    }

    #[test]
    fn both_lengths_are_seen_in_any_order_and_case() {
        check(
            "POST / HTTP/1.1\r\ncontent-LENGTH: 1\r\n\r\n",
            (38, Some((true, false))),
        );
        check(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            (47, Some((false, true))),
        );
        check(
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n\r\n",
            (60, Some((true, true))),
        );
        check(
            "POST / HTTP/1.1\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\n\r\n",
            (60, Some((true, true))),
        );
        check(
            "GET /transfer-encoding: HTTP/1.1\r\nX: content-length: 1\r\n\r\n",
            (58, Some((false, false))),
        );
        check(
            "GET / HTTP/1.1\r\nTransfer-Encodings: 1\r\n\r\n",
            (41, Some((false, false))),
        );
    }

    #[tokio::test]
    async fn nothing_passes_beyond_a_head_until_it_is_claimed() {
        let (mut client, server) = tokio::io::duplex(1024);
        let (mut gate, state) = HeadGate::new(server, Duration::from_secs(5));
        let first = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
        let second = "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n";
        client
            .write_all(format!("{first}abc{second}xyz").as_bytes())
            .await
            .unwrap();
        drop(client);

        let mut buffer = [0; 512];
        let read = gate.read(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..read], first.as_bytes());
        let framing = state.claim(Following::Body(3));
        assert_eq!(
            framing,
            Framing {
                content_length: true,
                transfer_encoding: false
            }
        );
        let read = gate.read(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..read], b"abc");
        let read = gate.read(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..read], second.as_bytes());
        assert!(state.claim(Following::Anything).is_ambiguous());
        let read = gate.read(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..read], b"xyz");
        assert_eq!(gate.read(&mut buffer).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_ends_the_connection() {
        let (mut client, server) = tokio::io::duplex(1024);
        let (mut gate, state) = HeadGate::new(server, Duration::from_millis(50));
        client.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut buffer = [0; 512];
        assert_eq!(gate.read(&mut buffer).await.unwrap(), 19);
        state.claim(Following::Body(3));
        let error = gate.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    proptest! {
        #[test]
        fn the_split_does_not_matter(
            text in "(GET|POST) / HTTP/1.1\r?\n(Content-Length: 1\r?\n|transfer-encoding:x\r?\n|A: b\r?\n){0,4}\r?\nrest", cut in 0_usize..80,
        ) {
            let whole = HeadScan::default().feed(text.as_bytes());
            let (first, second) = text.as_bytes().split_at(cut.min(text.len()));
            let mut scan = HeadScan::default();
            let parts = match scan.feed(first) {
                (used, None) => {
                    let (more, framing) = scan.feed(second);
                    (used + more, framing)
                }
                end => end,
            };
            prop_assert_eq!(parts, whole);
        }
    }
}
