//! The one integration binary: the program from outside, and the code's own rules.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail at once, and its clock is the real one"
)]

mod bad_input;
mod cli;
mod config;
mod corpus;
mod count;
mod demo;
mod differential;
mod dns;
mod explain;
mod failures;
mod guards;
mod harness;
mod history;
mod hold;
mod keepers;
mod levers;
mod main_job;
mod malformed;
mod pages;
mod policy;
mod proxy;
mod python_tuf;
mod random;
mod readme;
mod real_lists;
mod renamed;
mod report;
mod rounds;
mod rpz;
mod self_test;
mod tidy;
mod trust;
mod tuf_client;
