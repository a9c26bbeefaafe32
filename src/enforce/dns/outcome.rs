//! [`Outcome`]: how a packet ended; [`Tally`]: the metrics of it.

use metrics::Counter;

/// How queries come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// One datagram each.
    Udp,
    /// Over a stream.
    Tcp,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 2] = [Self::Udp, Self::Tcp];

    /// Its word in `cordon_dns_queries_total{transport}`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// How a packet ended. Each ends in exactly one way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// A rule decided, and something else than the truth was said.
    Blocked,
    /// The truth, from the cache.
    Cached,
    /// The truth, from an upstream.
    Forwarded,
    /// REFUSED: the client, the class or a zone transfer.
    Refused,
    /// FORMERR.
    FormErr,
    /// NOTIMP: the opcode or the type.
    NotImp,
    /// BADVERS.
    BadVers,
    /// SERVFAIL of our own: not ready, or too many queries in flight; and when no upstream
    /// could be asked.
    ServFail,
    /// A rule said that there is no answer.
    Dropped,
    /// Not a query at all: too short, or a response.
    Ignored,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 10] = [
        Self::Blocked,
        Self::Cached,
        Self::Forwarded,
        Self::Refused,
        Self::FormErr,
        Self::NotImp,
        Self::BadVers,
        Self::ServFail,
        Self::Dropped,
        Self::Ignored,
    ];

    /// The same where what it took was remembered.
    #[must_use]
    pub const fn cached(self) -> Self {
        match self {
            Self::Forwarded | Self::ServFail => Self::Cached,
            other => other,
        }
    }

    /// Its word in `cordon_dns_answers_total{outcome}`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Cached => "cached",
            Self::Forwarded => "forwarded",
            Self::Refused => "refused",
            Self::FormErr => "formerr",
            Self::NotImp => "notimp",
            Self::BadVers => "badvers",
            Self::ServFail => "servfail",
            Self::Dropped => "dropped",
            Self::Ignored => "ignored",
        }
    }
}

/// The handles of the metrics, looked up once.
#[derive(Debug)]
pub(super) struct Tally {
    queries: [Counter; Transport::ALL.len()],
    answers: [Counter; Outcome::ALL.len()],
}

impl Tally {
    /// Handles of the recorder that is installed now.
    pub(super) fn new() -> Self {
        Self {
            queries: Transport::ALL.map(|transport| {
                metrics::counter!("cordon_dns_queries_total", "transport" => transport.as_str())
            }),
            answers: Outcome::ALL.map(|outcome| {
                metrics::counter!("cordon_dns_answers_total", "outcome" => outcome.as_str())
            }),
        }
    }

    /// Counts packets that came.
    pub(super) fn came(&self, transport: Transport, packets: u64) {
        if let Some(counter) = self.queries.get(transport as usize) {
            counter.increment(packets);
        }
    }

    /// Counts an outcome.
    pub(super) fn ended(&self, outcome: Outcome) {
        if let Some(counter) = self.answers.get(outcome as usize) {
            counter.increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_place_and_word() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
        }
        for (place, transport) in Transport::ALL.into_iter().enumerate() {
            assert_eq!(transport as usize, place);
        }
        let words: std::collections::HashSet<_> = Outcome::ALL.map(Outcome::as_str).into();
        assert_eq!(words.len(), Outcome::ALL.len());
    }
}
