//! The whole configuration: [`Config::load`], [`Config::parse`] and [`schema()`].

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;

use super::{dns, list, protect, proxy, report, repository, self_test, stop_page};
use crate::compile::Protected;
use crate::config::error::{Mistake, Mistakes};
use crate::config::file;
use crate::config::node::Node;
use crate::config::own::own;
use crate::config::reading::Reading;
use crate::config::scalar::{Scalar, path, version, word};
use crate::config::schema::{self, Key};
use crate::config::section::Section;
use crate::config::{Config, LogFormat, LogSettings};
use crate::count;

impl Config {
    /// Reads and checks a configuration file, and every file it names.
    ///
    /// # Errors
    /// Every mistake in it; or the one that it cannot be read.
    pub fn load(file: &Path) -> Result<Self, Mistakes> {
        let text = read_text(file).map_err(|(message, help)| {
            let mut mistakes = Mistakes::default();
            mistakes.push(Mistake {
                path: file.to_owned(),
                place: None,
                message,
                help: help.to_owned(),
                other: None,
            });
            mistakes
        })?;
        Self::parse(file, &text)
    }

    /// Checks the text of a configuration file, and every file it names. `file` is for the
    /// messages, and its folder is where relative paths start.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Mistakes> {
        match Node::parse(text) {
            Ok(root) => Reading::read(file, text, &root, configuration),
            Err(error) => {
                let mut mistakes = Mistakes::default();
                mistakes.keep_text(file, text);
                mistakes.push(Mistake {
                    path: file.to_owned(),
                    place: Some(error.place),
                    message: error.message,
                    help: error.help,
                    other: None,
                });
                Err(mistakes)
            }
        }
    }
}

/// The JSON Schema of the configuration file.
#[must_use]
pub fn schema() -> Json {
    schema::schema(&keys())
}

/// Every key that is asked for.
pub(in crate::config) fn keys() -> Vec<Key> {
    Reading::describe(configuration)
}

/// Reads everything. Parts that refer to others come after them.
fn configuration(s: &mut Section<'_, '_>) -> Option<Config> {
    let version = s.required("version", "The version of this format.", version());
    let node = s.optional(
        "node",
        "The name of this node, in logs and reports; the host name unless it is given.",
        node_name(),
    );
    let state = path(s.base());
    let state = s.default(
        "state",
        "/var/lib/cordon",
        "The folder of everything that is kept: lists, counters, the ledger, the socket.",
        state,
    );
    let log = s.section("log", "What is logged, and how.", log);

    let mut repositories_known = repository::Names::new();
    let mut roots_known = repository::Roots::new();
    let repositories = s.sections("repositories", "Where signed lists come from.", |s| {
        repository::read(s, &mut repositories_known, &mut roots_known)
    });
    let mut lists_known = repository::Names::new();
    let lists = s.sections(
        "lists",
        "The lists; their order is their precedence.",
        |s| list::read(s, &repositories_known, &mut lists_known),
    );
    let protect = s.section("protect", "What outranks every list.", protect::read);
    let dns = s.section("dns", "The resolver.", dns::read);
    let dns_resolves = dns.as_ref().is_none_or(|dns| dns.resolver.is_some());
    let stop_page = s.section(
        "stop_page",
        "What the stop page says about who runs this node.",
        stop_page::read,
    );
    let proxy = s.section(
        "proxy",
        "The stop page's server and the forward proxy.",
        |s| proxy::read(s, dns_resolves),
    );
    let report = s.section(
        "report",
        "The dashboard, its API, metrics and health.",
        report::read,
    );
    let about = "What the node asks itself, and how often.";
    let self_test = s.section("self_test", about, self_test::read);

    version?;
    let node = node?.unwrap_or_else(host_name);
    let (state, mut dns, stop_page, proxy) = (state?, dns?, stop_page?, proxy?);
    let errors = dns.settings.as_mut();
    if let Some(errors) = errors.and_then(|dns| dns.structured_errors.as_mut()) {
        errors.organisation.clone_from(&stop_page.operator.name);
        errors.contact.clone_from(&stop_page.operator.contact);
    }
    let protect = protect?;
    let config = Config {
        log: log?,
        repositories: repositories?,
        lists: lists?,
        protect: Protected::default(),
        watched: s.watched(),
        count: count::Settings {
            counters: state.join("counters"),
            ledger: state.join("ledger.sqlite"),
            settle_interval: SETTLE_INTERVAL,
        },
        dns: dns.settings,
        resolver: dns.resolver,
        proxy_resolver: proxy.resolver.clone(),
        proxy: proxy.settings(stop_page),
        report: report?.settings(&node),
        self_test: self_test?,
        node,
        state,
    };
    let own = own(&config);
    Some(Config {
        protect: Protected::new(protect, own),
        ..config
    })
}

/// Reads `log`.
fn log(s: &mut Section<'_, '_>) -> Option<LogSettings> {
    let levels = ["error", "warn", "info", "debug", "trace"].map(|level| (level, level));
    let level = s.default(
        "level",
        "info",
        "The lowest level that is written.",
        word(&levels),
    );
    let format = s.default(
        "format",
        "text",
        "For people, for programs, or to systemd's journal.",
        word(&[
            ("text", LogFormat::Text),
            ("json", LogFormat::Json),
            ("journald", LogFormat::Journald),
        ]),
    );
    Some(LogSettings {
        level: level?.to_owned(),
        format: format?,
    })
}

/// The name of a node, as it may stand in a log line or a report.
fn node_name() -> Scalar<String> {
    Scalar::new("a name of letters, digits, `.`, `-` and `_`", |text| {
        if is_node_name(text) {
            Ok(text.to_owned())
        } else {
            Err("write a short name such as `resolver-1.ams`".to_owned())
        }
    })
}

/// Whether a text may be the name of a node.
fn is_node_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(allowed)
}

/// The host name, as the kernel knows it, or the file that it is set from: a confined service
/// may not see the kernel's.
fn host_name() -> String {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .into_iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .map(|text| text.trim().to_owned())
        .find(|name| is_node_name(name))
        .unwrap_or_else(|| "localhost".to_owned())
}

/// The text of the configuration file; or why there is none, and what to do.
fn read_text(path: &Path) -> Result<String, (String, &'static str)> {
    let octets = file::read(path, FILE_OCTETS_MAX).map_err(|error| {
        let help = match error.kind() {
            ErrorKind::NotFound => {
                "name it with `--config FILE`; config/cordon.minimal.yaml is one to start from"
            }
            ErrorKind::PermissionDenied => "make it readable for the user that cordon runs as",
            ErrorKind::FileTooLarge => {
                "keep long lists of names in files: `lists` and `protect.files` take them"
            }
            _ => "name a file with `--config FILE`",
        };
        (format!("the configuration cannot be read: {error}"), help)
    })?;
    let mut text = String::from_utf8(octets).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message =
            format!("the configuration is not UTF-8: octet {at} is the first that is not");
        (message, "save it as UTF-8")
    })?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}

/// The largest configuration file.
const FILE_OCTETS_MAX: u64 = 1 << 20;
/// How often counters are settled into the ledger.
const SETTLE_INTERVAL: Duration = Duration::from_secs(10);
