//! [`Decision`]: pass, or act because of one rule.

use smallvec::SmallVec;

use super::{Action, RuleId};

/// Rules of one decision; four of them need no allocation.
pub type Matches = SmallVec<[RuleId; 4]>;

/// What the policy says about one name or URL: exactly one rule decides, or none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Decision {
    /// The rule that decided and what it does; never [`Action::Monitor`]. With
    /// [`Action::PassThru`] an exception decided, and is counted like any other rule.
    pub act: Option<(RuleId, Action)>,
    /// Rules that only watch, in the order in which they were passed over; to be counted.
    pub monitored: Matches,
}

impl Decision {
    /// Whether the real answer is to be given.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self.act, None | Some((_, Action::PassThru)))
    }
}
