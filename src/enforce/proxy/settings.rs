//! What the HTTP surface must be told.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::policy::Prefix;

/// How HTTP requests are answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Where the stop page is served.
    pub http: Vec<SocketAddr>,
    /// Where the explicit forward proxy is served.
    pub forward: Vec<SocketAddr>,
    /// Who may use the forward proxy; others get 403.
    pub forward_clients: Vec<Prefix>,
    /// Which origins may be connected to.
    pub origins: Origins,
    /// The stop page.
    pub stop_page: StopPageSettings,
}

/// Which origins the proxy may connect to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origins {
    /// Addresses that are refused; empty allows all.
    pub deny: Vec<Prefix>,
    /// Ports that are allowed.
    pub ports: Vec<u16>,
}

/// What the stop page says about the operator, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StopPageSettings {
    /// The template's file; nothing for the built-in one.
    pub template: Option<PathBuf>,
    /// Who runs this node.
    pub operator: Operator,
    /// Languages of the page, by preference; BCP 47 primary tags.
    pub languages: Vec<String>,
}

/// Who runs this node, as the stop page says it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Operator {
    /// The name.
    pub name: Option<String>,
    /// A `mailto:` or `https:` address for questions.
    pub contact: Option<String>,
    /// The page about blocking.
    pub url: Option<String>,
}
