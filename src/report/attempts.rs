//! [`Attempts`]: how often a password may be tried. Counted by name, never by address.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

/// Failed logins of the last [`WINDOW`], by name and in all. No client address is kept, so
/// that the limit is one on names: who is logged in already stays so.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    begun: Option<Timestamp>,
    by_name: HashMap<String, u32>,
    all: u32,
}

impl Attempts {
    /// Whether a password for this name may be tried now. It counts as a wrong one until
    /// [`Self::succeeded`], so that tries at the same time cannot exceed the limit.
    pub(super) fn may_try(&mut self, name: &str, now: Timestamp) -> bool {
        self.forget(now);
        let failed = self.by_name.get(name).copied().unwrap_or(0);
        if self.all >= ALL_MAX || failed >= NAME_MAX {
            return false;
        }
        self.all += 1;
        // Bounded by `ALL_MAX`, for no name beyond it is noted.
        self.by_name.insert(name.to_owned(), failed + 1);
        true
    }

    /// Notes that the password was right.
    pub(super) fn succeeded(&mut self, name: &str) {
        let failed = self.by_name.remove(name).unwrap_or(0);
        self.all = self.all.saturating_sub(failed);
    }

    fn forget(&mut self, now: Timestamp) {
        let is_over = |begun: Timestamp| now.duration_since(begun).unsigned_abs() >= WINDOW;
        if self.begun.is_none_or(is_over) {
            *self = Self {
                begun: Some(now),
                ..Self::default()
            };
        }
    }
}

/// After this, failed logins are forgotten.
pub(super) const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Wrong passwords for one name in a window.
const NAME_MAX: u32 = 10;
/// Wrong passwords in all in a window.
const ALL_MAX: u32 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_name_is_tried_so_often_and_then_again_later() {
        let mut attempts = Attempts::default();
        for _ in 0..NAME_MAX {
            assert!(attempts.may_try("alice", at(0)));
        }
        assert!(!attempts.may_try("alice", at(299)));
        assert!(attempts.may_try("bob", at(299)));
        assert!(attempts.may_try("alice", at(300)));
    }

    #[test]
    fn many_names_together_have_a_limit_too() {
        let mut attempts = Attempts::default();
        for number in 0..ALL_MAX {
            assert!(attempts.may_try(&number.to_string(), at(0)));
        }
        assert!(!attempts.may_try("alice", at(1)));
        assert!(attempts.may_try("alice", at(301)));
    }

    #[test]
    fn a_right_password_clears_the_name() {
        let mut attempts = Attempts::default();
        for _ in 0..NAME_MAX {
            assert!(attempts.may_try("alice", at(0)));
        }
        attempts.succeeded("alice");
        assert!(attempts.may_try("alice", at(0)));
        assert_eq!(attempts.all, 1);
    }
}
