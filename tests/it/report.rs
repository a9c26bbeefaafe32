//! The report over its sockets: what each address gives to whom, in which format, and what it
//! refuses. The JSON and CSV are held to the files of `tests/expect/report`.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cordon::compile::{Compiler, Format, From, PassThru, Protected, Settings};
use cordon::count::{Counters, HitLedger};
use cordon::enforce::{Edition, InForce, counted_rules};
use cordon::policy::Surface;
use cordon::report::{
    self, Bound, Failure, Metrics, Outcome, Role, ServerTls, Sources, Timeline, Updates, User,
};
use cordon::verify::Verified;
use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "correct horse battery";

fn now() -> Timestamp {
    "2026-11-24T08:30:00Z".parse().unwrap()
}

/// A report with two lists, some hits and a past.
struct Plant {
    folder: tempfile::TempDir,
    address: SocketAddr,
    stop: CancellationToken,
    // Sockets outlive the server.
    _bound: Bound,
}

/// How a plant differs from the plain one.
#[derive(Default)]
struct Wish {
    users: bool,
    tls: bool,
    required: Option<&'static str>,
}

const ORDERS: &str = r#"{"defaults":{"category":"gambling","legal":{"authority":"Example Authority","basis":"Example Act, s. 4"}},"format":1,"issuer":{"authority_id":"xx","name":"Example Authority"},"list":"orders","title":{"en":"Orders"}}
{"id":"O-1","kind":"domain","match":"subtree","value":"one.test"}
{"id":"O-2","kind":"domain","match":"subtree","value":"two.test"}
{"id":"O-3","kind":"domain","match":"subtree","value":"three.test"}
{"id":"O-4","kind":"domain","match":"subtree","value":"bad..name.test"}
"#;

fn list(name: &str, format: Format) -> Settings {
    Settings {
        passthru: PassThru::List,
        required: false,
        ..Settings::new(
            name,
            From::File {
                path: "x".into(),
                format,
                scope: Some(cordon::policy::Scope::Subtree),
            },
        )
    }
}

impl Plant {
    fn new(wish: &Wish) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let mut compiler = Compiler::new(&Protected::default(), now());
        let orders = Verified::unsigned("orders", "orders.jsonl", ORDERS.into());
        compiler.add(&list("orders", Format::Native), &orders);
        let house = Verified::unsigned("house", "house.txt", b"four.test\n".to_vec());
        compiler.add(&list("house", Format::Domains), &house);
        let blocklist = compiler.finish();

        let counters = Arc::new(Counters::open(&path.join("counters"), now()).unwrap().0);
        let ledger = HitLedger::open(&path.join("ledger"), Arc::clone(&counters)).unwrap();
        let (counter, refused) = counters.counter(counted_rules(&blocklist)).unwrap();
        assert!(refused.is_none());
        let edition = Edition {
            number: 1,
            since: "2026-11-24T07:00:00Z".parse().unwrap(),
            blocklist,
            counter,
        };
        // O-1 40, O-2 3, O-3 12 queries; O-1 2 requests; the house's entry 25 queries.
        for (rule, surface, hits) in [
            (0, Surface::Dns, 40),
            (1, Surface::Dns, 3),
            (2, Surface::Dns, 12),
            (0, Surface::Http, 2),
            (3, Surface::Dns, 25),
        ] {
            for _ in 0..hits {
                edition.counter.hit(cordon::policy::RuleId(rule), surface);
            }
        }
        let timeline = Timeline::open(&path.join("timeline.jsonl")).unwrap();
        timeline.in_force(&edition, edition.since).unwrap();
        let updates = Updates::default();
        let lists = [("orders", false), ("house", false)];
        updates.configure(
            lists
                .into_iter()
                .chain(wish.required.map(|list| (list, true))),
        );
        updates.succeeded("orders", Outcome::New, edition.since);
        let failure = Failure {
            name: "rollback",
            sentence: "The mirror offers an older version.".into(),
            is_security: true,
        };
        updates.failed("orders", failure, now());

