//! The file as written becomes a [`Config`](super::Config), or every mistake at once; a file
//! for each part of the configuration.

mod configuration;
mod dns;
mod guard;
mod instead;
mod list;
mod protect;
mod proxy;
mod report;
mod repository;
mod resolver;
mod rpz_options;
mod self_test;
mod stop_page;

#[cfg(test)]
pub(super) use configuration::keys;
pub use configuration::schema;
