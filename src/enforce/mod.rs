//! 4 · ENFORCE: answer the client.

pub mod dns;
mod edition;
pub mod proxy;
pub mod resolver;

pub use edition::{Edition, InForce, counted_rules, counted_rules_from};
