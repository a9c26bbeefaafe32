//! The demo's plant: a folder, an authority, an upstream, an origin, and the real daemon.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{authority, origin, upstream};
use crate::control::ExitError;
use crate::control::clock;
use crate::control::daemon;
use crate::control::terminal::say;
use crate::publish;

/// Runs the main job on loopback until Ctrl-C: no root, no network, throw-away keys.
///
/// # Errors
/// 71 where one of the demo's ports is taken, 1 where a part failed.
pub(crate) fn run(state: Option<PathBuf>) -> Result<(), ExitError> {
    // The folder is removed when this guard goes, unless it is to be kept.
    let (folder, _guard) = match state {
        Some(folder) => (folder, None),
        None => {
            let guard = tempfile::Builder::new()
                .prefix("cordon-demo-")
                .tempdir()
                .map_err(|error| {
                    ExitError::system(format!(
                        "no temporary folder can be made: {error}; name one with --state"
                    ))
                })?;
            (guard.path().to_owned(), Some(guard))
        }
    };
    let cannot = |error: std::io::Error| {
        ExitError::system(format!(
            "the demo's folder {} cannot be written: {error}",
            folder.display()
        ))
    };
    fs::create_dir_all(&folder).map_err(cannot)?;
    let published = authority::publish(&folder)?;
    let world = World::start(&folder)?;
    let configuration = folder.join("cordon.yaml");
    fs::write(folder.join("house-rules.rpz"), authority::HOUSE_RULES).map_err(cannot)?;
    fs::write(&configuration, config(&folder, &world)).map_err(cannot)?;
    for list in &published {
        say(format_args!(
            "signed: list {} serial {}, {} entries",
            list.list, list.seq, list.entries
        ));
    }
    let result = daemon::run(&configuration, |daemon| {
        // The first round is under way: what is printed can be tried at once.
        let end = clock::instant() + FIRST_ROUND_MAX;
        while !daemon.is_ready() && clock::instant() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        say(what_to_try(&configuration));
    });
    world.stop();
    result
}

/// What stands around the daemon: the repository's web server, an upstream resolver, a web
/// origin.
struct World {
    runtime: tokio::runtime::Runtime,
    token: CancellationToken,
    upstream: SocketAddr,
}

impl World {
    fn start(folder: &Path) -> Result<Self, ExitError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| ExitError::system(format!("the system gives no threads: {error}")))?;
        let token = CancellationToken::new();
        let tracker = TaskTracker::new();
        let _in_runtime = runtime.enter();

        let listener = listen(REPOSITORY_PORT)?;
        let (served, files, stop) = (tracker.clone(), folder.join("repository"), token.clone());
        tracker.spawn(async move {
            if let Err(error) = publish::serve(listener, files, &served, stop).await {
                tracing::error!(%error, "the demo's repository is no longer served");
            }
        });
        tracker.spawn(origin::serve(listen(ORIGIN_PORT)?, tracker.clone()));
        tracker.spawn(keep_fresh(folder.to_owned()));

        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| {
            ExitError::system(format!("the demo's upstream cannot be bound: {error}"))
        })?;
        let upstream = socket.local_addr().map_err(|error| {
            ExitError::system(format!("the demo's upstream has no address: {error}"))
        })?;
        std::thread::Builder::new()
            .name("upstream".to_owned())
            .spawn(move || upstream::serve(&socket))
            .map_err(|error| ExitError::system(format!("the system gives no threads: {error}")))?;
        Ok(Self {
            runtime,
            token,
            upstream,
        })
    }

    fn stop(self) {
        self.token.cancel();
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

async fn keep_fresh(folder: PathBuf) {
    loop {
        tokio::time::sleep(REFRESH_INTERVAL).await;
        let folder = folder.clone();
        let refreshed = tokio::task::spawn_blocking(move || authority::refresh(&folder)).await;
        if let Ok(Err(error)) = refreshed {
            tracing::warn!(%error, "the demo's lists cannot be signed anew");
        }
    }
}

fn listen(port: u16) -> Result<tokio::net::TcpListener, ExitError> {
    let bind = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    };
    bind().map_err(|error| {
        ExitError::system(format!("127.0.0.1:{port} cannot be had: {error}; is another demo running? Stop what uses the port and try again"))
    })
}

/// The configuration that the daemon runs with: an ordinary one.
fn config(folder: &Path, world: &World) -> String {
    let folder = folder.display();
    let upstream = world.upstream;
    format!(
        r#"# The demo's configuration: change it while the demo runs, and see it taken.
version: 1
node: demo
state: {folder}/state
log: {{ level: warn }}

repositories:
  - name: authority
    mirrors: ["http://127.0.0.1:{REPOSITORY_PORT}/"]
    trust: {folder}/repository/metadata/1.root.json
    poll: 5s

lists:
  - name: consumer
    from: {{ repository: authority, list: consumer }}
    ede: censored
    required: true
  - name: pages
    from: {{ repository: authority, list: pages }}
    ede: censored
    required: true
  - name: house-rules
    from: {{ file: {folder}/house-rules.rpz, format: rpz }}
    unsigned: true
protect:
  names: [bank.example]

dns:
  listen: ["127.0.0.1:5300"]
  resolver: {{ forward: ["{upstream}"] }}
  stop_page: {{ ipv4: 127.0.0.1 }}

proxy:
  http: {{ listen: ["127.0.0.1:8451"] }}
  forward: {{ listen: ["127.0.0.1:8454"] }}
  origins: {{ deny: [], ports: [{ORIGIN_PORT}] }}    # a real node keeps private and loopback addresses denied

stop_page:
  operator: {{ name: "Example Net", contact: "mailto:abuse@isp.example", url: "https://isp.example/blocking" }}

report:
  listen: ["127.0.0.1:8450"]
"#
    )
}

fn what_to_try(configuration: &Path) -> String {
    let file = configuration.display();
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "cordon".to_owned());
    format!(
        r"
cordon runs, on loopback alone. Try, in another terminal:

  a name on a list       dig @127.0.0.1 -p 5300 www.blocked.example
  any other name         dig @127.0.0.1 -p 5300 news.example
  the stop page          curl -i -H 'Host: blocked.example' http://127.0.0.1:8451/
  a page on a list       curl -i -x http://127.0.0.1:8454 http://shared.example:{ORIGIN_PORT}/members/x/page.html
  another page there     curl -i -x http://127.0.0.1:8454 http://shared.example:{ORIGIN_PORT}/
  why                    {program} explain www.blocked.example --config {file}
  how it is              {program} status --config {file}

  the regulator's page   http://127.0.0.1:8450/

Ctrl-C ends it.
"
    )
}

/// Where the demo serves its repository.
const REPOSITORY_PORT: u16 = 8452;

/// Where the demo's web origin answers.
const ORIGIN_PORT: u16 = 8455;

/// How often the demo's authority looks whether a role is past half its life.
const REFRESH_INTERVAL: Duration = Duration::from_secs(300);

/// How long is waited for the first round before it is said what to try.
const FIRST_ROUND_MAX: Duration = Duration::from_secs(10);
