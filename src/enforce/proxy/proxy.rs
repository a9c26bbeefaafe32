//! [`Proxy`]: the stop page and the forward proxy, their settings replaceable while they run.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::hop::Hop;
use super::outcome::Outcomes;
use super::stop_page::{BUILT_IN_TEMPLATE, StopPage, TEMPLATE_OCTETS_MAX};
use super::{Bound, Error, Limits, Settings, TemplateError};
use crate::enforce::InForce;
use crate::enforce::resolver::Resolver;

/// The HTTP surface: answers with the stop page what the edition in force blocks, and as an
/// explicit proxy passes everything else on.
#[derive(Clone, Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    current: ArcSwap<Current>,
    pub(super) in_force: Arc<InForce>,
    pub(super) outcomes: Outcomes,
    pub(super) hop: Hop,
    pub(super) limits: Limits,
    clock: fn() -> Timestamp,
}

/// What the operator says at this moment.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) settings: Settings,
    pub(super) stop_page: StopPage,
    pub(super) resolver: Arc<Resolver>,
}

impl Proxy {
    /// The HTTP surface by `settings`. Metrics go to the recorder that is installed by now.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Template`].
    pub fn new(
        settings: Settings,
        limits: Limits,
        in_force: Arc<InForce>,
        resolver: Arc<Resolver>,
        clock: fn() -> Timestamp,
    ) -> Result<Self, Error> {
        let current = Current::new(settings, resolver)?;
        Ok(Self {
            shared: Arc::new(Shared {
                current: ArcSwap::from_pointee(current),
                in_force,
                outcomes: Outcomes::new(),
                hop: Hop::new(),
                limits,
                clock,
            }),
        })
    }

    /// Takes new settings and a new resolver for every request from now on. Where it
    /// listens does not change: that is [`Bound`]'s. On an error the old settings stay.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Template`].
    pub fn replace(&self, settings: Settings, resolver: Arc<Resolver>) -> Result<(), Error> {
        let current = Current::new(settings, resolver)?;
        self.shared.current.store(Arc::new(current));
        Ok(())
    }

    /// Serves until `token` is cancelled, then accepts no more, lets requests finish, closes
    /// idle connections and tunnels, and returns when none is left. The caller has the
    /// deadline.
    ///
    /// # Errors
    /// What the system says where a socket cannot be handed to the runtime.
    pub async fn serve(
        &self,
        bound: Bound,
        tracker: &TaskTracker,
        token: CancellationToken,
    ) -> std::io::Result<()> {
        bound.serve(&self.shared, tracker, token).await
    }
}

impl Shared {
    /// What the operator says now, for one decision.
    pub(super) fn current(&self) -> Guard<Arc<Current>> {
        self.current.load()
    }

    /// What the operator says now, to be kept over waits.
    pub(super) fn current_full(&self) -> Arc<Current> {
        self.current.load_full()
    }

    /// The time, for the block reference.
    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

impl Current {
    fn new(settings: Settings, resolver: Arc<Resolver>) -> Result<Self, Error> {
        let path = settings.stop_page.template.clone();
        let wrong = |source| Error::Template {
            path: path.clone(),
            source,
        };
        let stop_page = match &path {
            None => StopPage::new(&settings.stop_page, BUILT_IN_TEMPLATE),
            Some(file) => {
                let read = |source| Error::Read {
                    path: file.clone(),
                    source,
                };
                let length = std::fs::metadata(file).map_err(read)?.len();
                if usize::try_from(length).is_ok_and(|length| length > TEMPLATE_OCTETS_MAX) {
                    return Err(wrong(TemplateError::TooLong));
                }
                let template = std::fs::read_to_string(file).map_err(read)?;
                StopPage::new(&settings.stop_page, &template)
            }
        };
        Ok(Self {
            stop_page: stop_page.map_err(wrong)?,
            settings,
            resolver,
        })
    }

    /// Whether the forward proxy is for this client.
    pub(super) fn serves(&self, client: IpAddr) -> bool {
        let networks = &self.settings.forward_clients;
        networks.iter().any(|network| network.contains(client))
    }
}
