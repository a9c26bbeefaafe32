//! [`Node`]: a running proxy with an upstream resolver and an origin of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use cordon::compile::{Compiler, Ede, Format, From, PassThru, Protected, Settings as ListSettings};
use cordon::count::HitCounter;
use cordon::enforce::proxy::{Bound, Limits, Operator, Origins, Proxy, Settings, StopPageSettings};
use cordon::enforce::resolver::{Resolver, Settings as ResolverSettings, Upstream};
use cordon::enforce::{Edition, InForce};
use cordon::policy::{RuleId, Surface};
use cordon::verify::Verified;
use jiff::Timestamp;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::world::{origin, upstream};

/// What the list of every test says.
const LIST: &str = r#"{"defaults":{"category":"csam","legal":{"authority":"Example Police","basis":"Example Act, art. 1","order_ref":"EX-2026-1"},"redress":{"url":"https://hotline.example/appeal"}},"format":1,"list":"csam","title":{"en":"Example list"}}
{"id":"D-1","kind":"domain","match":"subtree","value":"listed.test"}
{"action":"monitor","id":"M-1","kind":"domain","match":"exact","value":"watched.test"}
{"id":"X-1","kind":"exception","match":"exact","value":"spared.listed.test"}
{"id":"U-1","kind":"url","match":"exact","value":"http://shared.test/members/x/page.html"}
{"id":"U-2","kind":"url","match":"prefix","value":"http://shared.test/tree"}
{"id":"U-3","kind":"url","match":"exact","value":"http://127.0.0.1:$ORIGIN/listed"}
"#;

/// What a node of a test is to be.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) limits: Limits,
    pub(super) deny: Vec<&'static str>,
    pub(super) clients: Vec<&'static str>,
    pub(super) ports: Vec<u16>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            deny: Vec::new(),
            clients: vec!["127.0.0.0/8"],
            ports: vec![80, 443],
        }
    }
}

/// A running proxy with an upstream resolver and an origin of its own, all on loopback.
pub(super) struct Node {
    pub(super) http: SocketAddr,
    pub(super) forward: SocketAddr,
    pub(super) origin: SocketAddr,
    pub(super) proxy: Proxy,
    pub(super) settings: Settings,
    pub(super) resolver: Arc<Resolver>,
    pub(super) in_force: Arc<InForce>,
    pub(super) metrics: PrometheusHandle,
    pub(super) token: CancellationToken,
    pub(super) served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Node {
    pub(super) async fn start() -> Self {
        Self::by(Plan::default()).await
    }

    pub(super) async fn by(plan: Plan) -> Self {
        let origin = origin().await;
        let upstream = upstream().await;
        let resolver = Resolver::new(&ResolverSettings {
            forward: vec![Upstream {
                address: upstream,
                tls_name: None,
            }],
            zones: Vec::new(),
            cache_octets: 1 << 20,
        });
        let resolver = Arc::new(resolver.unwrap());
        let in_force = Arc::new(InForce::new(edition(1, origin)));
        let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let settings = Settings {
            http: vec![loopback],
            forward: vec![loopback],
            forward_clients: plan
                .clients
                .iter()
                .map(|net| net.parse().unwrap())
                .collect(),
            origins: Origins {
                deny: plan.deny.iter().map(|net| net.parse().unwrap()).collect(),
                ports: plan.ports.iter().copied().chain([origin.port()]).collect(),
            },
            stop_page: StopPageSettings {
                template: None,
                operator: Operator {
                    name: Some("Example Net".into()),
                    contact: Some("mailto:abuse@isp.example".into()),
                    url: Some("https://isp.example/blocking".into()),
                },
                languages: ["en", "de", "fr", "nl", "pl"].map(str::to_owned).into(),
            },
        };
        let recorder = PrometheusBuilder::new().build_recorder();
        let proxy = metrics::with_local_recorder(&recorder, || {
            Proxy::new(
                settings.clone(),
                plan.limits,
                Arc::clone(&in_force),
                Arc::clone(&resolver),
                || "2026-11-24T08:00:00Z".parse().unwrap(),
            )
        });
        let proxy = proxy.unwrap();
        let bound = Bound::bind(&settings).unwrap();
        let (http, forward) = (bound.http()[0], bound.forward()[0]);
        let token = CancellationToken::new();
        let served = tokio::spawn({
            let (proxy, token) = (proxy.clone(), token.clone());
            async move { proxy.serve(bound, &TaskTracker::new(), token).await }
        });
        Self {
            http,
            forward,
            origin,
            proxy,
            settings,
            resolver,
            in_force,
            metrics: recorder.handle(),
            token,
            served,
        }
    }

    /// How often every entry was hit over HTTP, by id.
    pub(super) fn hits(&self) -> BTreeMap<String, u64> {
        let edition = self.in_force.load();
        let rules = (0..edition.blocklist.rule_count()).map(|rule| RuleId(rule as u32));
        let hits = rules.map(|rule| {
            let id = edition.blocklist.rule(rule).unwrap().entry_id.to_owned();
            (id, edition.counter.hits(rule, Surface::Http))
        });
        hits.filter(|(_, hits)| *hits > 0).collect()
    }

    pub(super) fn outcome(&self, outcome: &str) -> u64 {
        let label = format!("cordon_http_requests_total{{outcome=\"{outcome}\"}} ");
        let rendered = self.metrics.render();
        let line = rendered.lines().find_map(|line| line.strip_prefix(&label));
        line.map_or(0, |count| count.parse().unwrap())
    }
}

/// An edition of [`LIST`].
fn edition(number: u64, origin: SocketAddr) -> Edition {
    let settings = ListSettings {
        passthru: PassThru::List,
        ede: Ede::Censored,
        ..ListSettings::new(
            "csam",
            From::File {
                path: "csam.ndjson".into(),
                format: Format::Native,
                scope: None,
            },
        )
    };
    let mut compiler = Compiler::new(&Protected::default(), Timestamp::UNIX_EPOCH);
    let text = LIST.replace("$ORIGIN", &origin.port().to_string());
    compiler.add(
        &settings,
        &Verified::unsigned("csam", "csam.ndjson", text.into_bytes()),
    );
    let blocklist = compiler.finish();
    assert_eq!(blocklist.lists()[0].rejects.len(), 0);
    let counter = HitCounter::in_memory(blocklist.rule_count());
    Edition {
        number,
        since: Timestamp::UNIX_EPOCH,
        blocklist,
        counter,
    }
}
