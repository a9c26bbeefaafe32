//! The commands of interface.md.

mod admin;
mod check;
mod commands;
mod explain;
mod levers;
mod repo;
mod status;
mod trust;
mod tuf;
mod user;

pub use commands::main;
