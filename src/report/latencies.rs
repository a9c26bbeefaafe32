//! [`Latencies`]: how long things took, as a regulator asks it: half of them, most, the worst.

use std::collections::VecDeque;
use std::time::Duration;

/// How long the last 1,000 took, in milliseconds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Latencies {
    samples: VecDeque<u64>,
}

/// The figures of field.md section 5.2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencyFigures {
    /// How many there were.
    pub count: usize,
    /// Half of them took no longer, in seconds.
    pub p50: f64,
    /// 95 % took no longer, in seconds.
    pub p95: f64,
    /// The longest, in seconds.
    pub max: f64,
    /// Of a hundred, how many kept the deadline; nothing where there is none.
    pub within_percent: Option<f64>,
}

impl Latencies {
    /// Takes note of one.
    pub fn note(&mut self, took: Duration) {
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.samples.push_back(milliseconds);
    }

    /// The figures; nothing where there was none.
    #[must_use]
    pub fn figures(&self, deadline: Option<Duration>) -> Option<LatencyFigures> {
        let mut sorted: Vec<u64> = self.samples.iter().copied().collect();
        sorted.sort_unstable();
        let count = sorted.len();
        // The nearest rank: the smallest that so many of a hundred do not exceed.
        let rank = |percent: usize| {
            let place = (count * percent).div_ceil(100).saturating_sub(1);
            sorted.get(place).map(|sample| seconds(*sample))
        };
        let within = deadline.map(|deadline| {
            let most = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
            let kept = sorted.iter().filter(|sample| **sample <= most).count();
            kept as f64 * 100.0 / count as f64
        });
        Some(LatencyFigures {
            count,
            p50: rank(50)?,
            p95: rank(95)?,
            max: rank(100)?,
            within_percent: within,
        })
    }
}

fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

/// So many are kept; the oldest go.
const SAMPLES_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_nearest_ranks() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.figures(None), None);
        for second in 1..=20 {
            latencies.note(Duration::from_secs(second));
        }
        let figures = latencies.figures(Some(Duration::from_secs(15))).unwrap();
        assert_eq!((figures.p50, figures.p95, figures.max), (10.0, 19.0, 20.0));
        assert_eq!(figures.within_percent, Some(75.0));
        for _ in 0..SAMPLES_MAX {
            latencies.note(Duration::from_millis(500));
        }
        let figures = latencies.figures(None).unwrap();
        assert_eq!((figures.count, figures.max), (SAMPLES_MAX, 0.5));
        assert_eq!(figures.within_percent, None);
    }
}
