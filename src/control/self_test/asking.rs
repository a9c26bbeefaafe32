//! [`Asking`]: puts the questions of a plan to the node's own listeners, within bounds of time.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};

use super::dns_question::{DnsQuestion, DnsReply, address_type};
use super::plan::{Canary, Plan};
use super::route::{Route, own_address};
use super::verdict::{Failure, Fault, Verdict};
use crate::config::Config;
use crate::control::clock;
use crate::enforce::dns::{self, Transport};
use crate::enforce::proxy;
use crate::enforce::resolver::RecordType;
use crate::policy::{Action, Name};
use crate::report::Probe;

/// Where the surfaces answer; fixed at the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listening {
    /// DNS, over UDP and TCP.
    pub(crate) dns: Vec<SocketAddr>,
    /// The stop page.
    pub(crate) http: Vec<SocketAddr>,
    /// The forward proxy.
    pub(crate) forward: Vec<SocketAddr>,
}

/// Puts the questions of a plan to the node's own listeners. Each is asked from an address
/// that it serves; where this machine has none, what the lists decide was tested in the plan,
/// and nothing is sent, since a refusal would say nothing about the lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) listening: &'a Listening,
    pub(super) config: &'a Config,
    pub(super) plan: &'a Plan,
    /// The lists in force, by their names in the configuration.
    pub(super) lists: &'a [String],
    /// When it must have ended.
    pub(super) end: Instant,
}

