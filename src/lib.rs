#![doc = include_str!("ARCHITECTURE.md")]

// In the order in which they may know each other (see "Who may use whom" above).
pub mod compile;
pub mod config;
pub mod control;
pub mod count;
pub mod enforce;
pub mod guard;
pub mod policy;
pub mod publish;
pub mod report;
pub mod source;
pub mod verify;
