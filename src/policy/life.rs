//! [`Life`]: when an entry is in effect.

use jiff::Timestamp;

/// When an entry is in effect, and when somebody must look at it again (field.md section
/// 8.3).
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Life {
    /// Before this it is not enforced.
    pub effective_from: Option<Timestamp>,
    /// From this on it is not enforced; nothing for never.
    pub expires_at: Option<Timestamp>,
    /// From this on its review is overdue; it is enforced all the same.
    pub review_by: Option<Timestamp>,
    /// It is enforced within these spans alone; none for always.
    pub windows: Box<[Window]>,
}

/// A span of time within which an entry is enforced, as for a live event: from `from` on,
/// until `to`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Window {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment behind it.
    pub to: Timestamp,
}

impl Life {
    /// Whether the entry is in effect at `now`.
    #[must_use]
    pub fn is_effective(&self, now: Timestamp) -> bool {
        self.effective_from.is_none_or(|from| from <= now)
            && self.expires_at.is_none_or(|end| now < end)
            && (self.windows.is_empty() || self.windows.iter().any(|window| window.holds(now)))
    }

    /// Whether its review is overdue at `now`.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.review_by.is_some_and(|review| review <= now)
    }

    /// The soonest moment after `now` at which one of the two may change.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let moments = [self.effective_from, self.expires_at, self.review_by];
        let windows = self.windows.iter();
        moments
            .into_iter()
            .flatten()
            .chain(windows.flat_map(|window| [window.from, window.to]))
            .filter(|moment| *moment > now)
            .min()
    }
}

impl Window {
    /// Whether `now` is within it.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Walks from change to change and compares the seconds within which `life` is in effect.
    #[track_caller]
    fn check(life: &Life, expected: &[(i64, i64)]) {
        let mut found = Vec::new();
        let mut begun = None;
        let mut now = time(0);
        loop {
            match (life.is_effective(now), begun) {
                (true, None) => begun = Some(now.as_second()),
                (false, Some(from)) => {
                    found.push((from, now.as_second()));
                    begun = None;
                }
                _ => {}
            }
            let Some(next) = life.next_change(now) else {
                found.extend(begun.map(|from| (from, i64::MAX)));
                break;
            };
            now = next;
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn entries_begin_pause_and_end() {
        let window = |from, to| Window {
            from: time(from),
            to: time(to),
        };
        check(&Life::default(), &[(0, i64::MAX)]);
        let mut life = Life {
            effective_from: Some(time(10)),
            expires_at: Some(time(100)),
            review_by: Some(time(50)),
            windows: Box::default(),
        };
        check(&life, &[(10, 100)]);
        life.windows = [window(5, 20), window(30, 40), window(90, 200)].into();
        check(&life, &[(10, 20), (30, 40), (90, 100)]);
        assert!(!life.is_overdue(time(49)));
        assert!(life.is_overdue(time(50)));
    }
}
