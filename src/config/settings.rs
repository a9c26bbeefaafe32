//! [`Config`]: one `Settings` per stage, and nothing else. A `Config` that exists is valid.

use std::path::PathBuf;
use std::time::Duration;

use crate::compile;
use crate::count;
use crate::enforce;
use crate::policy::Name;
use crate::report;
use crate::source;
use crate::verify;

/// The whole configuration, checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// The node's name.
    pub node: String,
    /// The state folder.
    pub state: PathBuf,
    /// Logging.
    pub log: LogSettings,
    /// The repositories of signed lists.
    pub repositories: Vec<Repository>,
    /// The lists, in order of precedence.
    pub lists: Vec<compile::Settings>,
    /// What outranks every list: `protect`, the names of its files included, and what the
    /// node itself stands on.
    pub protect: compile::Protected,
    /// Files that the configuration names and that are watched: local lists, `protect.files`.
    pub watched: Vec<PathBuf>,
    /// Counting.
    pub count: count::Settings,
    /// DNS; nothing where no address is given.
    pub dns: Option<enforce::dns::Settings>,
    /// The resolver of `dns`, and of `proxy` unless it has its own.
    pub resolver: Option<enforce::resolver::Settings>,
    /// The proxy's own resolver.
    pub proxy_resolver: Option<enforce::resolver::Settings>,
    /// HTTP; nothing where no address is given.
    pub proxy: Option<enforce::proxy::Settings>,
    /// The report; nothing where no address is given.
    pub report: Option<report::Settings>,
    /// The self-test.
    pub self_test: SelfTestSettings,
}

/// One repository of signed lists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Repository {
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub source: source::Settings,
    /// The file of the pinned root.
    pub trust: PathBuf,
    /// How it is trusted.
    pub verify: verify::Settings,
    /// How often it is asked, give or take 15 %.
    pub poll: Duration,
}

/// What the node asks itself, and how often.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SelfTestSettings {
    /// The pause between two self-tests.
    pub interval: Duration,
    /// Names that must resolve and pass.
    pub must_work: Vec<Name>,
}

/// Logging.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogSettings {
    /// The lowest level that is written: error, warn, info, debug, trace.
    pub level: String,
    /// How.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// To systemd's journal.
    Journald,
}
