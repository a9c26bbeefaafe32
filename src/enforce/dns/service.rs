//! [`Service`]: what all transports share, from a packet to its reply.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};

use super::exchange::{Exchange, Step};
use super::outcome::Tally;
use super::{Outcome, Query, Settings, Transport};
use crate::enforce::resolver::wire::Rcode;
use crate::enforce::resolver::{Admission, Question, Resolver};
use crate::enforce::{Edition, InForce};
use crate::policy::Surface;

/// Answers packets, whatever they came over.
#[derive(Debug)]
pub(super) struct Service {
    stage: ArcSwap<Stage>,
    in_force: Arc<InForce>,
    ready: Arc<AtomicBool>,
    tally: Tally,
}

/// What a change of configuration replaces.
#[derive(Debug)]
struct Stage {
    settings: Settings,
    resolver: Arc<Resolver>,
}

impl Service {
    pub(super) fn new(
        settings: Settings,
        in_force: Arc<InForce>,
        resolver: Arc<Resolver>,
        ready: Arc<AtomicBool>,
    ) -> Self {
        Self {
            stage: ArcSwap::from_pointee(Stage { settings, resolver }),
            in_force,
            ready,
            tally: Tally::new(),
        }
    }

    /// Takes other settings and another resolver; what is in flight ends under the old ones.
    pub(super) fn replace(&self, settings: Settings, resolver: Arc<Resolver>) {
        self.stage.store(Arc::new(Stage { settings, resolver }));
    }

    /// Whether a client is among those that are served.
    pub(super) fn serves(&self, client: IpAddr) -> bool {
        self.stage.load().settings.serves(client)
    }

    /// Begins with `packets` packets that came over one transport by `now`.
    pub(super) fn batch(&self, transport: Transport, packets: usize, now: Instant) -> Batch<'_> {
        self.tally
            .came(transport, u64::try_from(packets).unwrap_or(0));
        Batch {
            service: self,
            stage: self.stage.load(),
            edition: self.in_force.load(),
            ready: self.ready.load(Ordering::Relaxed),
            transport,
            now,
        }
    }
}

/// Some packets that are answered under one edition and one stage.
pub(super) struct Batch<'a> {
    service: &'a Service,
    stage: Guard<Arc<Stage>>,
    edition: Guard<Arc<Edition>>,
    ready: bool,
    transport: Transport,
    now: Instant,
}

/// What is to be done about one packet.
#[expect(
    clippy::large_enum_variant,
    reason = "it is made once for each packet, on the stack, and an allocation would cost more"
)]
pub(super) enum Turn {
    /// Send so many octets of the buffer.
    Reply(usize),
    /// Wait for an upstream.
    Later(Pending),
    /// Send nothing.
    Silence,
}

impl Batch<'_> {
    /// Takes the packet in the first `len` octets of `buffer` and writes its answer over it,
    /// if it can be given at once. What policy decided is counted when this returns.
    pub(super) fn take(&self, buffer: &mut [u8], len: usize, client: IpAddr) -> Turn {
        let settings = &self.stage.settings;
        let exchange = Exchange {
            edition: &self.edition,
            settings,
            ready: self.ready,
            transport: self.transport,
        };
        let allowed = settings.serves(client);
        let (step, decision) = exchange.begin(buffer, len, allowed);
        self.edition.count(&decision, Surface::Dns);
        match step {
            Step::Reply(len, outcome) => self.reply(len, outcome),
            Step::Drop(outcome) => {
                self.service.tally.ended(outcome);
                Turn::Silence
            }
            Step::Forward(query) => self.forward(&exchange, &query, buffer),
        }
    }

    /// Answers from the cache, or hands the query on.
    fn forward(&self, exchange: &Exchange<'_>, query: &Query, buffer: &mut [u8]) -> Turn {
        let resolver = &self.stage.resolver;
        let question = Question::from(query);
        if let Some(remembered) = resolver.cached(&question, self.now) {
            let len = exchange.conclude(query, &remembered.answer, remembered.age, buffer);
            return self.reply(len, Outcome::Cached);
        }
        let head = buffer.get(..query.question_end).unwrap_or_default();
        match resolver.admit() {
            Some(admission) => Turn::Later(Pending {
                query: *query,
                question,
                head: head.into(),
                transport: self.transport,
                admission,
                stage: Arc::clone(&self.stage),
                edition: Arc::clone(&self.edition),
            }),
            None => match exchange.say(query, buffer, Rcode::SERVFAIL, None, Outcome::ServFail) {
                Step::Reply(len, outcome) => self.reply(len, outcome),
                _ => Turn::Silence,
            },
        }
    }

    fn reply(&self, len: usize, outcome: Outcome) -> Turn {
        self.service.tally.ended(outcome);
        if len == 0 {
            return Turn::Silence;
        }
        Turn::Reply(len)
    }
}

/// A query that waits for an upstream, with the edition and the stage it began under.
pub(super) struct Pending {
    query: Query,
    question: Question,
    /// The header and the question as they came.
    head: Box<[u8]>,
    transport: Transport,
    admission: Admission,
    stage: Arc<Stage>,
    edition: Arc<Edition>,
}

impl Pending {
    /// Waits for the answer and writes it behind the first `prefix` octets of a buffer.
    pub(super) async fn finish(self, service: &Service, prefix: usize) -> Vec<u8> {
        let answer = self.admission.resolve(&self.question).await;
        let room = answer.octets().len() + answer.error_options().len() + OPT_ROOM;
        let mut buffer = vec![0; prefix + room];
        let message = buffer.get_mut(prefix..).unwrap_or_default();
        if let Some(place) = message.get_mut(..self.head.len()) {
            place.copy_from_slice(&self.head);
        }
        let exchange = Exchange {
            edition: &self.edition,
            settings: &self.stage.settings,
            ready: true,
            transport: self.transport,
        };
        let len = exchange.conclude(&self.query, &answer, Duration::ZERO, message);
        buffer.truncate(prefix + len);
        service.tally.ended(match answer.rcode() {
            Rcode::SERVFAIL => Outcome::ServFail,
            _ => Outcome::Forwarded,
        });
        buffer
    }
}

/// Room for an OPT without options, in octets.
const OPT_ROOM: usize = 16;
