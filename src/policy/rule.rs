//! [`RuleId`]: the number of a compiled entry in one edition.

/// The dense number of a rule in one edition; it indexes that edition's arrays and means
/// nothing in another. What survives editions is the [`super::EntryId`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RuleId(pub u32);

impl RuleId {
    /// The number as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
