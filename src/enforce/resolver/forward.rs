//! [`Forwarder`]: asks other resolvers. The only file of the program that names hickory.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::tcp::TcpClientStream;
use hickory_net::tls::tls_exchange;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsExchange, DnsHandle, FirstAnswer};
use hickory_proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Edns, Message, Query};
use hickory_proto::rr::{Name as WireName, RecordType as WireType};
use hickory_proto::serialize::binary::BinDecodable;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use super::wire::Rcode;
use super::{Answer, Error, Question, Unusable, Upstream};

/// Some upstreams that know the same names, asked in the operator's order; those that
/// failed lately come last.
#[derive(Debug)]
pub(super) struct Forwarder {
    upstreams: Box<[Server]>,
    made: Instant,
}

/// Why no upstream answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// None could be reached in time.
    Unreachable,
    /// One was reached, but what it said is no answer, or its certificate is not the right one.
    Network,
}

impl Failure {
    /// Its Extended DNS Error (RFC 8914 sections 4.23 and 4.24).
    pub(super) const fn ede(self) -> u16 {
        match self {
            Self::Unreachable => 22,
            Self::Network => 23,
        }
    }
}

impl Forwarder {
    /// A forwarder to some upstreams. `tls` is needed where one of them has a TLS name.
    pub(super) fn new(
        upstreams: &[Upstream],
        tls: Option<&rustls::ClientConfig>,
    ) -> Result<Self, Error> {
        let upstreams = upstreams
            .iter()
            .map(|upstream| Server::new(upstream, tls))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            upstreams,
            made: Instant::now(),
        })
    }

    /// The first answer that an upstream gives within [`QUERY_TIME_MAX`]. A failure of the
    /// upstream's own (SERVFAIL, REFUSED) is only the answer if no other has a better one.
    pub(super) async fn ask(&self, question: &Question) -> Result<Answer, Failure> {
        let deadline = Instant::now() + QUERY_TIME_MAX;
        let request = request(question).ok_or(Failure::Network)?;
        let mut failure = Failure::Unreachable;
        let mut failed_answer = None;
        for _ in 0..ROUNDS {
            for server in self.in_order() {
                let asked = server.ask(&request, question);
                match timeout_at(deadline, asked).await {
                    Ok(Ok(answer)) => {
                        server.failed_at.store(0, Ordering::Relaxed);
                        if matches!(answer.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) {
                            return Ok(answer);
                        }
                        failed_answer.get_or_insert(answer);
                    }
                    Ok(Err(why)) => {
                        server.failed_at.store(self.clock(), Ordering::Relaxed);
                        failure = why;
                    }
                    Err(_) => {
                        server.failed_at.store(self.clock(), Ordering::Relaxed);
                        return failed_answer.ok_or(failure);
                    }
                }
            }
            if let Some(answer) = failed_answer {
                return Ok(answer);
            }
        }
        Err(failure)
    }

    /// The upstreams that did not fail lately, then the others.
    fn in_order(&self) -> impl Iterator<Item = &Server> {
        let now = self.clock();
        let backing_off = move |server: &&Server| {
            let failed_at = server.failed_at.load(Ordering::Relaxed);
            failed_at != 0 && now < failed_at.saturating_add(BACK_OFF_MILLIS)
        };
        let healthy = self
            .upstreams
            .iter()
            .filter(move |server| !backing_off(server));
        healthy.chain(self.upstreams.iter().filter(backing_off))
    }

    /// Milliseconds since this forwarder was made, from 1.
    fn clock(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).map_or(u64::MAX, |millis| millis + 1)
    }
}

/// One upstream, with its connections.
struct Server {
    upstream: Upstream,
    tls: Option<(ServerName<'static>, rustls::ClientConfig)>,
    provider: TokioRuntimeProvider,
    /// One socket and port for each query is opened behind this.
    datagrams: Mutex<Option<Exchange>>,
    /// The TCP or TLS connection, shared by all queries. The lock is held while connecting,
    /// so that a burst of queries makes one connection.
    stream: Mutex<Stream>,
    /// When it last failed, by [`Forwarder::clock`]; 0 if it answered since.
    failed_at: AtomicU64,
}

type Exchange = DnsExchange<TokioRuntimeProvider>;

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.upstream.fmt(f)
    }
}

impl Server {
    fn new(upstream: &Upstream, tls: Option<&rustls::ClientConfig>) -> Result<Self, Error> {
        let tls = match (&upstream.tls_name, tls) {
            (Some(name), Some(config)) => {
                let server_name =
                    ServerName::try_from(name.clone()).map_err(|_| Error::TlsName(name.clone()))?;
                Some((server_name, config.clone()))
            }
            _ => None,
        };
        Ok(Self {
            upstream: upstream.clone(),
            tls,
            provider: TokioRuntimeProvider::new(),
            datagrams: Mutex::new(None),
            stream: Mutex::default(),
            failed_at: AtomicU64::new(0),
        })
    }

    /// Asks over TLS, or over UDP and, for what does not fit, over TCP.
    async fn ask(&self, request: &DnsRequest, question: &Question) -> Result<Answer, Failure> {
        if self.tls.is_none() {
            match self.over_udp(request, question).await? {
                Err(Unusable::Truncated) => {}
                read => return read.map_err(|_| Failure::Network),
            }
        }
        let read = timeout(ATTEMPT_TIME_MAX, self.over_stream(request, question))
            .await
            .map_err(|_| Failure::Unreachable)??;
        read.map_err(|_| Failure::Network)
    }

