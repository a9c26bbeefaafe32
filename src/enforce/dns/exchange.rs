//! [`Exchange`]: query → decision → upstream's answer → decision → reply.

use std::time::Duration;

use super::message::{Query, Unanswerable};
use super::response::{Data, ExtendedError, Response, write_answer, write_header};
use super::{Outcome, Settings, Transport};
use crate::enforce::Edition;
use crate::enforce::resolver::wire::{CLASS_IN, Rcode, RecordType};
use crate::enforce::resolver::{Answer, Flags, Question};
use crate::policy::{Action, Decision, RuleId};

/// How queries that came over one transport are answered under one edition. Knows no
/// socket and no clock, and allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// What is in force.
    pub edition: &'a Edition,
    /// The stop page's addresses, the TTL, and what to do before all lists are in force.
    pub settings: &'a Settings,
    /// Whether every required list is in force.
    pub ready: bool,
    /// How the query came.
    pub transport: Transport,
}

/// What a packet leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// An answer of so many octets is in the buffer.
    Reply(usize, Outcome),
    /// The truth is to be found and given to [`Exchange::conclude`].
    Forward(Query),
    /// There is no answer.
    Drop(Outcome),
}

impl Exchange<'_> {
    /// Decides on the packet in the first `len` octets of `buffer`, and writes what is to be
    /// said over it. The decision is to be counted before the reply leaves; it is empty
    /// where policy was not asked, as for clients that are not served.
    pub fn begin(&self, buffer: &mut [u8], len: usize, client_allowed: bool) -> (Step, Decision) {
        let parsed = Query::parse(buffer.get(..len).unwrap_or_default());
        let query = match parsed {
            Ok(query) => query,
            Err(Unanswerable::Silent) => {
                return (Step::Drop(Outcome::Ignored), Decision::default());
            }
            Err(Unanswerable::Malformed) => {
                let len = write_header(Rcode::FORMERR, buffer);
                return (Step::Reply(len, Outcome::FormErr), Decision::default());
            }
            Err(Unanswerable::Opcode) => {
                let len = write_header(Rcode::NOTIMP, buffer);
                return (Step::Reply(len, Outcome::NotImp), Decision::default());
            }
        };
        if let Some(step) = self.refuse(&query, buffer, client_allowed) {
            return (step, Decision::default());
        }
        let decision = self.edition.blocklist.decide_name(&query.name);
        let step = match decision.act {
            Some((rule, action)) => self.act(&query, buffer, rule, action),
            None => self.pass(&query, buffer),
        };
        (step, decision)
    }

    /// Writes the truth over the query, whose header and question are in `buffer`. This is
    /// where the truth is judged, too: only rules on the asked name are known, and they were
    /// judged before, so that every answer passes.
    pub fn conclude(
        &self,
        query: &Query,
        answer: &Answer,
        age: Duration,
        buffer: &mut [u8],
    ) -> usize {
        write_answer(answer, age, query, buffer, self.octets_max(query))
    }

    /// What is answered before policy is asked.
    fn refuse(&self, query: &Query, buffer: &mut [u8], client_allowed: bool) -> Option<Step> {
        let (rcode, ede, outcome) = if query.edns.is_some_and(|edns| edns.version > 0) {
            (Rcode::BADVERS, None, Outcome::BadVers)
        } else if !client_allowed {
            (Rcode::REFUSED, Some(EDE_PROHIBITED), Outcome::Refused)
        } else if query.class != CLASS_IN {
            (Rcode::REFUSED, Some(EDE_NOT_SUPPORTED), Outcome::Refused)
        } else {
            return None;
        };
        Some(self.say(query, buffer, rcode, ede, outcome))
    }

    fn act(&self, query: &Query, buffer: &mut [u8], rule: RuleId, action: Action) -> Step {
        let stop_page = self.settings.stop_page;
        let mut response = Response::empty(Rcode::NOERROR, None);
        response.ttl = self.settings.ttl;
        match action {
            // `Monitor` never decides.
            Action::PassThru | Action::Monitor => return self.pass(query, buffer),
            Action::TcpOnly if self.transport == Transport::Tcp => {
                return self.pass(query, buffer);
            }
            Action::Drop => return Step::Drop(Outcome::Dropped),
            Action::Block if stop_page.ipv4.is_none() && stop_page.ipv6.is_none() => {
                response.rcode = Rcode::NXDOMAIN;
            }
            Action::Block => {
                response.data = match query.rtype {
                    RecordType::A => stop_page.ipv4.map_or(Data::None, Data::V4),
                    RecordType::AAAA => stop_page.ipv6.map_or(Data::None, Data::V6),
                    _ => Data::None,
                };
            }
            Action::NxDomain => response.rcode = Rcode::NXDOMAIN,
            Action::NoData => {}
            Action::Refused => response.rcode = Rcode::REFUSED,
            Action::TcpOnly => response.truncated = true,
        }
        let view = query.edns.and_then(|_| self.edition.blocklist.rule(rule));
        if let Some(view) = &view
            && let Some(code) = view.list.settings.ede.code()
        {
            response.error = Some(ExtendedError {
                code,
                list: &view.list.settings.name,
                entry: view.entry_id,
            });
        }
        let len = response.write(query, buffer, self.octets_max(query));
        Step::Reply(len, Outcome::Blocked)
    }

    /// What no policy touches: forwarded, but for what no resolver can be asked.
    fn pass(&self, query: &Query, buffer: &mut [u8]) -> Step {
        if self.settings.servfail_until_ready && !self.ready {
            let ede = Some(EDE_NOT_READY);
            return self.say(query, buffer, Rcode::SERVFAIL, ede, Outcome::ServFail);
        }
        match query.rtype {
            RecordType::AXFR | RecordType::IXFR => {
                self.say(query, buffer, Rcode::REFUSED, None, Outcome::Refused)
            }
            rtype if rtype.is_meta() => {
                let ede = Some(EDE_NOT_SUPPORTED);
                self.say(query, buffer, Rcode::NOTIMP, ede, Outcome::NotImp)
            }
            _ => Step::Forward(*query),
        }
    }

    /// Writes an answer without records.
    pub(super) fn say(
        &self,
        query: &Query,
        buffer: &mut [u8],
        rcode: Rcode,
        ede: Option<u16>,
        outcome: Outcome,
    ) -> Step {
        let response = Response::empty(rcode, ede.map(ExtendedError::of));
        let len = response.write(query, buffer, self.octets_max(query));
        Step::Reply(len, outcome)
    }

    fn octets_max(&self, query: &Query) -> usize {
        match self.transport {
            Transport::Udp => query.udp_octets_max(),
            Transport::Tcp => usize::from(u16::MAX),
        }
    }
}

/// The question to the resolver that a query leads to.
impl From<&Query> for Question {
    fn from(query: &Query) -> Self {
        Self {
            name: query.name,
            rtype: query.rtype,
            flags: Flags {
                dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok),
                checking_disabled: query.checking_disabled,
                no_recursion: !query.recursion_desired,
            },
        }
    }
}

/// Not Ready (RFC 8914 section 4.15).
const EDE_NOT_READY: u16 = 14;
/// Prohibited: this client may not ask (RFC 8914 section 4.19).
const EDE_PROHIBITED: u16 = 18;
/// Not Supported (RFC 8914 section 4.22).
const EDE_NOT_SUPPORTED: u16 = 21;
