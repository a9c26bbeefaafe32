//! [`Surfaces`]: DNS, HTTP and report on their sockets, told of a new configuration while
//! they run.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ConfigChange, Part};
use crate::control::ExitError;
use crate::control::clock;
use crate::control::self_test::Listening;
use crate::control::tasks::Tasks;
use crate::enforce::InForce;
use crate::enforce::dns::{self, Server};
use crate::enforce::proxy::{self, Limits, Proxy};
use crate::enforce::resolver::{self, Resolver};
use crate::report::{self, ReportError};

/// Every socket of the surfaces, bound and not served yet.
#[derive(Debug)]
pub(super) struct Bound {
    dns: Option<dns::Bound>,
    proxy: Option<proxy::Bound>,
    report: Option<report::Bound>,
}

/// The running surfaces.
#[derive(Debug)]
pub(super) struct Surfaces {
    dns: Option<Arc<Server>>,
    proxy: Option<Proxy>,
    report: Option<Reporting>,
    resolvers: ArcSwap<Resolvers>,
}

/// The resolver of DNS and that of the proxy; mostly one.
#[derive(Clone, Debug, Default)]
struct Resolvers {
    dns: Option<(resolver::Settings, Arc<Resolver>)>,
    proxy: Option<(resolver::Settings, Arc<Resolver>)>,
}

impl Bound {
    /// Binds every address of `config`, or none.
    ///
    /// # Errors
    /// One sentence with the address that cannot be had.
    pub(super) fn bind(config: &Config) -> Result<Self, ExitError> {
        Ok(Self {
            dns: config
                .dns
                .as_ref()
                .map(dns::Bound::bind)
                .transpose()
                .map_err(ExitError::system)?,
            proxy: config
                .proxy
                .as_ref()
                .map(proxy::Bound::bind)
                .transpose()
                .map_err(ExitError::system)?,
            report: config
                .report
                .as_ref()
                .map(|settings| report::bind(&settings.listen))
                .transpose()
                .map_err(ExitError::system)?,
        })
    }
}

impl Bound {
    /// Where the surfaces will answer.
    #[must_use]
    pub(super) fn listening(&self) -> Listening {
        Listening {
            dns: self.dns.iter().flat_map(dns::Bound::addresses).collect(),
            http: self.proxy.iter().flat_map(proxy::Bound::http).collect(),
            forward: self.proxy.iter().flat_map(proxy::Bound::forward).collect(),
        }
    }
}

impl Surfaces {
    /// Serves every bound socket. To be called inside the runtime.
    ///
    /// # Errors
    /// A sentence where an upstream, a template or a certificate is of no use.
    pub(super) fn start(
        bound: Bound,
        config: &Config,
        in_force: &Arc<InForce>,
        ready: &Arc<AtomicBool>,
        sources: report::Sources,
        tasks: &Tasks,
    ) -> Result<Self, ExitError> {
        let resolvers = Resolvers::of(config, &Resolvers::default()).map_err(ExitError::system)?;
        let dns = match (bound.dns, &config.dns, &resolvers.dns) {
            (Some(bound), Some(settings), Some((_, resolver))) => {
                let server = Server::new(
                    bound,
                    settings.clone(),
                    in_force.clone(),
                    resolver.clone(),
                    ready.clone(),
                );
                Some(serve_dns(Arc::new(server), tasks))
            }
            _ => None,
        };
        let proxy = match (bound.proxy, &config.proxy, resolvers.proxy()) {
            (Some(bound), Some(settings), Some(resolver)) => {
                let limits = Limits::default();
                let proxy = Proxy::new(
                    settings.clone(),
                    limits,
                    in_force.clone(),
                    resolver,
                    clock::timestamp,
                )
                .map_err(ExitError::system)?;
                Some(serve_proxy(proxy, bound, tasks))
            }
            _ => None,
        };
        let report = match (bound.report, &config.report) {
            (Some(bound), Some(settings)) => {
                Some(Reporting::start(bound, settings, sources, tasks).map_err(ExitError::system)?)
            }
            _ => None,
        };
        Ok(Self {
            dns,
            proxy,
            report,
            resolvers: ArcSwap::from_pointee(resolvers),
        })
    }

    /// Takes a new configuration on the same sockets, from the next query and request on.
    ///
    /// # Errors
    /// A sentence; what the surfaces had stays then, as far as it was not taken yet.
    pub(super) fn replace(&self, config: &Config, change: &ConfigChange) -> Result<(), String> {
        let resolvers = Resolvers::of(config, &self.resolvers.load())?;
        // The one that can fail goes first.
        if let (Some(proxy), Some(settings), Some(resolver)) =
            (&self.proxy, &config.proxy, resolvers.proxy())
        {
            proxy
                .replace(settings.clone(), resolver)
                .map_err(|error| error.to_string())?;
        }
        if let (Some(report), Some(settings)) = (&self.report, &config.report)
            && change.concerns(Part::Report)
        {
            report.replace(settings)?;
        }
        if let (Some(server), Some(settings), Some((_, resolver))) =
            (&self.dns, &config.dns, &resolvers.dns)
        {
            server.replace(settings.clone(), Arc::clone(resolver));
        }
        self.resolvers.store(Arc::new(resolvers));
        Ok(())
    }

