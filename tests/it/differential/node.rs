//! [`Node`]: our DNS surface, with one policy at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cordon::compile::{Compiler, Format, From, Mode, Protected};
use cordon::count::HitCounter;
use cordon::enforce::dns::{Bound, Server, Settings, StopAddresses};
use cordon::enforce::resolver::{self, Resolver, Upstream};
use cordon::enforce::{Edition, InForce};
use cordon::policy::{Action, Kind, LocalData, Name};
use cordon::verify::Verified;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::policy::{Policy, Zone};

pub(super) struct Node {
    pub(super) address: SocketAddr,
    in_force: Arc<InForce>,
    runtime: Option<tokio::runtime::Runtime>,
    stop: CancellationToken,
}

impl Node {
    pub(super) fn start(upstream: SocketAddr) -> Self {
        let settings = Settings {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            threads: 1,
            clients: vec!["127.0.0.0/8".parse().unwrap()],
            stop_page: StopAddresses::default(),
            ttl: Duration::from_secs(10),
            servfail_until_ready: false,
            structured_errors: None,
        };
        let resolver = resolver::Settings {
            forward: vec![Upstream {
                address: upstream,
                tls_name: None,
            }],
            zones: Vec::new(),
            cache_octets: 1 << 20,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let bound = Bound::bind(&settings).unwrap();
        let address = bound.addresses().next().unwrap();
        let nothing = Policy {
            zones: Vec::new(),
            break_dnssec: true,
            qname_wait_recurse: false,
        };
        let in_force = Arc::new(InForce::new(edition(&nothing)));
        let server = Arc::new(Server::new(
            bound,
            settings,
            Arc::clone(&in_force),
            Arc::new(Resolver::new(&resolver).unwrap()),
            Arc::new(AtomicBool::new(true)),
        ));
        let stop = CancellationToken::new();
        let token = stop.clone();
        runtime.spawn(async move {
            let tracker = TaskTracker::new();
            server.serve(&tracker, &token).await
        });
        Self {
            address,
            in_force,
            runtime: Some(runtime),
            stop,
        }
    }

    /// Puts a policy in force.
    pub(super) fn put(&self, policy: &Policy) {
        self.in_force.replace(edition(policy));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

fn edition(policy: &Policy) -> Edition {
    let mut compiler = Compiler::new(&Protected::default(), jiff::Timestamp::UNIX_EPOCH);
    for (place, zone) in policy.zones.iter().enumerate() {
        let name = format!("z{place}");
        let text = zone.text().into_bytes();
        compiler.add(
            &list(&name, zone, policy),
            &Verified::unsigned(&name, &name, text),
        );
    }
    let blocklist = compiler.finish();
    for list in blocklist.lists() {
        assert_eq!(list.rejected, 0, "{:?}\n{policy:?}", list.rejects);
    }
    Edition {
        number: 1,
        since: jiff::Timestamp::UNIX_EPOCH,
        counter: HitCounter::in_memory(blocklist.rule_count()),
        blocklist,
    }
}

fn list(name: &str, zone: &Zone, policy: &Policy) -> cordon::compile::Settings {
    let from = From::File {
        path: name.into(),
        format: Format::Rpz,
        scope: None,
    };
    let mut settings = cordon::compile::Settings::new(name, from);
    settings.kinds = vec![Kind::Domain, Kind::Ip, Kind::Client];
    settings.dns.break_dnssec = policy.break_dnssec;
    settings.dns.qname_wait_recurse = policy.qname_wait_recurse;
    settings.dns.recursive_only = zone.recursive_only;
    settings.action = match zone.policy.as_str() {
        "given" => None,
        "disabled" => {
            settings.mode = Mode::Monitor;
            None
        }
        "passthru" => Some(Action::PassThru),
        "drop" => Some(Action::Drop),
        "tcp-only" => Some(Action::TcpOnly),
        "nxdomain" => Some(Action::NxDomain),
        "nodata" => Some(Action::NoData),
        alias => {
            let target = alias.strip_prefix("cname ").unwrap();
            let (target, is_wildcard) = match target.strip_prefix("*.") {
                Some(parent) => (parent, true),
                None => (target, false),
            };
            settings.data = Some(Arc::new(LocalData::Alias {
                target: Name::from_text(target.trim_end_matches('.')).unwrap(),
                is_wildcard,
                ttl: 60,
            }));
            Some(Action::LocalData)
        }
    };
    settings
}
