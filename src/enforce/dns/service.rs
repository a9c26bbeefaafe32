//! [`Service`]: what all transports share, from a packet to its reply.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};

use super::exchange::{Aged, Exchange, Step};
use super::inquiry::{Inquiry, Need};
use super::outcome::Tally;
use super::{Outcome, Settings, Transport};
use crate::enforce::resolver::wire::Rcode;
use crate::enforce::resolver::{Admission, Remembered, Resolver};
use crate::enforce::{Edition, InForce};
use crate::policy::{NameServer, Surface};

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
        let exchange = Exchange {
            edition: &self.edition,
            settings: &self.stage.settings,
            ready: self.ready,
            transport: self.transport,
        };
        let mut is_cached = false;
        let mut step = exchange.begin(buffer, len, client);
        loop {
            let inquiry = match step {
                Step::Reply(len, outcome, decision) => {
                    self.edition.count(&decision, Surface::Dns);
                    return self.reply(len, if is_cached { outcome.cached() } else { outcome });
                }
                Step::Drop(outcome, decision) => {
                    self.edition.count(&decision, Surface::Dns);
                    self.service.tally.ended(outcome);
                    return Turn::Silence;
                }
                Step::Ask(inquiry) => inquiry,
            };
            let resolver = &self.stage.resolver;
            let remembered = match &inquiry.need {
                Need::Answer(question) => resolver.cached(question, self.now),
                // It is made of several answers.
                Need::NameServers(..) => None,
            };
            step = match remembered {
                Some(Remembered { answer, age }) => {
                    is_cached = true;
                    exchange.conclude(inquiry, &Aged { answer, age }, buffer)
                }
                None => match resolver.admit() {
                    Some(admission) => return Turn::Later(self.wait(inquiry, admission, buffer)),
                    None => {
                        let (rcode, outcome) = (Rcode::SERVFAIL, Outcome::ServFail);
                        exchange.say(&inquiry.query, buffer, rcode, None, outcome)
                    }
                },
            };
        }
    }

    /// What waits for an upstream.
    fn wait(&self, inquiry: Inquiry, admission: Admission, buffer: &[u8]) -> Pending {
        let head = buffer.get(..inquiry.query.question_end).unwrap_or_default();
        Pending {
            head: head.into(),
            inquiry,
            transport: self.transport,
            admission,
            stage: Arc::clone(&self.stage),
            edition: Arc::clone(&self.edition),
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
    inquiry: Inquiry,
    /// The header and the question as they came.
    head: Box<[u8]>,
    transport: Transport,
    admission: Admission,
    stage: Arc<Stage>,
    edition: Arc<Edition>,
}

impl Pending {
    /// Waits for what is wanted and writes the answer behind the first `prefix` octets of a
    /// buffer; nothing where there is to be none. What policy decided is counted when this
    /// returns.
    pub(super) async fn finish(self, service: &Service, prefix: usize) -> Option<Vec<u8>> {
        let exchange = Exchange {
            edition: &self.edition,
            settings: &self.stage.settings,
            ready: true,
            transport: self.transport,
        };
        let octets_max = exchange.octets_max(&self.inquiry.query);
        let mut inquiry = self.inquiry;
        loop {
            let found = Found::of(&self.admission, &inquiry.need).await;
            let mut buffer = vec![0; prefix + octets_max];
            let message = buffer.get_mut(prefix..).unwrap_or_default();
            if let Some(place) = message.get_mut(..self.head.len()) {
                place.copy_from_slice(&self.head);
            }
            let step = match found {
                Found::Answer(answer) => exchange.conclude(inquiry, &answer, message),
                Found::NameServers(servers) => exchange.resume(inquiry, servers, message),
            };
            match step {
                Step::Ask(next) => inquiry = next,
                Step::Drop(outcome, decision) => {
                    self.edition.count(&decision, Surface::Dns);
                    service.tally.ended(outcome);
                    return None;
                }
                Step::Reply(len, outcome, decision) => {
                    self.edition.count(&decision, Surface::Dns);
                    service.tally.ended(outcome);
                    buffer.truncate(prefix + len);
                    return Some(buffer);
                }
            }
        }
    }
}

/// What was found out.
enum Found {
    Answer(Aged),
    NameServers(Vec<NameServer>),
}

impl Found {
    async fn of(admission: &Admission, need: &Need) -> Self {
        match need {
            Need::Answer(question) => Self::Answer(Aged {
                answer: admission.resolve(question).await,
                age: Duration::ZERO,
            }),
            Need::NameServers(name, dots, addresses) => {
                Self::NameServers(admission.name_servers(name, *dots, *addresses).await)
            }
        }
    }
}
