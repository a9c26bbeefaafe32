//! What the node says of itself: status, explain, and the same without a daemon.

mod bounds;
pub(crate) mod decided;
pub(crate) mod explain;
mod explained_match;
pub(crate) mod left_out;
pub(crate) mod list_status;
pub(crate) mod offline;
pub(crate) mod status;
mod surface_verdict;
pub(crate) mod trouble;
