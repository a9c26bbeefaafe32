//! The HTTP surface from outside, over loopback: scenarios as data, `curl` as another's
//! eyes, and the attacks of field.md section 4 by name.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cordon::compile::{
    Compiler, Ede, Format, From, ListText, Mode, PassThru, Protected, Settings as ListSettings,
};
use cordon::count::HitCounter;
use cordon::enforce::proxy::{Bound, Limits, Operator, Origins, Proxy, Settings, StopPageSettings};
use cordon::enforce::resolver::{Resolver, Settings as ResolverSettings, Upstream};
use cordon::enforce::{Edition, InForce};
use cordon::policy::{Kind, Origin as ListOrigin, Provenance, RuleId, Surface};
use jiff::Timestamp;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
struct Plan {
    limits: Limits,
    deny: Vec<&'static str>,
    clients: Vec<&'static str>,
    ports: Vec<u16>,
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
struct Node {
    http: SocketAddr,
    forward: SocketAddr,
    origin: SocketAddr,
    proxy: Proxy,
    settings: Settings,
    resolver: Arc<Resolver>,
    in_force: Arc<InForce>,
    metrics: PrometheusHandle,
    token: CancellationToken,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Node {
    async fn start() -> Self {
        Self::by(Plan::default()).await
    }

    async fn by(plan: Plan) -> Self {
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
    fn hits(&self) -> BTreeMap<String, u64> {
        let edition = self.in_force.load();
        let rules = (0..edition.blocklist.rule_count()).map(|rule| RuleId(rule as u32));
        let hits = rules.map(|rule| {
            let id = edition.blocklist.rule(rule).unwrap().entry_id.to_owned();
            (id, edition.counter.hits(rule, Surface::Http))
        });
        hits.filter(|(_, hits)| *hits > 0).collect()
    }

    fn outcome(&self, outcome: &str) -> u64 {
        let label = format!("cordon_http_requests_total{{outcome=\"{outcome}\"}} ");
        let rendered = self.metrics.render();
        let line = rendered.lines().find_map(|line| line.strip_prefix(&label));
        line.map_or(0, |count| count.parse().unwrap())
    }
}

/// An edition of [`LIST`].
fn edition(number: u64, origin: SocketAddr) -> Edition {
    let settings = ListSettings {
        name: "csam".into(),
        from: From::File {
            path: "csam.ndjson".into(),
            format: Format::Native,
            scope: None,
        },
        mode: Mode::Enforce,
        kinds: vec![Kind::Domain, Kind::Url],
        action: None,
        passthru: PassThru::List,
        ede: Ede::Censored,
        required: true,
    };
    let provenance = Provenance {
        list: "csam".into(),
        title: "csam".into(),
        issuer: None,
        origin: ListOrigin::Unsigned {
            path: "csam.ndjson".into(),
            digest: String::new(),
        },
    };
    let mut compiler = Compiler::new(&Protected::default(), Timestamp::UNIX_EPOCH);
    let text = LIST.replace("$ORIGIN", &origin.port().to_string());
    compiler.add(
        &settings,
        ListText {
            format: Format::Native,
            scope: None,
            provenance: &provenance,
            text: text.as_bytes(),
        },
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

/// An upstream resolver that knows every name: at loopback, but for a few that lead
/// elsewhere.
async fn upstream() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 1500];
        loop {
            let (length, client) = socket.recv_from(&mut query).await.unwrap();
            let _ = socket.send_to(&answer(&query[..length]), client).await;
        }
    });
    address
}

/// The answer to one query, by hand (RFC 1035 section 4).
fn answer(query: &[u8]) -> Vec<u8> {
    let mut end = 12;
    let mut name = Vec::new();
    while query[end] != 0 {
        let length = usize::from(query[end]);
        name.push(String::from_utf8_lossy(&query[end + 1..=end + length]).to_lowercase());
        end += length + 1;
    }
    let is_v6 = query[end + 2] == 28;
    let question = &query[12..end + 5];
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    let addresses: Vec<IpAddr> = match name.join(".").as_str() {
        "mapped.test" => vec!["::ffff:127.0.0.1".parse().unwrap()],
        "nat64.test" => vec!["64:ff9b::7f00:1".parse().unwrap()],
        "zero.test" => vec![Ipv4Addr::UNSPECIFIED.into()],
        "v6loop.test" => vec![Ipv6Addr::LOCALHOST.into()],
        "metadata.test" => vec!["169.254.169.254".parse().unwrap()],
        "none.test" => vec![],
        _ => vec![loopback],
    };
    let addresses: Vec<_> = addresses
        .iter()
        .filter(|one| one.is_ipv6() == is_v6)
        .collect();
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    answer.extend(question);
    for address in addresses {
        answer.extend([0xc0, 0x0c]);
        answer.extend(&question[question.len() - 4..]);
        answer.extend([0, 0, 0, 60]);
        match address {
            IpAddr::V4(v4) => {
                answer.extend([0, 4]);
                answer.extend(v4.octets());
            }
            IpAddr::V6(v6) => {
                answer.extend([0, 16]);
                answer.extend(v6.octets());
            }
        }
    }
    answer
}

/// A web server that says what it was asked, field by field.
async fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve_origin(stream));
        }
    });
    address
}

