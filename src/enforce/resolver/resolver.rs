//! [`Resolver`]: answers questions from what it remembers, and from upstreams.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::forward::{Forwarder, system_tls};
use super::wire::{Rcode, RecordType};
use super::{
    Answer, Error, LookupError, PacketCache, Question, Remembered, Settings, Upstream, special_use,
};
use crate::policy::Name;

/// Answers questions with the truth: from its cache, or from the upstreams that are
/// responsible for the name. It knows no policy.
#[derive(Debug)]
pub struct Resolver {
    cache: PacketCache,
    /// Zones that are asked elsewhere, those with more labels first.
    zones: Box<[(Name, Forwarder)]>,
    /// Whom to ask for all other names.
    forward: Option<Forwarder>,
    /// What is being asked; the same question is asked once.
    in_flight: Mutex<HashMap<Question, InFlightAnswer>>,
    permits: Arc<Semaphore>,
}

/// The answer of one question, once it is there.
type InFlightAnswer = Arc<OnceCell<Arc<Answer>>>;

impl Resolver {
    /// A resolver with an empty cache.
    ///
    /// # Errors
    /// Only where an upstream is to be asked over TLS: see [`Error`].
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let has_tls = |upstreams: &[Upstream]| upstreams.iter().any(|one| one.tls_name.is_some());
        let tls = if has_tls(&settings.forward)
            || settings.zones.iter().any(|zone| has_tls(&zone.forward))
        {
            Some(system_tls()?)
        } else {
            None
        };
        Self::with_tls(settings, tls.as_ref())
    }

    fn with_tls(settings: &Settings, tls: Option<&rustls::ClientConfig>) -> Result<Self, Error> {
        let mut zones = settings
            .zones
            .iter()
            .map(|zone| Ok((zone.name, Forwarder::new(&zone.forward, tls)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        zones.sort_by_key(|(name, _)| std::cmp::Reverse(name.label_count()));
        let forward = if settings.forward.is_empty() {
            None
        } else {
            Some(Forwarder::new(&settings.forward, tls)?)
        };
        Ok(Self {
            cache: PacketCache::new(settings.cache_octets),
            zones: zones.into(),
            forward,
            in_flight: Mutex::default(),
            permits: Arc::new(Semaphore::new(QUERIES_IN_FLIGHT_MAX)),
        })
    }

    /// What is remembered of a question. Neither waits nor allocates.
    pub fn cached(&self, question: &Question, now: Instant) -> Option<Remembered> {
        self.cache.get(question, now)
    }

    /// A place among the [`QUERIES_IN_FLIGHT_MAX`]; nothing if all are taken.
    #[must_use]
    pub fn admit(self: &Arc<Self>) -> Option<Admission> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(Admission {
            resolver: Arc::clone(self),
            _permit: permit,
        })
    }

    /// The addresses of a host, through its aliases, IPv4 first.
    ///
    /// # Errors
    /// [`LookupError`]; also where [`QUERIES_IN_FLIGHT_MAX`] is reached.
    pub async fn addresses(self: &Arc<Self>, name: &Name) -> Result<Vec<IpAddr>, LookupError> {
        let (v4, v6) = tokio::join!(
            self.addresses_of(*name, RecordType::A),
            self.addresses_of(*name, RecordType::AAAA)
        );
        match (v4, v6) {
            (Ok(mut v4), Ok(v6)) => {
                v4.extend(v6);
                Ok(v4)
            }
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            (Err(LookupError::NotFound), Err(LookupError::NotFound)) => Err(LookupError::NotFound),
            (Err(_), Err(_)) => Err(LookupError::Failed),
        }
    }

    async fn addresses_of(
        self: &Arc<Self>,
        mut name: Name,
        rtype: RecordType,
    ) -> Result<Vec<IpAddr>, LookupError> {
        for _ in 0..ALIASES_MAX {
            let question = Question::new(name, rtype);
            let now = tokio::time::Instant::now().into_std();
            let answer = match self.cached(&question, now) {
                Some(remembered) => remembered.answer,
                None => {
                    let admission = self.admit().ok_or(LookupError::Failed)?;
                    admission.resolve(&question).await
                }
            };
            let (last, addresses) = answer.addresses(name);
            if !addresses.is_empty() {
                return Ok(addresses);
            }
            match answer.rcode() {
                Rcode::NOERROR if last != name => name = last,
                Rcode::NOERROR | Rcode::NXDOMAIN => return Err(LookupError::NotFound),
                _ => return Err(LookupError::Failed),
            }
        }
        Err(LookupError::NotFound)
    }

    /// Forgets the answers for `name` and all names below it, and says how many.
    pub fn flush(&self, name: &Name) -> usize {
        self.cache.flush(name)
    }

    /// Who is responsible for a name: the longest zone, else the default; and whether it was
    /// a zone.
    fn forwarder(&self, name: &Name) -> (Option<&Forwarder>, bool) {
        let zone = self
            .zones
            .iter()
            .find(|(zone, _)| name.is_at_or_below(zone));
        match zone {
            Some((_, forwarder)) => (Some(forwarder), true),
            None => (self.forward.as_ref(), false),
        }
    }

    async fn resolve(&self, question: &Question) -> Arc<Answer> {
        let (forwarder, is_zone) = self.forwarder(&question.name);
        if let (false, Some(answer)) = (is_zone, special_use::answer(question)) {
            return Arc::new(answer);
        }
        let Some(forwarder) = forwarder else {
            return Arc::new(Answer::failed(question, Rcode::REFUSED, None).passing());
        };
        let asking = Asking::join(self, question);
        let answer = asking.answer.get_or_init(|| async {
            let asked = forwarder.ask(question).await;
            let answer = Arc::new(asked.unwrap_or_else(|failure| {
                Answer::failed(question, Rcode::SERVFAIL, Some(failure.ede()))
            }));
            let now = tokio::time::Instant::now().into_std();
            self.cache.insert(question, &answer, now);
            answer
        });
        Arc::clone(answer.await)
    }

    fn in_flight(&self) -> MutexGuard<'_, HashMap<Question, InFlightAnswer>> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the queries in flight. Who holds it may ask.
#[derive(Debug)]
pub struct Admission {
    resolver: Arc<Resolver>,
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    /// The answer to a question: the upstream's, one of our own for special-use names, or
    /// SERVFAIL with an Extended DNS Error where no upstream could be asked. It is
    /// remembered for its lifetime.
    pub async fn resolve(&self, question: &Question) -> Arc<Answer> {
        self.resolver.resolve(question).await
    }
}

/// One asker's part in a question that is being asked.
struct Asking<'a> {
    resolver: &'a Resolver,
    question: &'a Question,
    answer: InFlightAnswer,
}

impl<'a> Asking<'a> {
    fn join(resolver: &'a Resolver, question: &'a Question) -> Self {
        let answer = Arc::clone(resolver.in_flight().entry(*question).or_default());
        Self {
            resolver,
            question,
            answer,
        }
    }
}

impl Drop for Asking<'_> {
    /// The first to leave with an answer takes the question off the table, and so does the
    /// last who leaves without one.
    fn drop(&mut self) {
        let mut in_flight = self.resolver.in_flight();
        let is_ours = in_flight
            .get(self.question)
            .is_some_and(|answer| Arc::ptr_eq(answer, &self.answer));
        if is_ours && (self.answer.initialized() || Arc::strong_count(&self.answer) <= 2) {
            in_flight.remove(self.question);
        }
    }
}

