//! [`edition`]: a small policy with every trigger, every action, and every option of a list.

use std::net::Ipv4Addr;
use std::sync::LazyLock;
use std::time::Duration;

use cordon::compile::{Blocklist, Compiler, Format, From, Mode, PassThru, Protected, Settings};
use cordon::count::HitCounter;
use cordon::enforce::Edition;
use cordon::enforce::dns::{self, StopAddresses, StructuredErrors};
use cordon::policy::{Action, Kind};
use cordon::verify::Verified;

/// The policy. Its first list blocks [`BLOCKED`] and all below it, and answers with
/// [`BLOCKED_ADDRESS`] in them, for everybody.
pub(super) fn edition() -> &'static Edition {
    static EDITION: LazyLock<Edition> = LazyLock::new(|| {
        let blocklist = compile(&lists());
        Edition {
            number: 1,
            since: jiff::Timestamp::UNIX_EPOCH,
            counter: HitCounter::in_memory(blocklist.rule_count()),
            blocklist,
        }
    });
    &EDITION
}

/// How the DNS surface answers: everybody but 203.0.113.0/24.
pub(super) fn dns_settings() -> &'static dns::Settings {
    static SETTINGS: LazyLock<dns::Settings> = LazyLock::new(|| dns::Settings {
        listen: Vec::new(),
        threads: 1,
        clients: ["192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32"]
            .map(|network| network.parse().expect("a prefix"))
            .into(),
        stop_page: StopAddresses {
            ipv4: Some(Ipv4Addr::new(192, 0, 2, 80)),
            ipv6: None,
        },
        ttl: Duration::from_secs(10),
        servfail_until_ready: true,
        structured_errors: Some(StructuredErrors {
            organisation: Some("An \"operator\" of networks".to_owned()),
            contact: Some("mailto:abuse@isp.example".to_owned()),
        }),
    });
    &SETTINGS
}

/// A list of a local file, of which every kind of entry is taken.
pub(super) fn settings(name: &str, format: Format) -> Settings {
    let mut settings = Settings::new(
        name,
        From::File {
            path: name.into(),
            format,
            scope: None,
        },
    );
    settings.kinds = Kind::ALL.into();
    settings.dns.ns_lookup = true;
    settings
}

/// Compiles lists in their order; none of their rows is left out.
fn compile(lists: &[(Settings, String)]) -> Blocklist {
    let mut compiler = Compiler::new(&Protected::default(), jiff::Timestamp::UNIX_EPOCH);
    for (settings, text) in lists {
        let name = &settings.name;
        let list = Verified::unsigned(name, name, text.clone().into_bytes());
        compiler.add(settings, &list);
    }
    let blocklist = compiler.finish();
    for list in blocklist.lists() {
        assert_eq!(list.rejected, 0, "{:?}", list.rejects);
    }
    blocklist
}

fn lists() -> Vec<(Settings, String)> {
    let zone = |name: &str, rules: &str| {
        let settings = settings(name, Format::Rpz);
        (settings, format!("{SOA}{rules}\n"))
    };
    let mut lists = vec![
        zone("first", FIRST),
        zone("every", &every()),
        zone("strict", &OTHER.replace("ZONE", "strict")),
        zone("watched", &OTHER.replace("ZONE", "watched")),
        zone("group", &OTHER.replace("ZONE", "group")),
        zone("overridden", &OTHER.replace("ZONE", "overridden")),
        (settings("native", Format::Native), NATIVE.to_owned()),
        zone("last", LAST),
    ];
    let strict = &mut lists[2].0;
    strict.dns.break_dnssec = false;
    strict.dns.qname_wait_recurse = true;
    strict.dns.recursive_only = true;
    strict.dns.signal_nxdomain_ra = true;
    strict.dns.add_soa = false;
    strict.dns.max_policy_ttl = Some(Duration::from_secs(5));
    strict.dns.min_ns_dots = 0;
    lists[3].0.mode = Mode::Monitor;
    lists[4].0.dns.clients = vec!["198.51.100.0/24".parse().expect("a prefix")];
    lists[5].0.action = Some(Action::NoData);
    lists[6].0.passthru = PassThru::List;
    lists
}

