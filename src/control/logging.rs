//! Sets up the log once, and changes its level on reload.

use std::io::IsTerminal;

use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::{LogFormat, LogSettings};

/// The log of the process; changing its level takes effect at once.
#[derive(Clone, Debug)]
pub(super) struct Log {
    level: reload::Handle<EnvFilter, Registry>,
}

impl Log {
    /// Begins to log to standard error or the journal. To be called once a process; where a
    /// log is there already, it stays.
    ///
    /// # Errors
    /// Where the journal is asked for and is not there.
    pub(super) fn start(settings: &LogSettings) -> std::io::Result<Self> {
        let (filter, level) = reload::Layer::new(filter(&settings.level).unwrap_or_default());
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_target(false);
        let layer = match settings.format {
            LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
            LogFormat::Journald => tracing_journald::layer()?.boxed(),
        };
        // A second daemon of one process, as tests have it, keeps the first log.
        let _ = tracing_subscriber::registry()
            .with(filter)
            .with(layer)
            .try_init();
        Ok(Self { level })
    }

    /// Takes another level.
    pub(super) fn set_level(&self, level: &str) {
        if let Ok(filter) = filter(level) {
            // It fails only where another log was there first.
            let _ = self.level.reload(filter);
        }
    }
}

/// Our own level; the libraries are heard from `warn` on. Not so hickory: it would name what
/// clients ask, and a line for every answer that comes late.
fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(format!(
        "warn,hickory_net=off,hickory_proto=off,cordon={level}"
    ))
}