        let users_file = wish.users.then(|| users(path));
        let settings = report::Settings {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            tls: wish.tls.then(|| certificate(path)),
            users_file,
            small_counts_below: 10,
            node: "test-node".into(),
        };
        let sources = Sources {
            in_force: Arc::new(InForce::new(edition)),
            ledger: Arc::new(ledger),
            timeline: Arc::new(timeline),
            updates: Arc::new(updates),
            self_tests: Arc::default(),
            metrics: Metrics::new(),
            clock: now,
        };
        let bound = report::bind(&settings.listen).unwrap();
        let stop = CancellationToken::new();
        report::serve(&bound, &settings, sources, stop.clone()).unwrap();
        Self {
            address: bound.addresses()[0],
            folder,
            stop,
            _bound: bound,
        }
    }

    fn get(&self, target: &str, heads: &[&str]) -> Answer {
        self.ask("GET", target, heads, "")
    }

    fn ask(&self, method: &str, target: &str, heads: &[&str], body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
            .write_all(request(method, target, heads, body).as_bytes())
            .unwrap();
        Answer::read(&mut stream)
    }

    fn log_in(&self, name: &str) -> String {
        let body = format!("name={name}&password={}", PASSWORD.replace(' ', "+"));
        let answer = self.ask("POST", "/login", &[FORM], &body);
        assert_eq!(answer.status, 303, "{}", answer.body);
        let cookie = answer.head("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
        format!("Cookie: {}", cookie.split(';').next().unwrap())
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

fn request(method: &str, target: &str, heads: &[&str], body: &str) -> String {
    let mut text = format!(
        "{method} {target} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    if !heads.iter().any(|head| head.starts_with("Host:")) {
        text += "Host: localhost\r\n";
    }
    for head in heads {
        text += head;
        text += "\r\n";
    }
    text + "\r\n" + body
}

/// An answer: status, heads and body.
struct Answer {
    status: u16,
    heads: String,
    body: String,
}

impl Answer {
    fn read(stream: &mut impl Read) -> Self {
        let mut octets = Vec::new();
        // TLS peers may close without a word; what was read counts.
        let _ = stream.read_to_end(&mut octets);
        let text = String::from_utf8(octets).unwrap();
        let (heads, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no head: {text:?}"));
        let status = heads.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            status,
            heads: heads.to_owned(),
            body: body.to_owned(),
        }
    }

    fn head(&self, name: &str) -> Option<String> {
        let found = self
            .heads
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
        found.map(|line| line.split_once(':').unwrap().1.trim().to_owned())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }
}

/// olga sees all; rita is a regulator; lena one of `house` alone.
fn users(folder: &Path) -> PathBuf {
    let file = folder.join("users.yaml");
    for (name, role, lists) in [
        ("olga", Role::Operator, None),
        ("rita", Role::Regulator, None),
        ("lena", Role::Regulator, Some(vec!["house".to_owned()])),
    ] {
        let user = User::new(name, role, lists, PASSWORD).unwrap();
        assert!(!user.add_to(&file, false).unwrap());
    }
    file
}

fn certificate(folder: &Path) -> ServerTls {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = ServerTls {
        certificate: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    };
    fs::write(&tls.certificate, made.cert.pem()).unwrap();
    fs::write(&tls.key, made.signing_key.serialize_pem()).unwrap();
    tls
}

fn basic(name: &str, password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("{name}:{password}");
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63] as char;
            encoded.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    format!("Authorization: Basic {encoded}")
}

/// Holds a text equal to its expectation file.
#[track_caller]
fn expect(file: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/expect/report")
        .join(file);
    if std::env::var_os("CORDON_EXPECT").is_some_and(|wish| wish == "write") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        found, expected,
        "{file} is not as promised; CORDON_EXPECT=write takes it as it is now"
    );
}

#[test]
fn the_formats_are_as_promised() {
    let plant = Plant::new(&Wish::default());
    for (target, file) in [
        ("/api/v1/summary", "summary"),
        ("/api/v1/lists", "lists"),
        ("/api/v1/timeline", "timeline"),
        (
            "/api/v1/hits?by=list&per=day&from=2026-11-24",
            "hits-by-list",
        ),
        ("/api/v1/hits?by=category&per=hour", "hits-by-category"),
        ("/api/v1/hits?by=authority&per=hour", "hits-by-authority"),
        ("/api/v1/hits?by=surface&per=hour", "hits-by-surface"),
        ("/api/v1/hits?by=entry&per=day", "hits-by-entry"),
    ] {
        let answer = plant.get(target, &[]);
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
        assert_eq!(answer.head("content-type").unwrap(), "application/json");
        let pretty = serde_json::to_string_pretty(&answer.json()).unwrap() + "\n";
        expect(&format!("{file}.json"), &pretty);
        let answer = plant.get(target, &["Accept: text/csv"]);
        assert!(
            answer.head("content-type").unwrap().starts_with("text/csv"),
            "{}",
            answer.heads
        );
        expect(&format!("{file}.csv"), &answer.body);
        let joint = if target.contains('?') { '&' } else { '?' };
        let by_parameter = plant.get(
            &format!("{target}{joint}format=csv"),
            &["Accept: application/json"],
        );
        assert_eq!(by_parameter.body, answer.body);
    }
}

