//! [`accept`] and [`Connection`]: many queries at once on each of a bounded number of
//! streams (RFC 7766).

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Transport;
use super::server::Tasks;
use super::service::{Service, Turn};

/// Accepts connections until it is told to stop, at most as many at once as `places` has.
pub(super) async fn accept(
    listener: TcpListener,
    service: Arc<Service>,
    places: Arc<Semaphore>,
    tasks: Tasks,
    stop: CancellationToken,
) {
    let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
    let accepting = async {
        // The semaphore is never closed.
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let (stream, client) = match listener.accept().await {
                Ok((stream, peer)) => (stream, peer.ip()),
                Err(error) => {
                    if !is_of_one_connection(&error) {
                        sleep(ACCEPT_PAUSE).await;
                    }
                    continue;
                }
            };
            // Who is not served is told so, from places of their own: strangers must not take
            // those of the clients.
            let place = if service.serves(client) {
                place
            } else {
                match Arc::clone(&strangers).try_acquire_owned() {
                    Ok(place) => place,
                    Err(_) => continue,
                }
            };
            // Without it answers wait for each other; that it fails is no reason not to answer.
            let _ = stream.set_nodelay(true);
            let connection = Connection::new(stream, client, Arc::clone(&service));
            let (tasks_within, stop) = (tasks.clone(), stop.clone());
            tasks.spawn(async move {
                connection.serve(&tasks_within, &stop).await;
                drop(place);
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        () = stop.cancelled() => {}
    }
}

/// Whether only the connection that was to be accepted is gone; with anything else, as no
/// file descriptor being left, the next would fail as well.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// One stream of queries, each behind its length in two octets.
pub(super) struct Connection<S> {
    stream: S,
    client: IpAddr,
    service: Arc<Service>,
    /// What was read and not yet taken.
    input: Vec<u8>,
    /// Where an answer is written: its length and itself.
    output: Vec<u8>,
}

/// What the next step of a connection is.
enum Next {
    /// There is no whole query yet.
    Read,
    /// A query was taken; its answer, if it has one at once, is in the first octets of the
    /// output.
    Taken(Option<usize>),
    /// A query was taken that waits for an upstream.
    Waits,
    /// It is no query that we take.
    Close,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S, client: IpAddr, service: Arc<Service>) -> Self {
        Self {
            stream,
            client,
            service,
            input: Vec::new(),
            output: Vec::new(),
        }
    }

    /// Answers queries as their answers come until the client closes, is idle for
    /// [`IDLE_TIME_MAX`], or `stop` is cancelled; then what waits is still answered.
    pub(super) async fn serve(mut self, tasks: &Tasks, stop: &CancellationToken) {
        let (sender, mut replies) = mpsc::channel::<Vec<u8>>(PIPELINE_MAX);
        let (mut reads, mut waiting) = (true, 0);
        let mut idle_at = Instant::now() + IDLE_TIME_MAX;
        while reads || waiting > 0 {
            tokio::select! {
                Some(reply) = replies.recv() => {
                    waiting -= 1;
                    if write(&mut self.stream, &reply).await.is_err() {
                        return;
                    }
                    idle_at = Instant::now() + IDLE_TIME_MAX;
                }
                read = read_some(&mut self.stream, &mut self.input), if reads && waiting < PIPELINE_MAX => {
                    reads = matches!(read, Ok(1..));
                }
                () = sleep_until(idle_at) => return,
                () = stop.cancelled(), if reads => reads = false,
            }
            while waiting < PIPELINE_MAX {
                match self.next(tasks, &sender) {
                    Next::Read => break,
                    Next::Close => return,
                    Next::Waits => waiting += 1,
                    Next::Taken(answer) => {
                        let answer = answer.and_then(|len| self.output.get(..len));
                        if let Some(octets) = answer
                            && write(&mut self.stream, octets).await.is_err()
                        {
                            return;
                        }
                    }
                }
                idle_at = Instant::now() + IDLE_TIME_MAX;
            }
        }
    }

    /// Takes the next query from what was read.
    fn next(&mut self, tasks: &Tasks, sender: &mpsc::Sender<Vec<u8>>) -> Next {
        let Some((length, rest)) = self.input.split_first_chunk::<2>() else {
            return Next::Read;
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length > QUERY_OCTETS_MAX {
            return Next::Close;
        }
        let Some(query) = rest.get(..length) else {
            return Next::Read;
        };
        self.output.resize(LENGTH_OCTETS + ANSWER_OCTETS_MAX, 0);
        let Some((prefix, buffer)) = self.output.split_first_chunk_mut::<2>() else {
            return Next::Close;
        };
        if let Some(place) = buffer.get_mut(..length) {
            place.copy_from_slice(query);
        }
        self.input.drain(..LENGTH_OCTETS + length);
        let now = Instant::now().into_std();
        let batch = self.service.batch(Transport::Tcp, 1, now);
        match batch.take(buffer, length, self.client) {
            Turn::Silence => Next::Taken(None),
            Turn::Reply(len) => {
                *prefix = u16::try_from(len).unwrap_or(0).to_be_bytes();
                Next::Taken(Some(LENGTH_OCTETS + len))
            }
            Turn::Later(pending) => {
                let (service, sender) = (Arc::clone(&self.service), sender.clone());
                tasks.spawn(async move {
                    // Without an answer the query is off the table all the same.
                    let reply = pending.finish(&service, LENGTH_OCTETS).await;
                    let Some(mut reply) = reply else {
                        let _ = sender.send(Vec::new()).await;
                        return;
                    };
                    let length = u16::try_from(reply.len() - LENGTH_OCTETS).unwrap_or(0);
                    if let Some(prefix) = reply.first_chunk_mut() {
                        *prefix = length.to_be_bytes();
                    }
                    // A client that is gone needs no answer.
                    let _ = sender.send(reply).await;
                });
                Next::Waits
            }
        }
    }
}

async fn read_some<S: AsyncRead + Unpin>(stream: &mut S, input: &mut Vec<u8>) -> io::Result<usize> {
    input.reserve(READ_OCTETS);
    stream.read_buf(input).await
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, octets: &[u8]) -> io::Result<()> {
    timeout(WRITE_TIME_MAX, stream.write_all(octets)).await?
}

/// The most connections at once; the next waits in the kernel's queue until one ends.
pub(super) const CONNECTIONS_MAX: usize = 1024;
/// The most connections of clients that are not served, on each listener; more are closed.
const STRANGERS_MAX: usize = 64;
/// The most queries of one connection that wait for upstreams at once; the next is not read.
const PIPELINE_MAX: usize = 64;
/// A connection without a whole query or an answer for so long is closed; longer than the
/// resolver takes for any answer.
const IDLE_TIME_MAX: Duration = Duration::from_secs(10);
/// A client that does not take an answer within this time is left.
const WRITE_TIME_MAX: Duration = Duration::from_secs(5);
/// How long to wait when the system has no more connections to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest query that is taken, in octets; a connection with a longer one is closed.
const QUERY_OCTETS_MAX: usize = 4096;
/// The longest answer, in octets.
const ANSWER_OCTETS_MAX: usize = 65_535;
/// The length before each message, in octets.
const LENGTH_OCTETS: usize = 2;
/// How much is read at once, in octets.
const READ_OCTETS: usize = 2048;
