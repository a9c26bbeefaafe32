//! [`Pace`]: how fast a mirror sends; one that trickles is given up.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The octets that came in each of the last seconds.
#[derive(Debug)]
pub(super) struct Pace {
    begin: Instant,
    /// Second since the beginning, octets in it; no more of them than the window has.
    seconds: VecDeque<(u64, u64)>,
}

impl Pace {
    /// Begins to measure.
    pub(super) fn from(begin: Instant) -> Self {
        Self {
            begin,
            seconds: VecDeque::new(),
        }
    }

    /// Notes octets that came.
    pub(super) fn note(&mut self, now: Instant, octets: u64) {
        let second = self.second(now);
        match self.seconds.back_mut() {
            Some((last, sum)) if *last == second => *sum = sum.saturating_add(octets),
            _ => self.seconds.push_back((second, octets)),
        }
        let first = second.saturating_sub(SPEED_WINDOW.as_secs());
        while self.seconds.front().is_some_and(|(at, _)| *at < first) {
            self.seconds.pop_front();
        }
    }

    /// Whether less came over the last [`SPEED_WINDOW`] than [`SPEED_MIN`] asks for; never
    /// before the first one is over.
    pub(super) fn is_too_slow(&self, now: Instant) -> bool {
        let second = self.second(now);
        let Some(first) = second.checked_sub(SPEED_WINDOW.as_secs()) else {
            return false;
        };
        let came = self.seconds.iter().filter(|(at, _)| *at >= first);
        let came: u64 = came.map(|(_, octets)| octets).sum();
        came < SPEED_MIN.saturating_mul(SPEED_WINDOW.as_secs())
    }

    /// Which second since the beginning it is.
    fn second(&self, now: Instant) -> u64 {
        now.duration_since(self.begin).as_secs()
    }
}

/// The lowest speed over any 30 seconds, in octets a second.
pub const SPEED_MIN: u64 = 4000;
/// Over how long the speed is measured.
pub(super) const SPEED_WINDOW: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    /// In which second a mirror is given up that sends `octets` in each of `seconds`, and
    /// nothing after.
    fn given_up(octets: u64, seconds: std::ops::Range<u64>) -> Option<u64> {
        let begin = Instant::now();
        let mut pace = Pace::from(begin);
        for second in 0..120 {
            let now = begin + Duration::from_secs(second);
            if pace.is_too_slow(now) {
                return Some(second);
            }
            if seconds.contains(&second) {
                pace.note(now, octets);
            }
        }
        None
    }

    #[test]
    fn a_trickle_is_given_up_after_any_thirty_seconds_of_it() {
        assert_eq!(given_up(0, 0..0), Some(30));
        assert_eq!(given_up(SPEED_MIN - 200, 0..120), Some(30));
        assert_eq!(given_up(SPEED_MIN, 0..120), None);
        // A burst buys no more than the window that it is in.
        assert_eq!(given_up(1 << 20, 0..1), Some(31));
        assert_eq!(given_up(1 << 20, 29..30), Some(60));
        assert_eq!(given_up(1 << 20, 0..50), Some(80));
    }
}