impl Asking<'_> {
    /// Asks everything and says what went wrong.
    pub(super) async fn ask(&self) -> Verdict {
        let mut verdict = Verdict {
            probes: self.plan.probes.clone(),
            failures: self.plan.failures.clone(),
            untested: self.plan.untested.clone(),
            ..Verdict::default()
        };
        if let Some(settings) = &self.config.dns {
            self.ask_dns(settings, &mut verdict).await;
        }
        if let Some(settings) = &self.config.proxy {
            self.ask_http(settings, &mut verdict).await;
        }
        verdict
    }

    /// Asks over DNS: each listener for every test entry, one of them for what must resolve.
    async fn ask_dns(&self, settings: &dns::Settings, verdict: &mut Verdict) {
        let route = |listener| Route::to(listener, &settings.clients, own_address);
        let routes: Vec<Route> = self
            .listening
            .dns
            .iter()
            .copied()
            .filter_map(route)
            .collect();
        for route in &routes {
            for transport in Transport::ALL {
                self.ask_canaries(settings, *route, transport, verdict)
                    .await;
            }
        }
        match routes.first() {
            Some(route) => self.ask_resolved(*route, verdict).await,
            None => {
                verdict.probes.remove(&Probe::Upstream);
            }
        }
    }

    /// Asks one listener for every test entry.
    async fn ask_canaries(
        &self,
        settings: &dns::Settings,
        route: Route,
        transport: Transport,
        verdict: &mut Verdict,
    ) {
        let is_asked = |canary: &&Canary| match canary.action {
            // No answer looks the same as no server.
            Action::Drop => false,
            // Over TCP the name passes.
            Action::TcpOnly => transport == Transport::Udp,
            _ => true,
        };
        let asked: Vec<(&Canary, Name)> = self
            .plan
            .blocked
            .iter()
            .filter(is_asked)
            .flat_map(|canary| [(canary, canary.name), (canary, canary.below)])
            .collect();
        let rtype = |canary: &Canary| match canary.action {
            Action::LocalData => RecordType::CNAME,
            _ => address_type(settings.stop_page),
        };
        let asks = asked.iter().map(|(canary, name)| (*name, rtype(canary)));
        let questions = questions(asks);
        verdict.queries += u64::try_from(questions.len()).unwrap_or(0);
        let patience = self.patience(ANSWER_MAX);
        let replies = match transport {
            Transport::Udp => over_udp(route, &questions, patience).await,
            Transport::Tcp => over_tcp(route, &questions, patience).await,
        };
        let mut is_silent = false;
        for ((canary, _), reply) in asked.iter().zip(replies) {
            let Some(reply) = reply else {
                is_silent |= !canary.waits;
                continue;
            };
            if let Some(wrong) = reply.wrong(canary, settings.stop_page, transport) {
                verdict.failures.push(Failure {
                    probe: Probe::DnsBlock,
                    fault: Fault::Wrong,
                    list: Some(canary.list.clone()),
                    subject: canary.name.to_string(),
                    sentence: format!(
                        "The test entry {} of list {} is not answered as its list demands: {wrong}.",
                        canary.name, canary.list
                    ),
                });
            }
        }
        if is_silent {
            let over = format!("DNS over {}", transport.as_str().to_uppercase());
            verdict
                .failures
                .push(silent(Probe::DnsBlock, &over, route.to));
        }
    }

    /// Asks one listener for the names that must resolve.
    async fn ask_resolved(&self, route: Route, verdict: &mut Verdict) {
        let names = &self.plan.resolved;
        let both = |name: &Name| [(*name, RecordType::A), (*name, RecordType::AAAA)];
        let questions = questions(names.iter().flat_map(both));
        verdict.queries += u64::try_from(questions.len()).unwrap_or(0);
        let replies = over_udp(route, &questions, self.patience(RESOLVE_MAX)).await;
        for (name, replies) in names.iter().zip(replies.chunks(2)) {
            let replies: Vec<&DnsReply> = replies.iter().flatten().collect();
            let lists = || self.lists.iter().map(String::as_str);
            let blocked = replies.iter().find_map(|reply| reply.blocked_by(lists()));
            let (probe, fault, why) = if let Some(list) = blocked {
                let why = format!("is answered in the name of list {list}, which lets it pass");
                (Probe::DnsPass, Fault::Wrong, why)
            } else if replies.iter().any(|reply| reply.resolves()) {
                continue;
            } else {
                let said = replies.first().map_or_else(
                    || format!("nothing came within {} s", RESOLVE_MAX.as_secs()),
                    |reply| reply.said(),
                );
                let why = format!(
                    "does not resolve: {said}. No list has to do with it; look at the upstream resolvers"
                );
                (Probe::Upstream, Fault::Upstream, why)
            };
            verdict.failures.push(Failure {
                probe,
                fault,
                list: blocked.map(str::to_owned),
                subject: name.to_string(),
                sentence: format!("{name} must work and {why}."),
            });
        }
    }

    /// Asks the stop page and the forward proxy.
    async fn ask_http(&self, settings: &proxy::Settings, verdict: &mut Verdict) {
        for listener in &self.listening.http {
            let route = Route::open(*listener);
            self.ask_pages(Probe::HttpBlock, route, verdict).await;
        }
        for listener in &self.listening.forward {
            if let Some(route) = Route::to(*listener, &settings.forward_clients, own_address) {
                self.ask_pages(Probe::ProxyBlock, route, verdict).await;
            }
        }
    }

    /// Asks one HTTP listener for every test entry.
    async fn ask_pages(&self, probe: Probe, route: Route, verdict: &mut Verdict) {
        for canary in &self.plan.blocked {
            for name in [canary.name, canary.below] {
                let target = match probe {
                    Probe::ProxyBlock => format!("http://{name}/"),
                    _ => "/".to_owned(),
                };
                let request =
                    format!("GET {target} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
                verdict.requests += 1;
                let answer = over_http(route, &request, self.patience(ANSWER_MAX)).await;
                let Some(status) = answer else {
                    let over = match probe {
                        Probe::ProxyBlock => "The forward proxy",
                        _ => "The stop page",
                    };
                    // The other questions would wait as long.
                    return verdict.failures.push(silent(probe, over, route.to));
                };
                if status != UNAVAILABLE_FOR_LEGAL_REASONS {
                    verdict.failures.push(Failure {
                        probe,
                        fault: Fault::Wrong,
                        list: Some(canary.list.clone()),
                        subject: canary.name.to_string(),
                        sentence: format!(
                            "The test entry {} of list {} gets status {status} at {} instead of 451.",
                            canary.name, canary.list, route.to
                        ),
                    });
                }
            }
        }
    }

    /// How long may be waited, at most `most`.
    fn patience(&self, most: Duration) -> Duration {
        self.end
            .saturating_duration_since(clock::instant())
            .min(most)
    }
}

