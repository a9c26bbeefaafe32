//! A node: the real program with a configuration and a state folder of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::client::{Connection, until};
use super::{cordon, must};

pub(crate) struct Node {
    folder: tempfile::TempDir,
    child: Option<Child>,
    pub(crate) dns: SocketAddr,
    pub(crate) stop_page: SocketAddr,
    pub(crate) forward: SocketAddr,
    pub(crate) report: SocketAddr,
}

/// Ports that nobody has at this moment, over TCP; the test binds them a moment later.
fn free_ports<const N: usize>() -> [u16; N] {
    // Free over UDP, too: another test's upstream may have the port there.
    let sockets: [(TcpListener, UdpSocket); N] = std::array::from_fn(|_| {
        let mut listeners = (0..100).map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let free = listeners.find_map(|listener| {
            let datagrams = UdpSocket::bind(listener.local_addr().unwrap()).ok()?;
            Some((listener, datagrams))
        });
        free.unwrap()
    });
    sockets.map(|(listener, _)| listener.local_addr().unwrap().port())
}

impl Node {
    /// Writes a configuration and starts nothing. `lists` is the YAML from `repositories:`
    /// to `protect:`; the upstream answers for every name.
    pub(crate) fn new(lists: &str, upstream: SocketAddr) -> Self {
        let [dns, stop_page, forward, report] =
            free_ports().map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let folder = tempfile::tempdir().unwrap();
        let node = Self {
            folder,
            child: None,
            dns,
            stop_page,
            forward,
            report,
        };
        node.configure(lists, upstream);
        node
    }

    pub(crate) fn configure(&self, lists: &str, upstream: SocketAddr) {
        let Self {
            dns,
            stop_page,
            forward,
            report,
            ..
        } = self;
        let state = self.state();
        let text = format!(
            r#"version: 1
node: test-node
state: {}
{lists}
dns:
  listen: ["{dns}"]
  resolver: {{ forward: ["{upstream}"] }}
  stop_page: {{ ipv4: 192.0.2.80 }}
proxy:
  http: {{ listen: ["{stop_page}"] }}
  forward: {{ listen: ["{forward}"] }}
  origins: {{ deny: [], ports: [80, 443, 8000, 8080, 8443] }}
stop_page:
  operator: {{ name: "Example Net", contact: "mailto:abuse@isp.example", url: "https://isp.example/blocking" }}
report:
  listen: ["{report}"]
"#,
            state.display()
        );
        self.write_configuration(&text);
    }

    pub(crate) fn write_configuration(&self, text: &str) {
        let new = self.folder.path().join("cordon.yaml.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.configuration()).unwrap();
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.path().join("cordon.yaml")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The log of all starts so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Starts the program and waits until every required list is in force.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// The same with these environment variables.
    #[track_caller]
    pub(crate) fn start_with(&mut self, environment: &[(&str, &str)]) {
        self.spawn_with(environment);
        let child = self.child.as_mut().unwrap();
        let report = self.report;
        let log = self.folder.path().join("log");
        until("the node is ready", Duration::from_secs(60), || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!(
                    "the node ended with {status}\n{}",
                    fs::read_to_string(&log).unwrap_or_default()
                );
            }
            std::net::TcpStream::connect(report).is_ok()
                && Connection::new(report).get("/readyz", "localhost").status == 200
        });
    }

    /// Spawns it and waits for nothing.
    pub(crate) fn spawn(&mut self) {
        self.spawn_with(&[]);
    }

    /// Spawns it with these environment variables.
    fn spawn_with(&mut self, environment: &[(&str, &str)]) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let child = cordon()
            .args(["run", "--config"])
            .arg(self.configuration())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .envs(environment.iter().copied())
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        must(Command::new("kill").args([signal, &self.pid().to_string()]));
    }

    /// Ends it with SIGTERM; it must drain and exit with 0.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.signal("-TERM");
        let status = self.child.take().unwrap().wait().unwrap();
        assert!(
            status.success(),
            "the node ended with {status}\n{}",
            self.log()
        );
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Runs a command of the admin against it; it must succeed.
    #[track_caller]
    pub(crate) fn command(&self, words: &[&str]) -> String {
        must(
            cordon()
                .args(words)
                .arg("--config")
                .arg(self.configuration()),
        )
    }

    /// Runs a command of the admin against it, which must be refused with exit code 1; what
    /// it said.
    #[track_caller]
    pub(crate) fn refused(&self, words: &[&str]) -> String {
        let output = super::run(
            cordon()
                .args(words)
                .arg("--config")
                .arg(self.configuration()),
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        said
    }

    /// A page or figure of the report.
    #[track_caller]
    pub(crate) fn report(&self, path: &str) -> super::client::Response {
        Connection::new(self.report).get(path, "localhost")
    }

    /// CPU time of the process so far, in seconds, and its resident memory in MiB.
    pub(crate) fn cost(&self) -> (f64, u64) {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let kib: u64 = resident.split_whitespace().next().unwrap().parse().unwrap();
        (ticks as f64 / 100.0, kib / 1024)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