#[test]
fn mistakes_get_a_sentence() {
    let plant = Plant::new(&Wish::default());
    for (target, sentence) in [
        ("/api/v1/hits?by=client", "by is list"),
        ("/api/v1/hits?by=entry&per=hour", "per=day"),
        ("/api/v1/hits?from=tomorrow", "from is a day"),
        ("/api/v1/hits?client=192.0.2.1", "known are from"),
        ("/api/v1/lists?by=list", "known are format"),
        ("/api/v1/summary?format=xml", "json or csv"),
    ] {
        let answer = plant.get(target, &[]);
        assert_eq!(answer.status, 400, "{target}");
        assert_eq!(
            answer.head("content-type").unwrap(),
            "application/problem+json"
        );
        let problem = answer.json();
        assert_eq!(problem["status"], 400);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(sentence), "{target}: {detail}");
        assert!(!answer.body.contains("192.0.2.1"), "nothing is reflected");
    }
    assert_eq!(plant.get("/api/v1/nothing", &[]).status, 404);
    assert_eq!(plant.get("/lists/nothing", &[]).status, 404);
    assert_eq!(plant.ask("POST", "/api/v1/hits", &[], "").status, 405);
    let page = plant.get("/nothing", &["Accept: text/html"]);
    assert_eq!(page.status, 404);
    assert!(page.head("content-type").unwrap().starts_with("text/html"));
    let huge = format!("X: {}", "x".repeat(20_000));
    assert_eq!(plant.get("/", &[&huge]).status, 431);
}