/// The failure of a listener that does not answer.
fn silent(probe: Probe, over: &str, listener: SocketAddr) -> Failure {
    Failure {
        probe,
        fault: Fault::Silent,
        list: None,
        subject: listener.to_string(),
        sentence: format!(
            "{over} at {listener} does not answer the node itself within {} s. Clients may wait as long; look at the load and at the log.",
            ANSWER_MAX.as_secs()
        ),
    }
}

fn questions(asked: impl Iterator<Item = (Name, RecordType)>) -> Vec<DnsQuestion> {
    (0..=u16::MAX)
        .zip(asked)
        .map(|(id, (name, rtype))| DnsQuestion::new(id, &name, rtype))
        .collect()
}

/// Asks all at once, again after half the time, and waits for the answers; nothing for those
/// that do not come.
async fn over_udp(
    route: Route,
    questions: &[DnsQuestion],
    patience: Duration,
) -> Vec<Option<DnsReply>> {
    let mut replies = vec![None; questions.len()];
    let Ok(socket) = UdpSocket::bind((route.from, 0)).await else {
        return replies;
    };
    if socket.connect(route.to).await.is_err() {
        return replies;
    }
    for _ in 0..TRIES {
        // Few enough at a time for any socket's buffer.
        for (questions, replies) in questions
            .chunks(IN_FLIGHT_MAX)
            .zip(replies.chunks_mut(IN_FLIGHT_MAX))
        {
            if replies.iter().all(Option::is_some) {
                continue;
            }
            let exchange = exchange(&socket, questions, replies);
            // What did not come is tried again.
            let _ = timeout(patience / TRIES, exchange).await;
        }
    }
    replies
}

/// Sends what is not answered yet and takes answers until all are there.
async fn exchange(
    socket: &UdpSocket,
    questions: &[DnsQuestion],
    replies: &mut [Option<DnsReply>],
) -> io::Result<()> {
    for (question, reply) in questions.iter().zip(replies.iter()) {
        if reply.is_none() {
            socket.send(&question.packet).await?;
        }
    }
    let mut buffer = [0; UDP_BUFFER_OCTETS];
    while replies.iter().any(Option::is_none) {
        let length = socket.recv(&mut buffer).await?;
        let packet = buffer.get(..length).unwrap_or_default();
        for (question, reply) in questions.iter().zip(replies.iter_mut()) {
            if reply.is_none() {
                *reply = question.read(packet);
            }
        }
    }
    Ok(())
}

/// Asks one after the other over one connection; nothing from the first that is not answered
/// on.
async fn over_tcp(
    route: Route,
    questions: &[DnsQuestion],
    patience: Duration,
) -> Vec<Option<DnsReply>> {
    let mut replies = vec![None; questions.len()];
    if questions.is_empty() {
        return replies;
    }
    let Ok(Ok(mut stream)) = timeout(patience, connect(route)).await else {
        return replies;
    };
    for (question, reply) in questions.iter().zip(&mut replies) {
        match timeout(patience, one_over_tcp(&mut stream, question)).await {
            Ok(Ok(packet)) => *reply = question.read(&packet),
            _ => break,
        }
    }
    replies
}

async fn one_over_tcp(stream: &mut TcpStream, question: &DnsQuestion) -> io::Result<Vec<u8>> {
    let length = u16::try_from(question.packet.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes()[..], &question.packet].concat();
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut packet = vec![0; usize::from(length)];
    stream.read_exact(&mut packet).await?;
    Ok(packet)
}

/// Sends a request and reads the status of the answer; nothing where none comes.
async fn over_http(route: Route, request: &str, patience: Duration) -> Option<u16> {
    let asked = async {
        let mut stream = connect(route).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        stream.take(HEAD_OCTETS).read_to_end(&mut head).await?;
        io::Result::Ok(head)
    };
    let head = timeout(patience, asked).await.ok()?.ok()?;
    let line = head.split(|octet| *octet == b'\r').next()?;
    let status = std::str::from_utf8(line).ok()?.split(' ').nth(1)?;
    status.parse().ok()
}

