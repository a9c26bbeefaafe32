//! [`Bind`]: BIND from Debian, with a view for each policy.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::policy::{Policy, network};
use crate::harness::client::until;

pub(super) struct Bind {
    pub(super) address: SocketAddr,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Bind {
    /// Starts it and waits until all policy zones are in force. Each policy is for the clients
    /// of the world of its number.
    pub(super) fn start<'a>(
        policies: impl IntoIterator<Item = (usize, &'a Policy)>,
        upstream: SocketAddr,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        // A copy: where programs are confined by their path, this one may read the folder.
        let program = at.join("named");
        fs::copy("/usr/sbin/named", &program)
            .expect("Debian package bind9; `tests/run` installs it");
        let address = free_address();
        let mut text = format!(
            r#"controls {{ }};
options {{
 directory "{}"; pid-file none; session-keyfile "{0}/session"; lock-file none;
 listen-on port {} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
 recursion yes; allow-query {{ any; }}; allow-recursion {{ any; }};
 forward only; forwarders {{ 127.0.0.1 port {}; }};
 dnssec-validation no; minimal-responses yes; minimal-any no; empty-zones-enable no;
 max-cache-size 2m; querylog no; notify no; prefetch 0; qname-minimization off;
 clients-per-query 0; recursive-clients 20000; tcp-clients 4000; tcp-listen-queue 1000;
}};
"#,
            at.display(),
            address.port(),
            upstream.port()
        );
        let mut zones = 0;
        for (number, policy) in policies {
            zones += policy.zones.len();
            text += &view(number, policy);
            for (place, zone) in policy.zones.iter().enumerate() {
                fs::write(at.join(format!("z{place}.v{number}")), zone.text()).unwrap();
            }
        }
        let configuration = at.join("named.conf");
        fs::write(&configuration, text).unwrap();
        let log = at.join("log");
        let child = Command::new(program)
            .args(["-g", "-n", "2", "-c"])
            .arg(configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut bind = Self {
            address,
            child,
            _folder: folder,
        };
        until("BIND has its policy zones", Duration::from_secs(60), || {
            let log = fs::read_to_string(&log).unwrap();
            if let Some(status) = bind.child.try_wait().unwrap() {
                panic!("named ended with {status}:\n{log}");
            }
            let loaded = log.matches("reload done: success").count();
            log.contains("all zones loaded") && loaded == zones
        });
        let log = fs::read_to_string(&log).unwrap();
        let bad: Vec<&str> = log
            .lines()
            .filter(|line| {
                ["invalid rpz", "not loaded", "dns_master_load"]
                    .iter()
                    .any(|word| line.contains(word))
            })
            .collect();
        assert!(bad.is_empty(), "{}", bad.join("\n"));
        bind
    }
}

impl Drop for Bind {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn view(number: usize, policy: &Policy) -> String {
    let [a, b, c, _] = network(number);
    let word = |is_so| if is_so { "yes" } else { "no" };
    let (mut order, mut zones) = (String::new(), String::new());
    for (place, zone) in policy.zones.iter().enumerate() {
        order += &format!(
            "  zone \"z{place}.v{number}\" policy {} recursive-only {};\n",
            zone.policy,
            word(zone.recursive_only)
        );
        zones += &format!(
            " zone \"z{place}.v{number}\" {{ type primary; file \"z{place}.v{number}\"; check-names ignore; }};\n"
        );
    }
    format!(
        "view \"v{number}\" {{\n match-clients {{ {a}.{b}.{c}.0/24; }};\n response-policy {{\n{order} }} break-dnssec {} qname-wait-recurse {} min-update-interval 0 nsip-enable no nsdname-enable no;\n{zones}}};\n",
        word(policy.break_dnssec),
        word(policy.qname_wait_recurse),
    )
}

/// A port that nobody has at this moment, over UDP and TCP.
pub(super) fn free_address() -> SocketAddr {
    let listeners = (0..100).map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let mut free = listeners.filter_map(|listener| {
        let address = listener.local_addr().unwrap();
        UdpSocket::bind(address).ok().map(|_| address)
    });
    free.next().unwrap()
}
