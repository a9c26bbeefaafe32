//! What the node says of itself: status, explain, and the same without a daemon.

pub(crate) mod decided;
pub(crate) mod explain;
pub(crate) mod left_out;
pub(crate) mod list_status;
pub(crate) mod offline;
pub(crate) mod status;
pub(crate) mod trouble;