/// One rule for each action, and all kinds of local data.
fn every() -> String {
    let label = "a".repeat(60);
    let long = [label.as_str(); 3].join(".");
    let mut rules = EVERY.replace("LONG", &long);
    for number in 0..40 {
        rules += &format!("large.test TXT \"{number} {}\"\n", "x".repeat(60));
    }
    rules
}

/// A name that the first list blocks with all below it.
pub(super) const BLOCKED: &str = "blocked.test";
/// An address that the first list blocks.
pub(super) const BLOCKED_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 66);

const SOA: &str =
    "$TTL 60\n@ SOA localhost. host.zone.example. 1 3600 600 86400 60\n@ NS localhost.\n";
const FIRST: &str = "blocked.test CNAME .\n*.blocked.test CNAME .\n32.66.2.0.192.rpz-ip CNAME .";
const EVERY: &str = r#"nxdomain.test CNAME .
nodata.test CNAME *.
pass.test CNAME rpz-passthru.
*.pass.test CNAME rpz-passthru.
drop.test CNAME rpz-drop.
tcp.test CNAME rpz-tcp-only.
alias.test CNAME garden.example.
*.expand.test CNAME *.garden.example.
*.long.test CNAME *.LONG.example.
data.test A 192.0.2.1
data.test 30 A 192.0.2.2
data.test AAAA 2001:db8::1
data.test MX 10 mail.garden.example.
data.test SRV 1 2 53 ns.garden.example.
data.test HTTPS 1 . ipv4hint=192.0.2.1
data.test TYPE65280 \# 3 0a0b0c
deep.hole.test CNAME .
*.test.hole CNAME *.
32.1.2.0.192.rpz-ip CNAME .
24.0.100.51.198.rpz-ip CNAME garden.example.
48.zz.1.db8.2001.rpz-ip CNAME *.garden.example.
32.5.2.0.192.rpz-ip CNAME rpz-passthru.
32.6.2.0.192.rpz-ip CNAME rpz-drop.
32.7.2.0.192.rpz-ip CNAME rpz-tcp-only.
32.8.2.0.192.rpz-ip A 192.0.2.1
32.9.2.0.192.rpz-client-ip CNAME rpz-drop.
32.10.2.0.192.rpz-client-ip CNAME rpz-passthru.
32.11.2.0.192.rpz-client-ip CNAME *.garden.example.
128.7.zz.db8.2001.rpz-client-ip CNAME .
ns.bad.test.rpz-nsdname CNAME .
*.evil.test.rpz-nsdname A 192.0.2.2
8.0.0.0.10.rpz-nsip CNAME *.
"#;
const OTHER: &str = r#"ZONE.test CNAME .
*.ZONE.test CNAME garden.example.
data.ZONE.test A 192.0.2.3
32.20.2.0.192.rpz-ip CNAME .
32.21.2.0.192.rpz-client-ip CNAME rpz-tcp-only.
ns.ZONE.test.rpz-nsdname CNAME *.
32.22.2.0.192.rpz-nsip CNAME .
"#;
const NATIVE: &str = r#"{"format":1,"list":"native","defaults":{"category":"csam","legal":{"authority":"a","basis":"b"}}}
{"id":"N-1","kind":"domain","match":"subtree","value":"native.test"}
{"id":"N-2","kind":"exception","value":"good.native.test"}
{"id":"N-3","kind":"domain","match":"children","value":"refused.test","action":"refused"}
{"id":"N-4","kind":"domain","match":"exact","value":"monitor.test","action":"monitor"}
{"id":"N-5","kind":"domain","match":"exact","value":"chased.test","cname":true,"action":"nxdomain"}
{"id":"N-6","kind":"ip","value":"192.0.2.30"}
{"id":"N-7","kind":"ip","value":"2001:db8:30::/48","action":"tcp_only"}
{"id":"N-8","kind":"rpz","value":"rule.test","records":["60 CNAME *.garden.example."]}
"#;
const LAST: &str = "*.everything.test CNAME .";
