//! [`Limits`]: how much of anything the HTTP surface takes.

use std::time::Duration;

/// How much of anything the HTTP surface takes, and what becomes of more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Connections at once, of the stop page and of the forward proxy each; more wait to be
    /// accepted.
    pub connections_max: u32,
    /// Octets of a request head; at least 8192. More is answered 431.
    pub head_octets_max: usize,
    /// Time for a whole request head, and between requests; then the connection is closed.
    pub head_time_max: Duration,
    /// Time without any progress while a body is awaited or an answer is taken; then the
    /// connection is closed.
    pub stall_max: Duration,
    /// Time for one address of an origin to accept a connection; then the next is tried.
    pub connect_time_max: Duration,
    /// Time to resolve and connect to an origin in all; then 504.
    pub origin_time_max: Duration,
    /// Time without any progress while an origin's answer is awaited (504) or read (the
    /// connection is closed).
    pub origin_idle_max: Duration,
    /// Time without an octet either way; then a tunnel is closed.
    pub tunnel_idle_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 8192,
            head_octets_max: 16 * 1024,
            head_time_max: Duration::from_secs(15),
            stall_max: Duration::from_secs(30),
            connect_time_max: Duration::from_secs(4),
            origin_time_max: Duration::from_secs(12),
            origin_idle_max: Duration::from_secs(60),
            tunnel_idle_max: Duration::from_secs(300),
        }
    }
}