async fn serve_origin(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(octet) => head.push(octet),
            Err(_) => return,
        }
    }
    let text = String::from_utf8(head).unwrap();
    let path = text.split(' ').nth(1).unwrap();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.unwrap();
    let said = format!("origin saw {text}{}", String::from_utf8_lossy(&body));
    let answer = match path {
        "/hangs-up" => return,
        "/silent" => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            return;
        }
        "/garbage" => "this is no HTTP\r\n\r\n".to_owned(),
        "/smuggles" => "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nProxy-Authenticate: Basic\r\nX-End: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned(),
        "/cut" => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_owned(),
        _ => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}", said.len()),
    };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// One answer as it came.
#[derive(Debug)]
struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Reads one answer; nothing where the connection is closed instead.
async fn read_answer(stream: &mut TcpStream, method: &str) -> Option<Answer> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let octet = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
        head.push(octet.expect("an answer in time").ok()?);
    }
    let mut answer = Answer {
        head: String::from_utf8(head).unwrap(),
        body: String::new(),
    };
    let mut body = Vec::new();
    let has_body = method != "HEAD" && !(method == "CONNECT" && answer.status() == 200);
    if !has_body {
    } else if answer.field("transfer-encoding").is_some() {
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(stream.read_u8().await.unwrap());
            }
            let line = String::from_utf8(line).unwrap();
            let mut chunk = vec![0; usize::from_str_radix(line.trim(), 16).unwrap() + 2];
            stream.read_exact(&mut chunk).await.unwrap();
            body.extend(&chunk[..chunk.len() - 2]);
            if chunk.len() == 2 {
                break;
            }
        }
    } else if let Some(length) = answer.field("content-length") {
        body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
    }
    answer.body = String::from_utf8(body).unwrap();
    Some(answer)
}

async fn send(to: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn ask(to: SocketAddr, request: &str) -> Answer {
    let method = request.split(' ').next().unwrap();
    let mut stream = send(to, request).await;
    read_answer(&mut stream, method).await.expect("an answer")
}

/// Whether the peer closes the connection without another octet.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut octet = [0];
    match tokio::time::timeout(PATIENCE, stream.read(&mut octet)).await {
        Ok(Ok(read)) => read == 0,
        Ok(Err(_)) => true,
        Err(_) => false,
    }
}

/// How long a test waits for what should come at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs every file of `tests/scenarios/proxy`; its README says how one is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenarios() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/proxy");
    let mut ran = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        if file
            .extension()
            .is_some_and(|extension| extension == "http")
        {
            scenario(&file).await;
            ran += 1;
        }
    }
    assert!(ran >= 30, "only {ran} scenarios were found");
}