/// The most client queries that may wait for upstreams at once; what comes on top gets
/// SERVFAIL. Each holds a socket and some 30 KiB, so that a flood of names which a slow
/// upstream never answers stays below 100 MiB.
pub const QUERIES_IN_FLIGHT_MAX: usize = 2_000;
/// The longest chain of aliases that is followed by asking again.
const ALIASES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hickory_proto::op::Message;
    use hickory_proto::rr::{RData, Record, rdata};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// An upstream over TLS whose certificate is for `dns.test`; the client settings that
    /// trust it; and how many connections it took.
    async fn tls_upstream() -> (SocketAddr, rustls::ClientConfig, Arc<Mutex<usize>>) {
        let made = rcgen::generate_simple_self_signed(["dns.test".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.unwrap())
            .unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&connections);
        let acceptor = TlsAcceptor::from(Arc::new(server));
        tokio_util::task::TaskTracker::new().spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                *counted.lock().unwrap() += 1;
                // Two answers, then it closes, as an upstream may at any time.
                for _ in 0..2 {
                    let Ok(length) = stream.read_u16().await else {
                        break;
                    };
                    let mut octets = vec![0; usize::from(length)];
                    stream.read_exact(&mut octets).await.unwrap();
                    let query = Message::from_vec(&octets).unwrap();
                    let question = query.queries[0].clone();
                    let mut reply = Message::response(query.id, query.op_code);
                    let address = RData::A(rdata::A::new(192, 0, 2, 53));
                    reply.add_answer(Record::from_rdata(question.name().clone(), 60, address));
                    reply.add_query(question);
                    let octets = reply.to_vec().unwrap();
                    let length = u16::try_from(octets.len()).unwrap();
                    stream.write_u16(length).await.unwrap();
                    stream.write_all(&octets).await.unwrap();
                    stream.flush().await.unwrap();
                }
            }
        });
        (address, client, connections)
    }

    fn resolver(address: SocketAddr, name: &str, tls: &rustls::ClientConfig) -> Arc<Resolver> {
        let settings = Settings {
            forward: vec![Upstream {
                address,
                tls_name: Some(name.to_owned()),
            }],
            zones: Vec::new(),
            cache_octets: 1 << 20,
        };
        Arc::new(Resolver::with_tls(&settings, Some(tls)).unwrap())
    }

    async fn ask(resolver: &Arc<Resolver>, name: &str) -> Arc<Answer> {
        let question = Question::new(Name::from_text(name).unwrap(), RecordType::A);
        resolver.admit().unwrap().resolve(&question).await
    }

    #[tokio::test]
    async fn an_upstream_over_tls_is_asked_on_one_connection_until_it_closes() {
        let (address, tls, connections) = tls_upstream().await;
        let resolver = resolver(address, "dns.test", &tls);
        for name in ["a.test", "b.test", "c.test"] {
            assert_eq!(ask(&resolver, name).await.rcode(), Rcode::NOERROR, "{name}");
        }
        assert_eq!(*connections.lock().unwrap(), 2);
    }

    #[tokio::test]
    async fn a_certificate_for_another_name_is_a_network_error() {
        let (address, tls, _) = tls_upstream().await;
        let answer = ask(&resolver(address, "other.test", &tls), "a.test").await;
        assert_eq!(answer.rcode(), Rcode::SERVFAIL);
        assert_eq!(answer.error_options(), b"\0\x0f\0\x02\0\x17");
    }

    #[tokio::test]
    async fn who_is_nobodys_to_ask_is_refused() {
        let settings = Settings {
            forward: Vec::new(),
            zones: Vec::new(),
            cache_octets: 0,
        };
        let resolver = Arc::new(Resolver::new(&settings).unwrap());
        assert_eq!(ask(&resolver, "a.test").await.rcode(), Rcode::REFUSED);
        let name = Name::from_text("localhost").unwrap();
        let found = resolver.addresses(&name).await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_name_that_no_certificate_has_is_told() {
        let upstream = Upstream {
            address: "127.0.0.1:853".parse().unwrap(),
            tls_name: Some("not a name".to_owned()),
        };
        let settings = Settings {
            forward: vec![upstream],
            zones: Vec::new(),
            cache_octets: 0,
        };
        let error = Resolver::new(&settings).unwrap_err();
        assert!(error.to_string().contains("\"not a name\""), "{error}");
    }
}
