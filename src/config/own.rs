//! What this node itself stands on: the names and addresses in its configuration that no list
//! may block.

use std::net::IpAddr;

use super::Config;
use crate::compile::{Own, OwnHost};
use crate::enforce::resolver;
use crate::policy::{CanonicalUrl, Host, Name};
use crate::source::Mirror;

/// The names and addresses of a configuration that are the node's own, each once: where it
/// listens, where blocked names point, whom it asks, where its lists come from, where its
/// stop page sends people, and what must work (field.md section 3, incident 10).
pub(super) fn own(config: &Config) -> Vec<Own> {
    let mut own = Collected::default();
    own.name("node", &config.node);
    for repository in &config.repositories {
        for mirror in &repository.source.mirrors {
            if let Mirror::Http(address) = mirror {
                own.url("repositories.mirrors", address);
            }
        }
    }
    if let Some(dns) = &config.dns {
        own.addresses("dns.listen", dns.listen.iter().map(|socket| socket.ip()));
        let stop = dns.stop_page;
        let addresses = [stop.ipv4.map(IpAddr::V4), stop.ipv6.map(IpAddr::V6)];
        own.addresses("dns.stop_page", addresses.into_iter().flatten());
    }
    own.resolver("dns.resolver", config.resolver.as_ref());
    if let Some(proxy) = &config.proxy {
        own.addresses("proxy.http", proxy.http.iter().map(|socket| socket.ip()));
        own.addresses("proxy.forward", proxy.forward.iter().map(|it| it.ip()));
        let operator = &proxy.stop_page.operator;
        for url in [&operator.url, &operator.contact].into_iter().flatten() {
            own.url("stop_page.operator", url);
        }
    }
    own.resolver("proxy.resolver", config.proxy_resolver.as_ref());
    for name in &config.self_test.must_work {
        own.add("self_test.must_work", OwnHost::Name(*name));
    }
    if let Some(report) = &config.report {
        own.addresses("report.listen", report.listen.iter().map(|it| it.ip()));
    }
    own.0
}

/// What was found so far.
#[derive(Default)]
struct Collected(Vec<Own>);

impl Collected {
    /// Adds what was not found before.
    fn add(&mut self, key: &'static str, host: OwnHost) {
        if self.0.iter().all(|own| own.host != host) {
            self.0.push(Own { key, host });
        }
    }

    /// Adds a host name; a single label is no name on the internet.
    fn name(&mut self, key: &'static str, text: &str) {
        if let Ok(name) = Name::from_text(text)
            && name.label_count() > 1
        {
            self.add(key, OwnHost::Name(name));
        }
    }

    /// Adds addresses; an unspecified one stands for every one of the machine, which nobody
    /// can name here.
    fn addresses(&mut self, key: &'static str, addresses: impl Iterator<Item = IpAddr>) {
        for address in addresses.map(|address| address.to_canonical()) {
            if !address.is_unspecified() {
                self.add(key, OwnHost::Address(address));
            }
        }
    }

    /// Adds the host of a web address; nothing of another kind, such as `mailto:`.
    fn url(&mut self, key: &'static str, text: &str) {
        match CanonicalUrl::parse(text).map(|url| url.host().clone()) {
            Ok(Host::Name(name)) => self.name(key, &name),
            Ok(Host::Address(address)) => self.addresses(key, [address].into_iter()),
            Err(_) => {}
        }
    }

    /// Adds whom a resolver asks.
    fn resolver(&mut self, key: &'static str, settings: Option<&resolver::Settings>) {
        let Some(settings) = settings else { return };
        let zones = settings.zones.iter().flat_map(|zone| &zone.forward);
        for upstream in settings.forward.iter().chain(zones) {
            self.addresses(key, [upstream.address.ip()].into_iter());
            if let Some(name) = &upstream.tls_name {
                self.name(key, name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[track_caller]
    fn check(yaml: &str, expected: &[&str]) {
        let config = Config::parse(Path::new("cordon.yaml"), yaml).unwrap();
        let own = config.protect.own().iter();
        let found: Vec<String> = own
            .map(|own| match own.host {
                OwnHost::Name(name) => format!("{} {name}", own.key),
                OwnHost::Address(address) => format!("{} {address}", own.key),
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn everything_that_the_node_stands_on_is_its_own() {
        check(
            r#"
version: 1
node: resolver-1.isp.example
dns:
  listen: ["192.0.2.53:53", "0.0.0.0:5300"]
  stop_page: { ipv4: 192.0.2.80, ipv6: "2001:db8::80" }
  resolver:
    forward: ["198.51.100.53", "tls://198.51.100.55#dns.example"]
    zones: [{ name: corp.example, forward: ["10.0.0.53"] }]
proxy:
  http: { listen: ["192.0.2.80:80"] }
  resolver: { forward: ["198.51.100.54"] }
stop_page:
  operator: { name: Net, contact: "mailto:abuse@isp.example", url: "https://www.isp.example/blocking" }
report:
  listen: ["127.0.0.1:8450"]
self_test: { must_work: [portal.isp.example, dns.example] }
"#,
            &[
                "node resolver-1.isp.example",
                "dns.listen 192.0.2.53",
                "dns.stop_page 192.0.2.80",
                "dns.stop_page 2001:db8::80",
                "dns.resolver 198.51.100.53",
                "dns.resolver 198.51.100.55",
                "dns.resolver dns.example",
                "dns.resolver 10.0.0.53",
                "stop_page.operator www.isp.example",
                "proxy.resolver 198.51.100.54",
                "self_test.must_work portal.isp.example",
                "report.listen 127.0.0.1",
            ],
        );
        check("version: 1\nnode: localhost\n", &[]);
    }
}