    async fn over_udp(
        &self,
        request: &DnsRequest,
        question: &Question,
    ) -> Result<Result<Answer, Unusable>, Failure> {
        let exchange = {
            let mut datagrams = self.datagrams.lock().await;
            let exchange = datagrams.get_or_insert_with(|| {
                UdpClientStream::builder(self.upstream.address, self.provider.clone())
                    .with_timeout(Some(ATTEMPT_TIME_MAX))
                    .with_retry_interval_floor(RESEND_MILLIS)
                    .exchange()
            });
            exchange.clone()
        };
        let sent = exchange.send(request.clone()).first_answer().await;
        match sent {
            Ok(response) => Ok(read(question, response)),
            Err(error) => {
                if !matches!(error, NetError::Timeout) {
                    // Whatever it was, the next query begins anew.
                    *self.datagrams.lock().await = None;
                }
                Err(failure(&error))
            }
        }
    }

    async fn over_stream(
        &self,
        request: &DnsRequest,
        question: &Question,
    ) -> Result<Result<Answer, Unusable>, Failure> {
        loop {
            let connection = self.connected().await?;
            let sent = connection.exchange.send(request.clone());
            match sent.first_answer().await {
                Ok(response) => return Ok(read(question, response)),
                // An upstream may close a connection at any time (RFC 7766 section 6.2.3),
                // and one that is full comes to us the same way as one that is closed.
                Err(error) => {
                    self.leave(connection.number).await;
                    if connection.is_new {
                        return Err(failure(&error));
                    }
                }
            }
        }
    }

    /// The connection that is used now, made if there is none.
    async fn connected(&self) -> Result<Connection, Failure> {
        let mut stream = self.stream.lock().await;
        if let Some(exchange) = &stream.exchange {
            return Ok(Connection {
                exchange: exchange.clone(),
                number: stream.number,
                is_new: false,
            });
        }
        let (address, provider) = (self.upstream.address, self.provider.clone());
        let at_once = Some(STREAM_QUERIES_MAX);
        let connected = match &self.tls {
            Some((name, config)) => {
                let (name, config) = (name.clone(), config.clone());
                tls_exchange(address, name, config, ATTEMPT_TIME_MAX, at_once, provider).await
            }
            None => {
                TcpClientStream::exchange(address, None, ATTEMPT_TIME_MAX, at_once, provider).await
            }
        };
        let exchange = connected.map_err(|error| failure(&error))?;
        stream.exchange = Some(exchange.clone());
        stream.number += 1;
        Ok(Connection {
            exchange,
            number: stream.number,
            is_new: true,
        })
    }

    /// Uses that connection no more; those who wait on it still get their answers.
    async fn leave(&self, number: u64) {
        let mut stream = self.stream.lock().await;
        if stream.number == number {
            stream.exchange = None;
        }
    }
}

/// The TCP or TLS connection of an upstream, and how many there were before.
#[derive(Default)]
struct Stream {
    exchange: Option<Exchange>,
    number: u64,
}

/// A connection as one query uses it.
struct Connection {
    exchange: Exchange,
    number: u64,
    is_new: bool,
}

/// The TLS settings for `tls://` upstreams, which the system's authorities vouch for.
pub(super) fn system_tls() -> Result<rustls::ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verified = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(Error::Authorities)?;
    Ok(verified.with_no_client_auth())
}

/// The query that is sent for a question.
fn request(question: &Question) -> Option<DnsRequest> {
    let name = WireName::from_bytes(question.name.as_wire()).ok()?;
    let mut message = Message::query();
    message.add_query(Query::query(name, WireType::from(question.rtype.0)));
    message.metadata.recursion_desired = !question.flags.no_recursion;
    message.metadata.checking_disabled = question.flags.checking_disabled;
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_OCTETS_MAX)
        .set_dnssec_ok(question.flags.dnssec_ok);
    message.set_edns(edns);
    Some(DnsRequest::new(message, DnsRequestOptions::default()))
}

/// The answer in an upstream's message.
fn read(question: &Question, response: DnsResponse) -> Result<Answer, Unusable> {
    match Answer::read(question, response.as_buffer()) {
        Err(Unusable::OptInside) => {
            let mut message = response.into_message();
            message.edns = None;
            let octets = message.to_vec().map_err(|_| Unusable::Malformed)?;
            Answer::read(question, &octets)
        }
        read => read,
    }
}

fn failure(error: &NetError) -> Failure {
    match error {
        NetError::Timeout | NetError::NoConnections | NetError::Busy => Failure::Unreachable,
        // What TLS has against a peer comes as invalid data.
        NetError::Io(error) if error.kind() != io::ErrorKind::InvalidData => Failure::Unreachable,
        _ => Failure::Network,
    }
}

/// The longest time until an asker is answered: within what stub resolvers wait.
const QUERY_TIME_MAX: Duration = Duration::from_millis(4500);
/// The longest time that one upstream is waited for, retransmissions included.
const ATTEMPT_TIME_MAX: Duration = Duration::from_millis(1500);
/// After this time without an answer a UDP query is sent again.
const RESEND_MILLIS: u64 = 500;
/// How often each upstream is tried for one query.
const ROUNDS: usize = 2;
/// How long an upstream that failed is asked after all others.
const BACK_OFF_MILLIS: u64 = 5000;
/// The most queries at once on one TCP or TLS connection; the next takes another one.
const STREAM_QUERIES_MAX: usize = 1024;
/// The largest UDP answer that is asked for, so that none is fragmented (RFC 9715).
const UDP_OCTETS_MAX: u16 = 1232;