async fn scenario(file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    let name = file.file_name().unwrap().to_string_lossy();
    let mut parts = text.split("\n--- ");
    let mut plan = Plan::default();
    let mut at = "http";
    let mut expected_hits = BTreeMap::new();
    for line in parts.next().unwrap().lines() {
        match line.split_once(": ") {
            _ if line.starts_with('#') || line.is_empty() => {}
            Some(("at", role)) => at = role,
            Some(("deny", "loopback")) => plan.deny = vec!["127.0.0.0/8", "::1/128"],
            Some(("hits", entry)) => *expected_hits.entry(entry.to_owned()).or_insert(0) += 1,
            _ => panic!("{name}: {line} is no setting"),
        }
    }
    let node = Node::by(plan).await;
    let to = if at == "http" {
        node.http
    } else {
        node.forward
    };
    let request = parts.next().unwrap().strip_prefix("request\n").unwrap();
    let request = request.replace("$ORIGIN", &node.origin.port().to_string());
    let request = format!("{}\r\n", request.replace('\n', "\r\n"));
    let methods = request
        .lines()
        .filter(|line| line.ends_with(" HTTP/1.1") || line.ends_with(" HTTP/1.0"));
    let mut methods = methods.map(|line| line.split(' ').next().unwrap());
    let mut stream = send(to, &request).await;
    for part in parts {
        let mut lines = part.lines();
        match lines.next().unwrap() {
            "answer" => {
                let answer = read_answer(&mut stream, methods.next().unwrap_or("GET")).await;
                let answer = answer.unwrap_or_else(|| panic!("{name}: closed without an answer"));
                expect(&name, &answer, lines);
            }
            "closed" => assert!(is_closed(&mut stream).await, "{name}: not closed"),
            other => panic!("{name}: {other} is no part"),
        }
    }
    assert_eq!(node.hits(), expected_hits, "{name}: hits");
}

/// Holds an answer against the lines of a scenario.
fn expect<'a>(name: &str, answer: &Answer, mut lines: impl Iterator<Item = &'a str>) {
    let status = lines.next().unwrap();
    assert_eq!(
        answer.head.lines().next().unwrap(),
        status,
        "{name}: {answer:?}"
    );
    for line in lines.filter(|line| !line.is_empty()) {
        if let Some(part) = line.strip_prefix("body: ") {
            assert!(
                answer.body.contains(part),
                "{name}: {part} is missing: {answer:?}"
            );
        } else if let Some(part) = line.strip_prefix("no body: ") {
            assert!(
                !answer.body.contains(part),
                "{name}: {part} is there: {answer:?}"
            );
        } else if let Some(field) = line.strip_prefix("no ") {
            assert_eq!(answer.field(field), None, "{name}: {answer:?}");
        } else {
            let (field, value) = line.split_once(": ").unwrap();
            assert_eq!(answer.field(field), Some(value), "{name}: {answer:?}");
        }
    }
}

