//! An authority: a repository made with the program's own commands, served over HTTP on
//! loopback.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use super::{cordon, must};

pub(crate) struct Authority {
    folder: tempfile::TempDir,
    address: SocketAddr,
}

const LEGAL: &str = r#"issuer: { authority_id: xx-test, name: "Example Authority", url: "https://authority.example/" }
category: phishing
legal: { basis: "Example Act 2012, article 25", authority: "Example Police", order_ref: "EX-2026-1" }
redress: { url: "https://authority.example/appeal", email: "appeal@authority.example", deadline_days: 14 }
expires_at: never
"#;

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("legal.yaml"), LEGAL).unwrap();
        must(
            cordon()
                .args(["repo", "init"])
                .arg(folder.path().join("repo"))
                .arg("--keys")
                .arg(folder.path().join("keys")),
        );
        // A node's own copy: the repository may be gone, the pinned root is not.
        fs::copy(
            folder.path().join("repo/metadata/1.root.json"),
            folder.path().join("pinned.root.json"),
        )
        .unwrap();
        let address = serve(folder.path().join("repo"));
        Self { folder, address }
    }

    /// A command of the authority, with its repository and keys.
    pub(crate) fn repo(&self, command: &str) -> std::process::Command {
        let mut cordon = cordon();
        cordon
            .args(["repo", command])
            .arg(self.folder.path().join("repo"));
        cordon.arg("--keys").arg(self.folder.path().join("keys"));
        cordon
    }

    pub(crate) fn delegate(&self, list: &str) {
        must(self.repo("delegate").args([
            "--list",
            list,
            "--title",
            "Example list",
            "--category",
            "phishing",
        ]));
    }

    /// Publishes a file; returns what the command printed.
    pub(crate) fn publish(
        &self,
        list: &str,
        file: &Path,
        format: &str,
        scope: Option<&str>,
    ) -> String {
        let mut command = self.repo("publish");
        command
            .args(["--list", list, "--format", format])
            .arg("--from")
            .arg(file);
        command
            .arg("--legal")
            .arg(self.folder.path().join("legal.yaml"));
        if let Some(scope) = scope {
            command.args(["--match", scope]);
        }
        must(&mut command)
    }

    /// Publishes these rows.
    pub(crate) fn publish_rows(
        &self,
        list: &str,
        rows: &[String],
        format: &str,
        scope: Option<&str>,
    ) -> String {
        let file = self.folder.path().join(format!("{list}.rows"));
        fs::write(&file, rows.join("\n")).unwrap();
        self.publish(list, &file, format, scope)
    }

    /// Publishes these names with all below them, whatever the authority's own guards say:
    /// what a node makes of it is then the node's.
    pub(crate) fn publish_unguarded(&self, list: &str, names: &[String]) -> String {
        let file = self.folder.path().join(format!("{list}.rows"));
        fs::write(&file, names.join("\n")).unwrap();
        let mut command = self.repo("publish");
        command
            .args(["--list", list, "--format", "domains", "--match", "subtree"])
            .args(["--accept-guard", "a test of nodes", "--from"])
            .arg(file)
            .arg("--legal")
            .arg(self.folder.path().join("legal.yaml"));
        must(&mut command)
    }

    /// What a node pins.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("pinned.root.json")
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    pub(crate) fn mirror(&self) -> String {
        format!("http://{}/", self.address)
    }
}

/// A static web server of the plainest kind: no conditional requests, so that these tests
/// fetch everything.
fn serve(root: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let root = root.clone();
            thread::spawn(move || serve_connection(stream, &root));
        }
    });
    address
}

fn serve_connection(stream: TcpStream, root: &Path) -> Option<()> {
    let mut reads = BufReader::new(stream.try_clone().ok()?);
    let mut writes = stream;
    loop {
        let mut line = String::new();
        if reads.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let path = line.split(' ').nth(1)?.trim_start_matches('/').to_owned();
        while line.trim() != "" {
            line.clear();
            reads.read_line(&mut line).ok()?;
        }
        let (status, body) = match fs::read(root.join(&path)) {
            Ok(body) if !path.contains("..") => ("200 OK", body),
            _ => ("404 Not Found", Vec::new()),
        };
        write!(
            writes,
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .ok()?;
        writes.write_all(&body).ok()?;
    }
}
