//! What this stage must be told: the pinned root and what is demanded of it.

/// How one repository is trusted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The pinned root metadata, as read from its file.
    pub root: Vec<u8>,
    /// A root with a lower threshold is refused; 1 accepts and shows "one key decides".
    pub min_root_threshold: u16,
}