/// What `curl` sees; its arguments are parted by spaces.
async fn curl(arguments: String) -> String {
    let run = tokio::task::spawn_blocking(move || {
        let arguments = arguments.split(' ').filter(|argument| !argument.is_empty());
        let output = std::process::Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "10",
                "--noproxy",
                "",
                "-i",
            ])
            .args(arguments)
            .output()
            .expect("curl is needed: apt-get install curl");
        String::from_utf8_lossy(&output.stdout).into_owned()
    });
    run.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_agrees() {
    let node = Node::start().await;
    let (http, forward, origin) = (node.http, node.forward, node.origin.port());

    let stop = curl(format!(
        "http://www.listed.test:{0}/ --resolve www.listed.test:{0}:127.0.0.1",
        http.port()
    ))
    .await;
    assert!(stop.starts_with("HTTP/1.1 451 "), "{stop}");
    assert!(stop.contains("Example Act, art. 1"), "{stop}");

    let blocked = curl(format!(
        "-x http://{forward} http://shared.test/members/x/page.html"
    ))
    .await;
    assert!(blocked.starts_with("HTTP/1.1 451 "), "{blocked}");
    let passed = curl(format!(
        "-x http://{forward} http://shared.test:{origin}/members/x/other.html -d upload"
    ))
    .await;
    assert!(
        passed.starts_with("HTTP/1.1 200 ") && passed.contains("upload"),
        "{passed}"
    );

    let tunnelled = curl(format!(
        "-p -x http://{forward} http://free.test:{origin}/through"
    ))
    .await;
    assert!(tunnelled.contains("origin saw GET /through"), "{tunnelled}");
    assert!(
        !tunnelled.contains("via:"),
        "a tunnel is not read: {tunnelled}"
    );
    let refused = curl(format!(
        "-p -x http://{forward} http://a.listed.test:{origin}/"
    ))
    .await;
    assert!(refused.starts_with("HTTP/1.1 451 "), "{refused}");

    let chunked = curl(format!(
        "-x http://{forward} http://free.test:{origin}/smuggles"
    ))
    .await;
    assert!(
        chunked.contains("x-end: 2") && chunked.ends_with("abc"),
        "{chunked}"
    );
    for dropped in ["x-hop", "proxy-authenticate"] {
        assert!(!chunked.to_lowercase().contains(dropped), "{chunked}");
    }

    let hits: Vec<_> = node.hits().into_iter().collect();
    assert_eq!(hits, [("D-1".to_owned(), 2), ("U-1".to_owned(), 1)]);
    assert_eq!((node.outcome("blocked"), node.outcome("passed")), (3, 3));
}

#[tokio::test]
async fn what_is_passed_on_is_this_request_and_no_more() {
    let node = Node::start().await;
    let request = format!(
        "POST http://free.test:{}/a/../b?q HTTP/1.1\r\nHost: free.test:{0}\r\nConnection: close, X-Mine, Content-Length\r\nX-Mine: 1\r\nProxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: keep-alive\r\nUpgrade: websocket\r\nExpect: 100-continue\r\nCookie: a=b\r\nContent-Length: 4\r\n\r\nbody",
        node.origin.port()
    );
    let mut stream = send(node.forward, &request).await;
    let first = read_answer(&mut stream, "HEAD").await.unwrap();
    assert_eq!(first.status(), 100);
    let answer = read_answer(&mut stream, "POST").await.unwrap();
    let seen = answer.body.to_lowercase();
    assert!(
        seen.starts_with("origin saw post /a/../b?q http/1.1\r\n"),
        "{seen}"
    );
    assert!(
        seen.contains(&format!("host: free.test:{}\r\n", node.origin.port())),
        "{seen}"
    );
    assert!(
        seen.contains("cookie: a=b\r\n") && seen.ends_with("\r\n\r\nbody"),
        "{seen}"
    );
    assert!(seen.contains("via: 1.1 cordon-"), "{seen}");
    for absent in [
        "x-mine",
        "proxy-",
        "upgrade",
        "expect",
        "forwarded",
        "127.0.0.1",
    ] {
        assert!(!seen.contains(absent), "{absent} in {seen}");
    }
    assert!(answer.field("via").is_some());
    // The same request again, with what the origin saw, has come full circle.
    let via = seen
        .lines()
        .find_map(|line| line.strip_prefix("via: "))
        .unwrap();
    let again = format!("GET http://free.test/ HTTP/1.1\r\nHost: free.test\r\nVia: {via}\r\n\r\n");
    assert_eq!(ask(node.forward, &again).await.status(), 508);
}

