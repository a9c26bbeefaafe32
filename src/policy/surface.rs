//! [`Surface`]: where a rule fired.

/// Where a rule fired. Counted apart, never summed: a DNS query and an HTTP request are
/// different things (field.md section 5).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Surface {
    /// A DNS query.
    Dns,
    /// An HTTP request, at the stop page or through the forward proxy.
    Http,
    /// A TLS connection, known by its server name alone.
    Tls,
}

impl Surface {
    /// Every surface, in the order of the counters on disk.
    pub const ALL: [Self; 3] = [Self::Dns, Self::Http, Self::Tls];

    /// The word for it in metrics and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Http => "http",
            Self::Tls => "tls",
        }
    }

    /// Its place in [`Surface::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Dns => 0,
            Self::Http => 1,
            Self::Tls => 2,
        }
    }
}
