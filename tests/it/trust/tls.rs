//! Mirrors over https: an authority of one's own, and a client certificate.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use cordon::control::rounds::Puller;
use cordon::source::{self, ClientTls, Mirror};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::forge::{Authority, hour, subscriptions};

#[test]
fn https_needs_the_right_authority_and_shows_the_client_certificate() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    let folder = tempfile::tempdir().unwrap();
    let pem = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let ca = issuer();
    let (client, client_key) = leaf(&ca, "client");
    let certificate = pem("client.pem", &client.pem());
    let key = pem("client.key", &client_key.serialize_pem());
    let own = pem("ca.pem", &ca.pem());
    let other = pem("other.pem", &issuer().pem());
    let mirror = serve(&ca, &authority.repo());
    let full = ClientTls {
        ca: Some(own.clone()),
        client_certificate: Some(certificate.clone()),
        client_key: Some(key.clone()),
    };
    let check = |tls: &ClientTls, outcomes: &[&str]| {
        let state = tempfile::tempdir().unwrap();
        let settings = source::Settings {
            repository: "r".to_owned(),
            mirrors: vec![mirror.clone()],
            tls: Some(tls.clone()),
            timeout: std::time::Duration::from_secs(5),
        };
        let found = match Puller::open(state.path(), &settings, &authority.trust()) {
            Err(error) => error.outcome(),
            Ok(mut puller) => {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime
                    .block_on(puller.round(&subscriptions(&["a"]), hour(0)))
                    .outcome_of("a")
            }
        };
        assert!(outcomes.contains(&found), "{found}: {tls:?}");
    };
    check(&full, &["new"]);
    check(
        &ClientTls {
            ca: Some(other),
            ..full.clone()
        },
        &["unreachable"],
    );
    check(
        &ClientTls {
            client_certificate: None,
            client_key: None,
            ..full.clone()
        },
        &["unreachable"],
    );
    check(
        &ClientTls {
            client_key: None,
            ..full.clone()
        },
        &["tls"],
    );
    check(
        &ClientTls {
            ca: Some(key),
            ..full.clone()
        },
        &["tls"],
    );
    // The system's authorities do not know it; a system without any cannot speak https.
    check(&ClientTls { ca: None, ..full }, &["unreachable", "tls"]);
}

fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(issuer: &CertifiedIssuer<'static, KeyPair>, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, issuer).unwrap(), key)
}

/// Serves a folder over https to clients with a certificate of the issuer.
fn serve(ca: &CertifiedIssuer<'static, KeyPair>, folder: &Path) -> Mirror {
    let (certificate, key) = leaf(ca, "localhost");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = folder.to_owned();
    thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let (config, folder) = (config.clone(), folder.clone());
            thread::spawn(move || {
                let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
                let mut head = Vec::new();
                let mut octet = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut octet).is_ok() {
                    head.extend(octet);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head
                    .split(' ')
                    .nth(1)
                    .unwrap_or("/")
                    .trim_start_matches('/')
                    .to_owned();
                let (status, body) = match fs::read(folder.join(path)) {
                    Ok(body) => ("200 OK", body),
                    Err(_) => ("404 Not Found", Vec::new()),
                };
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                );
                let _ = stream.write_all(&body);
                stream.conn.send_close_notify();
                let _ = stream.flush();
            });
        }
    });
    Mirror::Http(format!("https://localhost:{port}/"))
}