#[tokio::test]
async fn an_origin_that_fails_is_said_plainly() {
    let node = Node::by(Plan {
        limits: Limits {
            origin_idle_max: Duration::from_millis(200),
            ..Limits::default()
        },
        ports: vec![1],
        ..Plan::default()
    })
    .await;
    let port = node.origin.port();
    for (host, path, status) in [
        (format!("free.test:{port}"), "/hangs-up", 502),
        (format!("free.test:{port}"), "/garbage", 502),
        (format!("free.test:{port}"), "/silent", 504),
        ("free.test:1".to_owned(), "/", 502),
        ("none.test:1".to_owned(), "/", 502),
        ("free.test:2".to_owned(), "/", 403),
    ] {
        let request = format!("GET http://{host}{path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = ask(node.forward, &request).await;
        assert_eq!(answer.status(), status, "{host}{path}: {answer:?}");
        assert!(
            !answer.body.contains(&host),
            "nothing is reflected: {answer:?}"
        );
    }
    assert_eq!(
        (node.outcome("origin_error"), node.outcome("refused")),
        (5, 1)
    );
    // What was cut short cannot be taken for the whole.
    let request =
        format!("GET http://free.test:{port}/cut HTTP/1.1\r\nHost: free.test:{port}\r\n\r\n");
    let mut stream = send(node.forward, &request).await;
    let head = read_answer(&mut stream, "HEAD").await.unwrap();
    assert_eq!(head.field("content-length"), Some("100"));
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.len() < 100);
}

#[tokio::test]
async fn no_name_leads_to_a_denied_address() {
    let node = Node::by(Plan {
        deny: vec!["127.0.0.0/8", "::1/128", "169.254.0.0/16"],
        ..Plan::default()
    })
    .await;
    let port = node.origin.port();
    for host in [
        "free.test",
        "mapped.test",
        "nat64.test",
        "zero.test",
        "v6loop.test",
        "metadata.test",
        "localhost",
        "a.localhost",
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[::]",
    ] {
        for request in [
            format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"),
            format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"),
        ] {
            let answer = ask(node.forward, &request).await;
            assert_eq!(answer.status(), 403, "{request}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn the_proxy_does_not_connect_to_itself() {
    let node = Node::start().await;
    let own = [node.http.port(), node.forward.port()];
    let mut settings = node.settings.clone();
    settings.origins.ports.extend(own);
    node.proxy
        .replace(settings, Arc::clone(&node.resolver))
        .unwrap();
    for port in own {
        for host in ["free.test", "127.0.0.1", "[::ffff:127.0.0.1]"] {
            let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
            assert_eq!(ask(node.forward, &request).await.status(), 403, "{request}");
        }
    }
}

#[tokio::test]
async fn only_its_clients_are_served() {
    let node = Node::by(Plan {
        clients: vec!["192.0.2.0/24"],
        ..Plan::default()
    })
    .await;
    let request = "GET http://listed.test/ HTTP/1.1\r\nHost: listed.test\r\n\r\n";
    assert_eq!(ask(node.forward, request).await.status(), 403);
    assert_eq!(
        ask(node.http, request).await.status(),
        451,
        "the stop page is for everyone"
    );
    // New settings hold at once, on a connection that is open already.
    let mut stream = send(node.forward, request).await;
    assert_eq!(read_answer(&mut stream, "GET").await.unwrap().status(), 403);
    let mut settings = node.settings.clone();
    settings.forward_clients = vec!["127.0.0.1".parse().unwrap()];
    node.proxy
        .replace(settings, Arc::clone(&node.resolver))
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream, "GET").await.unwrap().status(), 451);
}

#[tokio::test]
async fn a_wrong_template_changes_nothing() {
    let node = Node::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    let mut settings = node.settings.clone();
    settings.stop_page.template = Some(file.clone());
    let replace = |settings: &Settings| {
        node.proxy
            .replace(settings.clone(), Arc::clone(&node.resolver))
    };
    let error = replace(&settings).unwrap_err().to_string();
    assert!(error.contains("page.html cannot be read"), "{error}");
    std::fs::write(&file, "<p>\n{{visitor}}").unwrap();
    let error = replace(&settings).unwrap_err().to_string();
    assert!(
        error.contains("page.html: line 2: there is no placeholder {{visitor}}"),
        "{error}"
    );
    let request = "GET / HTTP/1.1\r\nHost: listed.test\r\n\r\n";
    assert!(
        ask(node.http, request)
            .await
            .body
            .contains("Example Police")
    );
    std::fs::write(&file, "<p>our own: {{basis}}").unwrap();
    replace(&settings).unwrap();
    assert_eq!(
        ask(node.http, request).await.body,
        "<p>our own: Example Act, art. 1"
    );
}

#[tokio::test]
async fn a_new_edition_holds_for_the_next_request() {
    let node = Node::start().await;
    let request = "GET / HTTP/1.1\r\nHost: listed.test\r\n\r\n";
    let mut stream = send(node.http, request).await;
    assert_eq!(read_answer(&mut stream, "GET").await.unwrap().status(), 451);
    node.in_force.replace(Edition {
        number: 2,
        since: Timestamp::UNIX_EPOCH,
        blocklist: Compiler::new(&Protected::default(), Timestamp::UNIX_EPOCH).finish(),
        counter: HitCounter::in_memory(0),
    });
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream, "GET").await.unwrap().status(), 421);
}

