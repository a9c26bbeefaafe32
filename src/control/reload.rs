//! [`Reloader`]: takes a new configuration, or explains why not.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, oneshot};

use crate::config::{Config, ConfigChange, Part};
use crate::control::configuration;
use crate::control::logging::Log;
use crate::control::rounds::update::{Order, Orders};
use crate::control::surfaces::Surfaces;
use crate::control::systemd;

/// Takes a new configuration, one at a time: all of it, or nothing.
#[derive(Debug)]
pub(super) struct Reloader {
    file: PathBuf,
    /// What is in force.
    config: ArcSwap<Config>,
    orders: Orders,
    /// The running surfaces.
    pub surfaces: Surfaces,
    log: Log,
    one_at_a_time: Mutex<()>,
}

impl Reloader {
    /// For the configuration that the daemon started with.
    #[must_use]
    pub(super) fn new(
        file: PathBuf,
        config: Arc<Config>,
        orders: Orders,
        surfaces: Surfaces,
        log: Log,
    ) -> Self {
        Self {
            file,
            config: ArcSwap::new(config),
            orders,
            surfaces,
            log,
            one_at_a_time: Mutex::new(()),
        }
    }

    /// The configuration in force.
    #[must_use]
    pub(super) fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Whether a configuration is being taken at this moment.
    #[must_use]
    pub(super) fn is_busy(&self) -> bool {
        self.one_at_a_time.try_lock().is_err()
    }

    /// Reads the configuration and the local lists anew.
    ///
    /// # Errors
    /// Every mistake, or what needs a restart, or what a part cannot take; the old
    /// configuration stays in force.
    pub(super) async fn reload(&self) -> Result<String, String> {
        let _one = self.one_at_a_time.lock().await;
        systemd::reloading();
        let result = self.take().await;
        systemd::ready("in force");
        result
    }

    async fn take(&self) -> Result<String, String> {
        let file = self.file.clone();
        let loaded = tokio::task::spawn_blocking(move || Config::load(&file)).await;
        let config = match loaded {
            Ok(Ok(config)) => {
                configuration::check_files(&config)?;
                Arc::new(config)
            }
            Ok(Err(mistakes)) => return Err(mistakes.render(false)),
            Err(error) => return Err(format!("the configuration cannot be read: {error}")),
        };
        let old = self.config.load_full();
        let change = ConfigChange::between(&old, &config).map_err(|restart| restart.to_string())?;
        self.surfaces.replace(&config, &change)?;
        let taken_back = match self.update_lists(Arc::clone(&config)).await {
            Ok(taken_back) => taken_back,
            Err(message) => {
                // The surfaces took it already; they take the old one again.
                let back =
                    ConfigChange::between(&config, &old).map_err(|restart| restart.to_string())?;
                self.surfaces.replace(&old, &back)?;
                return Err(message);
            }
        };
        self.log.set_level(&config.log.level);
        self.config.store(config);
        let taken = if change.is_empty() {
            "The configuration is unchanged; local lists were read anew.".to_owned()
        } else {
            let parts: Vec<&str> = change.parts.iter().map(|part| word(*part)).collect();
            format!(
                "The new configuration is in force; taken anew: {}.",
                parts.join(", ")
            )
        };
        Ok(match taken_back.as_str() {
            "" => taken,
            _ => format!("{taken}\n{taken_back}"),
        })
    }

    /// Has the updater take a configuration; says what came with it and was taken back.
    async fn update_lists(&self, config: Arc<Config>) -> Result<String, String> {
        let (reply, replied) = oneshot::channel();
        let order = Order::Configuration(config, reply);
        if self.orders.send(order).await.is_err() {
            return Err("the updater has ended; restart cordon".to_owned());
        }
        replied.await.unwrap_or_else(|_| {
            Err("the updater ended while it took the configuration; restart cordon".to_owned())
        })
    }
}

const fn word(part: Part) -> &'static str {
    match part {
        Part::LogLevel => "the log level",
        Part::Updates => "repositories",
        Part::Lists => "lists",
        Part::Resolver => "the resolver",
        Part::ProxyResolver => "the proxy's resolver",
        Part::Dns => "dns",
        Part::Proxy => "proxy",
        Part::Report => "report",
        Part::SelfTest => "the self-test",
    }
}