/// A connection along a route. One that is refused is tried once more: a server that was just
/// started anew may not listen yet.
async fn connect(route: Route) -> io::Result<TcpStream> {
    let once = || async {
        let socket = match route.to {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind((route.from, 0).into())?;
        socket.connect(route.to).await
    };
    match once().await {
        Ok(stream) => Ok(stream),
        Err(_) => {
            sleep(CONNECT_PAUSE).await;
            once().await
        }
    }
}

/// How long the node may take for an answer of its own.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// How long an upstream may take.
const RESOLVE_MAX: Duration = Duration::from_secs(3);
/// How often a query over UDP is sent.
const TRIES: u32 = 2;
/// How many queries over UDP wait at once.
const IN_FLIGHT_MAX: usize = 64;
/// The pause before a refused connection is tried again.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);
/// More than any answer has over UDP.
const UDP_BUFFER_OCTETS: usize = 4096;
/// How much of an HTTP answer is read: its status line is at the start.
const HEAD_OCTETS: u64 = 64;
/// 451 (RFC 7725).
const UNAVAILABLE_FOR_LEGAL_REASONS: u16 = 451;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, UdpSocket as StdUdpSocket};
    use std::path::Path;

    use super::*;

    const CONFIG: &str = r#"
version: 1
dns: { listen: ["127.0.0.1:5300"], resolver: { forward: ["198.51.100.53"] } }
proxy: { http: { listen: ["127.0.0.1:8451"] }, forward: { listen: ["127.0.0.1:8454"] } }
"#;

    /// A UDP and a TCP socket on one port that take everything and say nothing.
    fn silent_dns() -> (StdUdpSocket, TcpListener) {
        loop {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            if let Ok(udp) = StdUdpSocket::bind(tcp.local_addr().unwrap()) {
                return (udp, tcp);
            }
        }
    }

    /// A web server that gives everybody a page, on a thread that ends with the test.
    fn any_page() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1000]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        });
        address
    }

    #[tokio::test]
    async fn surfaces_that_say_the_wrong_thing_are_told_from_those_that_say_nothing() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("test.yaml");
        let config = Config::parse(&file, CONFIG).unwrap();
        let name = |text: &str| Name::from_text(text).unwrap();
        let plan = Plan {
            blocked: vec![Canary {
                list: "csam".into(),
                name: name("csam.canary.invalid"),
                below: name("t1.csam.canary.invalid"),
                action: Action::Block,
                ede: None,
                waits: false,
            }],
            resolved: vec![name("works.test")],
            ..Plan::default()
        };
        let (dns, _tcp) = silent_dns();
        let dns = dns.local_addr().unwrap();
        let gone = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let page = any_page();
        let listening = Listening {
            dns: vec![dns],
            http: vec![page],
            forward: vec![gone],
        };
        let begin = clock::instant();
        let asking = Asking {
            listening: &listening,
            config: &config,
            plan: &plan,
            lists: &[],
            end: begin + Duration::from_secs(20),
        };
        let verdict = asking.ask().await;
        let took = clock::instant().duration_since(begin);
        assert!(took < Duration::from_secs(10), "{took:?}");
        let found: Vec<(Probe, Fault, String)> = verdict
            .failures
            .into_iter()
            .map(|failure| (failure.probe, failure.fault, failure.subject))
            .collect();
        let canary = || "csam.canary.invalid".to_owned();
        let expected = [
            (Probe::DnsBlock, Fault::Silent, dns.to_string()),
            (Probe::DnsBlock, Fault::Silent, dns.to_string()),
            (Probe::Upstream, Fault::Upstream, "works.test".to_owned()),
            (Probe::HttpBlock, Fault::Wrong, canary()),
            (Probe::HttpBlock, Fault::Wrong, canary()),
            (Probe::ProxyBlock, Fault::Silent, gone.to_string()),
        ];
        assert_eq!(found, expected);
        assert_eq!((verdict.queries, verdict.requests), (6, 3));
    }
}