#[test]
fn the_description_names_every_address_of_the_api() {
    let plant = Plant::new(&Wish::default());
    let description = plant.get("/api/v1/openapi.json", &[]).json();
    for (path, methods) in description["paths"].as_object().unwrap() {
        let answer = plant.get(path, &[]);
        assert_eq!(answer.status, 200, "{path}");
        let schema = &methods["get"]["responses"]["200"]["$ref"];
        let name = schema.as_str().unwrap().rsplit('/').next().unwrap();
        let content = &description["components"]["responses"][name]["content"]["application/json"];
        let schema = content["schema"]["$ref"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        let properties = description["components"]["schemas"][schema]["properties"]
            .as_object()
            .unwrap();
        for field in answer.json().as_object().unwrap().keys() {
            assert!(
                properties.contains_key(field),
                "{path}: {field} is not described"
            );
        }
    }
}

#[test]
fn pages_need_nothing_from_elsewhere() {
    let plant = Plant::new(&Wish::default());
    for target in ["/", "/?refresh=60", "/lists/orders", "/timeline"] {
        let page = plant.get(target, &["Accept: text/html"]);
        assert_eq!(page.status, 200, "{target}");
        let policy = page.head("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self'"),
            "{policy}"
        );
        assert_eq!(page.head("cache-control").unwrap(), "no-store");
        assert_eq!(page.head("x-content-type-options").unwrap(), "nosniff");
        assert!(!page.body.contains("<script"), "{target}");
        assert!(
            !page.body.contains("one.test"),
            "{target}: entries go by their id"
        );
    }
    let page = plant.get("/", &[]);
    assert!(
        page.body
            .contains(r#"<data id="blocked-dns-24h" value="80">"#),
        "{}",
        page.body
    );
    assert!(
        page.body
            .contains(r#"<data id="blocked-http-24h" value="2">"#)
    );
    assert!(page.body.contains("Unsigned: nobody vouches for it"));
    assert!(page.body.contains("The mirror offers an older version."));
    assert!(
        plant
            .get("/lists/orders", &[])
            .body
            .contains("1 row cannot be enforced")
    );
    assert!(
        plant
            .get("/style.css", &[])
            .head("content-type")
            .unwrap()
            .starts_with("text/css")
    );
}

#[test]
fn machines_read_health_and_metrics() {
    let plant = Plant::new(&Wish {
        users: true,
        ..Wish::default()
    });
    assert_eq!(
        (
            plant.get("/livez", &[]).status,
            plant.get("/readyz", &[]).status
        ),
        (200, 200)
    );
    let text = plant.get("/metrics", &["Host: node.example"]).body;
    for line in [
        r#"cordon_hits_total{list="orders",surface="dns",action="block"} 55"#,
        r#"cordon_list_entries{list="orders",kind="domain"} 3"#,
        r#"cordon_updates_total{list="orders",outcome="rollback"} 1"#,
        r#"cordon_quarantined_rows{list="orders"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let plant = Plant::new(&Wish {
        required: Some("missing"),
        ..Wish::default()
    });
    assert_eq!(
        (
            plant.get("/livez", &[]).status,
            plant.get("/readyz", &[]).status
        ),
        (200, 503)
    );
    assert_eq!(plant.get("/api/v1/summary", &[]).json()["ready"], false);
}

#[test]
fn without_users_only_this_machine_is_answered() {
    let plant = Plant::new(&Wish::default());
    for host in ["localhost:8450", "127.0.0.1:8450", "[::1]:8450"] {
        assert_eq!(
            plant.get("/", &[&format!("Host: {host}")]).status,
            200,
            "{host}"
        );
    }
    for target in ["/", "/api/v1/summary", "/login"] {
        assert_eq!(
            plant.get(target, &["Host: rebound.example"]).status,
            421,
            "{target}"
        );
    }
}

/// The page or answer, and who may have it: nobody, olga, rita, lena.
const MATRIX: [(&str, [u16; 4]); 9] = [
    ("/", [303, 200, 200, 200]),
    ("/timeline", [303, 200, 200, 200]),
    ("/lists/orders", [303, 200, 200, 404]),
    ("/lists/house", [303, 200, 200, 200]),
    ("/api/v1/summary", [401, 200, 200, 200]),
    ("/api/v1/hits", [401, 200, 200, 200]),
    ("/api/v1/lists", [401, 200, 200, 200]),
    ("/api/v1/openapi.json", [401, 200, 200, 200]),
    ("/login", [200, 303, 303, 303]),
];

#[test]
fn everyone_sees_what_they_may() {
    let plant = Plant::new(&Wish {
        users: true,
        ..Wish::default()
    });
    let sessions: Vec<String> = ["olga", "rita", "lena"]
        .iter()
        .map(|name| plant.log_in(name))
        .collect();
    for (target, [nobody, allowed @ ..]) in MATRIX {
        assert_eq!(plant.get(target, &[]).status, nobody, "{target}");
        assert_eq!(
            plant.get(target, &["Cookie: cordon=0123"]).status,
            nobody,
            "{target}"
        );
        for (session, status) in sessions.iter().zip(allowed) {
            assert_eq!(
                plant.get(target, &[session]).status,
                status,
                "{target} {session}"
            );
        }
        if target.starts_with("/api/") {
            assert_eq!(
                plant.get(target, &[&basic("rita", PASSWORD)]).status,
                200,
                "{target}"
            );
            let answer = plant.get(target, &[&basic("rita", "wrong password")]);
            assert_eq!(answer.status, 401);
            assert!(
                answer
                    .head("www-authenticate")
                    .unwrap()
                    .starts_with("Basic")
            );
            assert_eq!(plant.get(target, &[&basic("nobody", PASSWORD)]).status, 401);
        }
    }
    // lena's figures are of her list alone.
    let lena = basic("lena", PASSWORD);
    for target in [
        "/api/v1/summary",
        "/api/v1/lists",
        "/api/v1/timeline",
        "/api/v1/hits?list=orders",
        "/api/v1/hits?by=entry",
    ] {
        assert!(
            !plant.get(target, &[&lena]).body.contains("orders"),
            "{target}"
        );
    }
    assert!(!plant.get("/", &[&sessions[2]]).body.contains("orders"));
    let by_surface = plant.get("/api/v1/hits?by=surface", &[&lena]).json();
    assert_eq!(by_surface["rows"].as_array().unwrap().len(), 1);
    assert_eq!(by_surface["rows"][0]["hits"], 25);
}

#[test]
fn small_counts_are_hidden_from_regulators_and_in_every_export() {
    let plant = Plant::new(&Wish {
        users: true,
        ..Wish::default()
    });
    for name in ["olga", "rita"] {
        let rows = plant
            .get("/api/v1/hits?by=entry", &[&basic(name, PASSWORD)])
            .json();
        let rows = rows["rows"].as_array().unwrap().clone();
        let hits = |entry: &str, surface: &str| {
            let row = rows
                .iter()
                .find(|row| row["entry"] == entry && row["surface"] == surface)
                .unwrap();
            row["hits"].clone()
        };
        // 3 is small, and would follow from the total without 12 being hidden beside it.
        assert_eq!(
            (hits("O-1", "dns"), hits("O-2", "dns"), hits("O-3", "dns")),
            (40.into(), Value::Null, Value::Null)
        );
        // The only entry of its group is not even named.
        assert!(rows.iter().any(|row| row["surface"] == "http"
            && row["suppressed"] == "withheld"
            && row.get("entry").is_none()));
    }
    let olga = plant.get("/", &[&plant.log_in("olga")]).body;
    let rita = plant.get("/", &[&plant.log_in("rita")]).body;
    assert!(
        olga.contains(r#"<td class="n">3</td>"#) && olga.contains(r#"<td class="n">12</td>"#),
        "{olga}"
    );
    assert!(
        rita.contains(r#"<td class="n">suppressed</td>"#)
            && rita.contains(r#"<td class="n">40</td>"#),
        "{rita}"
    );
    assert!(!rita.contains(r#"<td class="n">12</td></tr>"#), "{rita}");
}

#[test]
fn passwords_can_be_tried_only_so_often() {
    let plant = Plant::new(&Wish {
        users: true,
        ..Wish::default()
    });
    let session = plant.log_in("rita");
    let wrong = "name=rita&password=not+the+password";
    let mut statuses = Vec::new();
    for _ in 0..11 {
        statuses.push(plant.ask("POST", "/login", &[FORM], wrong).status);
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10], 429);
    assert_eq!(
        plant
            .get("/api/v1/lists", &[&basic("rita", "something else")])
            .status,
        429
    );
    assert_eq!(
        plant.get("/", &[&session]).status,
        200,
        "who is in stays in"
    );
    assert_eq!(
        plant
            .get("/api/v1/lists", &[&basic("olga", PASSWORD)])
            .status,
        200
    );
}

#[test]
fn forms_come_from_our_own_pages() {
    let plant = Plant::new(&Wish {
        users: true,
        ..Wish::default()
    });
    let body = format!("name=olga&password={}", PASSWORD.replace(' ', "+"));
    for head in [
        "Origin: https://other.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
    ] {
        assert_eq!(
            plant.ask("POST", "/login", &[FORM, head], &body).status,
            403,
            "{head}"
        );
    }
    let own = plant.ask("POST", "/login", &[FORM, "Origin: http://localhost"], &body);
    assert_eq!(own.status, 303);
    let session = plant.log_in("olga");
    let other = plant.ask(
        "POST",
        "/logout",
        &[&session, "Origin: https://other.example"],
        "",
    );
    assert_eq!(
        (other.status, plant.get("/", &[&session]).status),
        (403, 200)
    );
    let out = plant.ask("POST", "/logout", &[&session], "");
    assert!(out.head("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(plant.get("/", &[&session]).status, 303);
    let long = format!("name=olga&password={}", "x".repeat(100_000));
    assert_eq!(plant.ask("POST", "/login", &[FORM], &long).status, 400);
}

#[test]
fn the_users_file_is_read_live() {
    let plant = Plant::new(&Wish {
        users: true,
        ..Wish::default()
    });
    let session = plant.log_in("rita");
    let file = plant.folder.path().join("users.yaml");
    let anew = User::new("rita", Role::Regulator, None, "another long password").unwrap();
    assert!(anew.add_to(&file, true).unwrap());
    assert_eq!(
        plant.get("/", &[&session]).status,
        303,
        "a new password ends the session"
    );
    assert_eq!(
        plant
            .get("/api/v1/lists", &[&basic("rita", PASSWORD)])
            .status,
        401
    );
    assert_eq!(
        plant
            .get("/api/v1/lists", &[&basic("rita", "another long password")])
            .status,
        200
    );
}

#[test]
fn tls_is_spoken_where_there_is_a_certificate() {
    let plant = Plant::new(&Wish {
        users: true,
        tls: true,
        ..Wish::default()
    });
    let mut roots = rustls::RootCertStore::empty();
    let pem = fs::read(plant.folder.path().join("cert.pem")).unwrap();
    for certificate in rustls::pki_types::pem::PemObject::pem_slice_iter(&pem) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut client =
        rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut socket = TcpStream::connect(plant.address).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut stream = rustls::Stream::new(&mut client, &mut socket);
    let body = format!("name=olga&password={}", PASSWORD.replace(' ', "+"));
    stream
        .write_all(request("POST", "/login", &[FORM], &body).as_bytes())
        .unwrap();
    let answer = Answer::read(&mut stream);
    assert_eq!(answer.status, 303);
    let cookie = answer.head("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-cordon=") && cookie.ends_with("; Secure"),
        "{cookie}"
    );

    let mut plain = TcpStream::connect(plant.address).unwrap();
    plain
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    plain
        .write_all(request("GET", "/", &[], "").as_bytes())
        .unwrap();
    let mut octets = Vec::new();
    let _ = plain.read_to_end(&mut octets);
    assert!(
        !octets.starts_with(b"HTTP/"),
        "plain HTTP gets no answer on a TLS socket"
    );
}

#[test]
fn a_slow_client_delays_nobody_and_is_let_go() {
    let plant = Plant::new(&Wish::default());
    let mut slow = TcpStream::connect(plant.address).unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: local").unwrap();
    assert_eq!(plant.get("/livez", &[]).status, 200);
    slow.set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let mut octets = Vec::new();
    let closed = slow.read_to_end(&mut octets);
    assert!(closed.is_ok(), "{closed:?}");
    assert!(
        octets.is_empty() || octets.starts_with(b"HTTP/1.1 408"),
        "{octets:?}"
    );
}

#[test]
fn wrong_settings_are_said_before_anything_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = report::bind(&[address]).unwrap_err().to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("report.listen"),
        "{error}"
    );
    let missing = folder.path().join("users.yaml");
    let error = report::Users::open(&missing).unwrap_err().to_string();
    assert!(
        error.contains("users.yaml") && error.contains("cordon user add"),
        "{error}"
    );
}

#[test]
fn users_are_added_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let users_file = folder.path().join("users.yaml");
    let configuration = folder.path().join("cordon.yaml");
    let text = |report: &str| {
        let state = folder.path().join("state");
        format!("version: 1\nstate: {}\n{report}", state.display())
    };
    let add = |words: &[&str], password: &str| {
        let mut child = crate::harness::cordon()
            .args(["user", "add"])
            .args(words)
            .arg("--config")
            .arg(&configuration)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let line = format!("{password}\n");
        // A program that refuses does not wait for the password.
        let _ = child.stdin.take().unwrap().write_all(line.as_bytes());
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(said).unwrap(),
        )
    };
    fs::write(&configuration, text("")).unwrap();
    let (code, said) = add(&["rita", "--role", "regulator"], PASSWORD);
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("report.users_file"), "{said}");

    let report = format!(
        "report:\n  listen: [\"127.0.0.1:8450\"]\n  users_file: {}\n",
        users_file.display()
    );
    fs::write(&configuration, text(&report)).unwrap();
    let (code, said) = add(&["rita", "--role", "regulator"], PASSWORD);
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains(PASSWORD));
    let found = report::Users::open(&users_file)
        .unwrap()
        .find("rita")
        .unwrap();
    assert_eq!((found.role, found.lists), (Role::Regulator, None));

    for (words, password, code, sentence) in [
        (
            &["rita", "--role", "operator"][..],
            PASSWORD,
            1,
            "--replace",
        ),
        (&["Rita", "--role", "operator"], PASSWORD, 64, "lower-case"),
        (&["otto", "--role", "operator"], "short", 64, "at least 12"),
        (
            &["otto", "--role", "king"],
            PASSWORD,
            64,
            "operator, regulator",
        ),
        (
            &["otto", "--role", "operator", "--lists", "none"],
            PASSWORD,
            64,
            "no list none",
        ),
    ] {
        let (found, said) = add(words, password);
        assert_eq!(found, code, "{words:?}: {said}");
        assert!(said.contains(sentence), "{words:?}: {said}");
    }
    let (code, said) = add(&["rita", "--role", "operator", "--replace"], PASSWORD);
    assert_eq!((code, said.contains("replaced")), (0, true), "{said}");
}