#[tokio::test]
async fn an_oversized_head_is_431() {
    let node = Node::start().await;
    for request in [
        format!(
            "GET / HTTP/1.1\r\nHost: listed.test\r\nX: {}\r\n\r\n",
            "a".repeat(20_000)
        ),
        format!(
            "GET /{} HTTP/1.1\r\nHost: listed.test\r\n\r\n",
            "a".repeat(20_000)
        ),
        format!(
            "GET / HTTP/1.1\r\nHost: listed.test\r\n{}\r\n",
            "A: b\r\n".repeat(200)
        ),
    ] {
        let mut stream = TcpStream::connect(node.http).await.unwrap();
        let _ = stream.write_all(request.as_bytes()).await;
        let answer = read_answer(&mut stream, "HEAD").await.unwrap();
        assert_eq!(answer.status(), 431, "{answer:?}");
        assert!(is_closed(&mut stream).await);
    }
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: listed.test\r\n\r\n",
        "a".repeat(9_000)
    );
    assert_eq!(ask(node.http, &long).await.status(), 414);
    assert_eq!(node.outcome("malformed"), 4);
}

#[tokio::test]
async fn a_slow_client_is_closed() {
    let node = Node::by(Plan {
        limits: Limits {
            head_time_max: Duration::from_millis(300),
            stall_max: Duration::from_millis(300),
            ..Limits::default()
        },
        ..Plan::default()
    })
    .await;
    // A head that trickles in: each octet is in time, the whole is not.
    let mut stream = send(node.http, "GET / HTTP/1.1\r\nX: ").await;
    let begun = Instant::now();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if stream.write_all(b"a").await.is_err() {
            break;
        }
    }
    assert!(is_closed(&mut stream).await);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(node.outcome("malformed"), 1);
    // A connection without a request, and one that stays after its request.
    let mut idle = send(node.http, "").await;
    let mut kept = send(node.http, "GET / HTTP/1.1\r\nHost: listed.test\r\n\r\n").await;
    assert_eq!(read_answer(&mut kept, "GET").await.unwrap().status(), 451);
    assert!(is_closed(&mut idle).await && is_closed(&mut kept).await);
    assert_eq!(node.outcome("malformed"), 1, "nothing was begun");
    // A body that does not come.
    let request = format!(
        "POST http://free.test:{}/ HTTP/1.1\r\nHost: free.test:{0}\r\nContent-Length: 10\r\n\r\nabc",
        node.origin.port()
    );
    let mut stream = send(node.forward, &request).await;
    let answer = read_answer(&mut stream, "POST").await;
    assert!(answer.is_none_or(|answer| answer.status() == 502));
    assert!(is_closed(&mut stream).await);
}

#[tokio::test]
async fn garbage_is_answered_400_or_closed() {
    let node = Node::start().await;
    for garbage in [
        "\0\0\0\0\0\0\0\0\r\n\r\n",
        "hello\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}\0\u{5}hello",
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\r\nHost listed.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : listed.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: listed.test\r\n X: folded\r\n\r\n",
    ] {
        for to in [node.http, node.forward] {
            let mut stream = send(to, garbage).await;
            let answer = read_answer(&mut stream, "HEAD").await;
            assert!(
                answer.is_none_or(|answer| answer.status() == 400),
                "{garbage:?}"
            );
            assert!(is_closed(&mut stream).await, "{garbage:?}");
        }
    }
    assert_eq!(node.outcome("malformed"), 18);
    assert!(node.hits().is_empty());
}