    /// Forgets cached answers at and below a name; says how many.
    #[must_use]
    pub(super) fn flush(&self, name: &crate::policy::Name) -> usize {
        let resolvers = self.resolvers.load();
        let dns = resolvers
            .dns
            .as_ref()
            .map_or(0, |(_, resolver)| resolver.flush(name));
        dns + resolvers
            .proxy
            .as_ref()
            .map_or(0, |(_, resolver)| resolver.flush(name))
    }
}

impl Resolvers {
    /// The resolvers that `config` asks for; those whose settings did not change are taken
    /// over with what they remember.
    fn of(config: &Config, old: &Self) -> Result<Self, String> {
        let make = |settings: &Option<resolver::Settings>,
                    old: &Option<(resolver::Settings, Arc<Resolver>)>| {
            let Some(settings) = settings else {
                return Ok(None);
            };
            if let Some((before, resolver)) = old
                && before == settings
            {
                return Ok(Some((before.clone(), Arc::clone(resolver))));
            }
            let resolver = Resolver::new(settings).map_err(|error| error.to_string())?;
            Ok::<_, String>(Some((settings.clone(), Arc::new(resolver))))
        };
        Ok(Self {
            dns: make(&config.resolver, &old.dns)?,
            proxy: make(&config.proxy_resolver, &old.proxy)?,
        })
    }

    /// The proxy's own resolver, else that of DNS.
    fn proxy(&self) -> Option<Arc<Resolver>> {
        self.proxy
            .as_ref()
            .or(self.dns.as_ref())
            .map(|(_, resolver)| Arc::clone(resolver))
    }
}

/// The report on its sockets, started anew with other settings.
#[derive(Debug)]
struct Reporting {
    bound: report::Bound,
    sources: report::Sources,
    stop: CancellationToken,
    /// Ends the server that runs now.
    stop_present: Mutex<CancellationToken>,
}

impl Reporting {
    fn start(
        bound: report::Bound,
        settings: &report::Settings,
        sources: report::Sources,
        tasks: &Tasks,
    ) -> Result<Self, ReportError> {
        let stop = tasks.token.clone();
        let present = stop.child_token();
        report::serve(&bound, settings, sources.clone(), present.clone())?;
        Ok(Self {
            bound,
            sources,
            stop,
            stop_present: Mutex::new(present),
        })
    }

    /// Starts a server with other settings, then ends the old one: for a moment both answer
    /// on the same sockets, and no connection is refused.
    fn replace(&self, settings: &report::Settings) -> Result<(), String> {
        let next = self.stop.child_token();
        report::serve(&self.bound, settings, self.sources.clone(), next.clone())
            .map_err(|error| error.to_string())?;
        let mut present = self
            .stop_present
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *present, next).cancel();
        Ok(())
    }
}

fn serve_dns(server: Arc<Server>, tasks: &Tasks) -> Arc<Server> {
    let (serving, tracker, token) = (
        Arc::clone(&server),
        tasks.tracker.clone(),
        tasks.token.clone(),
    );
    tasks.supervise("dns", move || {
        let (server, tracker, token) = (Arc::clone(&serving), tracker.clone(), token.clone());
        async move {
            while let Err(error) = server.serve(&tracker, &token).await {
                if token.is_cancelled() {
                    return;
                }
                tracing::error!(%error, "the DNS server ended; it is started anew");
                tokio::time::sleep(RESTART_PAUSE).await;
            }
        }
    });
    server
}

fn serve_proxy(proxy: Proxy, bound: proxy::Bound, tasks: &Tasks) -> Proxy {
    let (serving, tracker, token) = (proxy.clone(), tasks.tracker.clone(), tasks.token.clone());
    tasks.supervise("proxy", move || {
        let (proxy, bound) = (serving.clone(), bound.try_clone());
        let (tracker, token) = (tracker.clone(), token.clone());
        async move {
            let served = match bound {
                Ok(bound) => proxy.serve(bound, &tracker, token).await,
                Err(error) => Err(error),
            };
            if let Err(error) = served {
                tracing::error!(%error, "the HTTP surface ended; restart cordon");
            }
        }
    });
    proxy
}

/// The pause before a surface that ended is started anew.
const RESTART_PAUSE: std::time::Duration = std::time::Duration::from_millis(200);
