//! [`Outcome`]: what became of a request, and how often.

use metrics::{Counter, counter, describe_counter};

/// What became of a request; the label of `cordon_http_requests_total`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// 451, counted as a hit.
    Blocked,
    /// Passed on to the origin, or tunnelled.
    Passed,
    /// 421: at the stop page's address for a host that is not listed.
    Misdirected,
    /// 400, 414, 431, or closed before the head was whole.
    Malformed,
    /// 403, 405 or 508: well understood, and not for this proxy to do.
    Refused,
    /// 502 or 504: the origin cannot be had.
    OriginError,
}

/// One counter an outcome; kept, so that no request looks one up.
#[derive(Clone)]
pub(super) struct Outcomes {
    counters: [Counter; 6],
}

impl Outcome {
    const ALL: [Self; 6] = [
        Self::Blocked,
        Self::Passed,
        Self::Misdirected,
        Self::Malformed,
        Self::Refused,
        Self::OriginError,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Passed => "passed",
            Self::Misdirected => "misdirected",
            Self::Malformed => "malformed",
            Self::Refused => "refused",
            Self::OriginError => "origin_error",
        }
    }
}

impl Outcomes {
    /// The counters of the recorder that is installed at this time.
    pub(super) fn new() -> Self {
        describe_counter!(
            "cordon_http_requests_total",
            "HTTP requests by outcome: blocked, passed, misdirected, malformed, refused, origin_error"
        );
        Self {
            counters: Outcome::ALL.map(
                |outcome| counter!("cordon_http_requests_total", "outcome" => outcome.as_str()),
            ),
        }
    }

    /// Counts one request.
    pub(super) fn count(&self, outcome: Outcome) {
        let place = Outcome::ALL.iter().position(|one| *one == outcome);
        if let Some(counter) = place.and_then(|place| self.counters.get(place)) {
            counter.increment(1);
        }
    }
}

impl std::fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outcomes")
    }
}