#[tokio::test]
async fn a_tunnel_passes_the_end_of_one_side_and_ends_when_idle() {
    let node = Node::by(Plan {
        limits: Limits {
            tunnel_idle_max: Duration::from_millis(200),
            ..Limits::default()
        },
        ..Plan::default()
    })
    .await;
    let port = node.origin.port();
    // What the client sends before it is granted is not lost.
    let early = format!(
        "CONNECT free.test:{port} HTTP/1.1\r\nHost: free.test\r\n\r\nGET /early HTTP/1.1\r\n\r\n"
    );
    let mut stream = send(node.forward, &early).await;
    assert_eq!(
        read_answer(&mut stream, "CONNECT").await.unwrap().status(),
        200
    );
    stream.shutdown().await.unwrap();
    let answer = read_answer(&mut stream, "GET").await.unwrap();
    assert!(answer.body.starts_with("origin saw GET /early"));
    assert!(is_closed(&mut stream).await);

    let silent = format!("CONNECT free.test:{port} HTTP/1.1\r\nHost: free.test\r\n\r\n");
    let mut stream = send(node.forward, &silent).await;
    assert_eq!(
        read_answer(&mut stream, "CONNECT").await.unwrap().status(),
        200
    );
    assert!(is_closed(&mut stream).await);
}

#[tokio::test]
async fn stopping_lets_requests_finish_and_closes_the_rest() {
    let node = Node::start().await;
    let port = node.origin.port();
    let mut idle = send(node.http, "GET / HTTP/1.1\r\nHost: listed.test\r\n\r\n").await;
    read_answer(&mut idle, "GET").await.unwrap();
    let connect = format!("CONNECT free.test:{port} HTTP/1.1\r\nHost: free.test\r\n\r\n");
    let mut tunnel = send(node.forward, &connect).await;
    assert_eq!(
        read_answer(&mut tunnel, "CONNECT").await.unwrap().status(),
        200
    );
    // A request of which half is there: it is still answered.
    let post = format!(
        "POST http://free.test:{port}/ HTTP/1.1\r\nHost: free.test:{port}\r\nContent-Length: 4\r\n\r\nbo"
    );
    let mut posting = send(node.forward, &post).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    node.token.cancel();
    assert!(is_closed(&mut idle).await && is_closed(&mut tunnel).await);
    assert!(!node.served.is_finished());
    posting.write_all(b"dy").await.unwrap();
    let answer = read_answer(&mut posting, "POST").await.unwrap();
    assert!(answer.body.ends_with("body"), "{answer:?}");
    tokio::time::timeout(PATIENCE, node.served)
        .await
        .expect("drained")
        .unwrap()
        .unwrap();
    assert!(
        TcpStream::connect(node.http).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn too_many_connections_wait_their_turn() {
    let node = Node::by(Plan {
        limits: Limits {
            connections_max: 2,
            ..Limits::default()
        },
        ..Plan::default()
    })
    .await;
    let first = send(node.http, "").await;
    let _second = send(node.http, "").await;
    let mut third = send(node.http, "GET / HTTP/1.1\r\nHost: listed.test\r\n\r\n").await;
    let mut octet = [0];
    let early = tokio::time::timeout(Duration::from_millis(200), third.peek(&mut octet)).await;
    assert!(early.is_err(), "the third waits");
    drop(first);
    assert_eq!(read_answer(&mut third, "GET").await.unwrap().status(), 451);
}

#[test]
fn a_port_that_is_taken_is_said_with_its_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let settings = Settings {
        http: vec![address],
        forward: Vec::new(),
        forward_clients: Vec::new(),
        origins: Origins {
            deny: Vec::new(),
            ports: Vec::new(),
        },
        stop_page: StopPageSettings {
            template: None,
            operator: Operator::default(),
            languages: Vec::new(),
        },
    };
    let error = Bound::bind(&settings).unwrap_err().to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("another program uses it"),
        "{error}"
    );
}
