//! `cordon demo`, as a newcomer meets it, in a network of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use crate::harness::client::{self, Connection};
use crate::harness::{cordon, must, network, run};

#[test]
fn the_demo_does_the_main_job_and_cleans_up() {
    if !network::is_own("demo::the_demo_does_the_main_job_and_cleans_up") {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let mut child = cordon()
        .arg("demo")
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut says = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        says += &line;
        says.push('\n');
        if line.contains("Ctrl-C") {
            break;
        }
    }

    // What it says can be tried at once, in the very words.
    let local = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    assert_eq!(
        client::ask(local(5300), "www.blocked.example").address,
        Some(Ipv4Addr::LOCALHOST)
    );
    assert_eq!(
        client::ask(local(5300), "tracker.example").rcode,
        3,
        "the operator's own rule"
    );
    for (line, status) in [
        ("the stop page", 451),
        ("a page on a list", 451),
        ("another page there", 200),
    ] {
        let command = says
            .lines()
            .find(|said| said.trim_start().starts_with(line))
            .unwrap_or_else(|| panic!("{says}"));
        let command = command.split_once("curl").unwrap().1;
        let output = must(
            Command::new("sh")
                .arg("-c")
                .arg(format!("curl -sS {command}")),
        );
        assert!(
            output.starts_with(&format!("HTTP/1.1 {status}")),
            "{command}\n{output}"
        );
    }
    for line in ["why", "how it is"] {
        let command = says
            .lines()
            .find(|said| said.trim_start().starts_with(&format!("{line}  ")))
            .unwrap();
        let command = command.trim_start().strip_prefix(line).unwrap();
        let output = must(Command::new("sh").arg("-c").arg(command));
        assert!(output.contains("consumer"), "{command}\n{output}");
    }
    let dashboard = Connection::new(local(8450)).get("/", "127.0.0.1");
    assert_eq!(dashboard.status, 200);

    must(Command::new("kill").args(["-TERM", &child.id().to_string()]));
    assert!(child.wait().unwrap().success());
    assert_eq!(
        fs::read_dir(temporary.path()).unwrap().count(),
        0,
        "the temporary folder is removed"
    );

    // A taken port is one sentence.
    let taken = std::net::TcpListener::bind("127.0.0.1:8452").unwrap();
    let output = run(cordon().arg("demo").env("TMPDIR", temporary.path()));
    assert_eq!(output.status.code(), Some(71));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("127.0.0.1:8452"),
        "{output:?}"
    );
    drop(taken);
}
