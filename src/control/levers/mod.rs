//! What a person decides on the running node, on record before it takes effect.

pub(crate) mod allowed;
pub(crate) mod audit_check;
pub(crate) mod audit_line;
pub(crate) mod audit_log;
pub(crate) mod lever;
pub(crate) mod levers_shown;
