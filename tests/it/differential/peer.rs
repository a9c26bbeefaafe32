//! [`Peer`]: Unbound, PowerDNS Recursor or Knot Resolver from Debian, with policy zones.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::asking::ask;
use super::bind::free_address;
use super::policy::{Policy, network};
use super::question::{Question, Said};
use crate::harness::client::until;

/// Which one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Unbound,
    PowerDns,
    Knot,
}

pub(super) struct Peer {
    pub(super) kind: Kind,
    pub(super) address: SocketAddr,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Peer {
    /// Starts it and waits until it answers `first` at all.
    pub(super) fn start(
        kind: Kind,
        policy: &Policy,
        upstream: SocketAddr,
        first: &Question,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        for (place, zone) in policy.zones.iter().enumerate() {
            // Not every one of them knows the apex of a zone that does not say it.
            let text = format!("$ORIGIN z{place}.\n{}", zone.text());
            fs::write(at.join(format!("z{place}")), text).unwrap();
        }
        let address = free_address();
        let log = fs::File::create(at.join("log")).unwrap();
        let child = command(kind, at, policy.zones.len(), address, upstream)
            .current_dir(at)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut peer = Self {
            kind,
            address,
            child,
            _folder: folder,
        };
        let log = peer._folder.path().join("log");
        until("the peer answers", Duration::from_secs(30), || {
            if let Some(status) = peer.child.try_wait().unwrap() {
                let log = fs::read_to_string(&log).unwrap();
                panic!("{kind:?} ended with {status}:\n{log}");
            }
            let patience = Duration::from_millis(300);
            ask(address, network(0), &[first], patience) != [Said::Nothing]
        });
        peer
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How it is started, its configuration written.
fn command(
    kind: Kind,
    at: &Path,
    zones: usize,
    address: SocketAddr,
    upstream: SocketAddr,
) -> Command {
    let places = |each: &dyn Fn(usize) -> String| (0..zones).map(each).collect::<String>();
    let (folder, port, upstream_port) = (at.display(), address.port(), upstream.port());
    // A copy: where programs are confined by their path, this one may read the folder.
    let program = |name: &str| {
        let copy = at.join("program");
        fs::copy(format!("/usr/sbin/{name}"), &copy).expect("`tests/run` installs it");
        Command::new(copy)
    };
    match kind {
        Kind::Unbound => {
            let policy = places(&|place| {
                format!("rpz:\n name: z{place}\n zonefile: \"{folder}/z{place}\"\n")
            });
            let text = format!(
                r#"server:
 num-threads: 1
 interface: 127.0.0.1@{port}
 do-ip6: no
 access-control: 127.0.0.0/8 allow
 module-config: "respip iterator"
 do-not-query-localhost: no
 username: ""
 chroot: ""
 directory: "{folder}"
 pidfile: ""
 use-syslog: no
 minimal-responses: yes
{policy}forward-zone:
 name: "."
 forward-addr: 127.0.0.1@{upstream_port}
"#
            );
            fs::write(at.join("conf"), text).unwrap();
            let mut command = program("unbound");
            command.args(["-d", "-c", "conf"]);
            command
        }
        Kind::PowerDns => {
            let policy = places(&|place| {
                format!("rpzFile(\"{folder}/z{place}\", {{policyName=\"z{place}\"}})\n")
            });
            fs::write(at.join("policy.lua"), policy).unwrap();
            let text = format!(
                "local-address=127.0.0.1\nlocal-port={port}\nthreads=1\ndnssec=off\nlua-config-file={folder}/policy.lua\nsocket-dir={folder}\nforward-zones-recurse=.=127.0.0.1:{upstream_port}\ndont-query=\nsecurity-poll-suffix=\nallow-from=127.0.0.0/8\nquery-local-address=127.0.0.1\ndaemon=no\ndisable-syslog=yes\netc-hosts-file=/dev/null\nwrite-pid=no\n"
            );
            fs::write(at.join("recursor.conf"), text).unwrap();
            let mut command = program("pdns_recursor");
            command.arg(format!("--config-dir={folder}"));
            command
        }
        Kind::Knot => {
            // What passes ends its policy, and is to be asked of the upstream all the same.
            let policy = places(&|place| {
                format!("policy.add(policy.rpz(policy.DENY, '{folder}/z{place}'))\n")
            });
            let text = format!(
                "net.listen('127.0.0.1', {port}, {{kind='dns'}})\nnet.ipv6=false\ntrust_anchors.remove('.')\nmodules.unload('priming') modules.unload('detect_time_skew') modules.unload('detect_time_jump') modules.unload('ta_update') modules.unload('ta_signal_query')\ncache.open(10*MB, 'lmdb://{folder}/cache')\npolicy.PASS = policy.STUB('127.0.0.1@{upstream_port}')\n{policy}policy.add(policy.all(policy.STUB('127.0.0.1@{upstream_port}')))\n"
            );
            fs::write(at.join("conf"), text).unwrap();
            let mut command = program("kresd");
            command.args(["-n", "-c", "conf"]).arg(at);
            command
        }
    }
}
