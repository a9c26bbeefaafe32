//! The commands from outside: exit codes and messages.

use crate::harness::{cordon, run};

#[track_caller]
fn check(words: &[&str], code: i32, says: &str) {
    let output = run(cordon().args(words));
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{words:?}\n{text}");
    assert!(text.contains(says), "{words:?}\n{text}");
}

#[test]
fn exit_codes() {
    check(&["--help"], 0, "demo");
    check(&["--version"], 0, env!("CARGO_PKG_VERSION"));
    check(&["frobnicate"], 64, "unrecognized subcommand");
    check(
        &["run", "--config", "/nonexistent/cordon.yaml"],
        78,
        "/nonexistent/cordon.yaml",
    );
    check(
        &["check", "--config", "/nonexistent/cordon.yaml"],
        78,
        "/nonexistent/cordon.yaml",
    );
    check(
        &["repo", "status", "/nonexistent/repo"],
        1,
        "/nonexistent/repo",
    );
}

#[test]
fn nobody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cordon.yaml");
    std::fs::write(
        &file,
        format!("version: 1\nstate: {}\n", folder.path().display()),
    )
    .unwrap();
    check(
        &["status", "--config", file.to_str().unwrap()],
        1,
        "Is the daemon running",
    );
}

#[test]
fn a_taken_port_is_one_sentence_with_its_address_and_nothing_is_half_started() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cordon.yaml");
    let text = format!(
        "version: 1\nstate: {}\ndns:\n  listen: [\"{address}\"]\n  resolver: {{ forward: [\"127.0.0.1:9\"] }}\n",
        folder.path().display()
    );
    std::fs::write(&file, text).unwrap();
    check(&["run", "--config", file.to_str().unwrap()], 71, &address);
    assert!(!folder.path().join("control.sock").exists());
}

#[test]
fn a_state_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (file, state) = (
        folder.path().join("cordon.yaml"),
        folder.path().join("a-file/state"),
    );
    std::fs::write(folder.path().join("a-file"), "").unwrap();
    std::fs::write(&file, format!("version: 1\nstate: {}\n", state.display())).unwrap();
    check(
        &["run", "--config", file.to_str().unwrap()],
        71,
        state.to_str().unwrap(),
    );
}

#[test]
fn what_run_would_refuse_check_says_before() {
    let folder = tempfile::tempdir().unwrap();
    let (file, junk) = (
        folder.path().join("cordon.yaml"),
        folder.path().join("junk"),
    );
    std::fs::write(&junk, "nothing of use\n").unwrap();
    for report in ["tls: { certificate: junk, key: junk }", "users_file: junk"] {
        let text = format!(
            "version: 1\nstate: {}\nreport:\n  listen: [\"127.0.0.1:0\"]\n  {report}\n",
            folder.path().display()
        );
        std::fs::write(&file, text).unwrap();
        check(&["check", "--config", file.to_str().unwrap()], 78, "junk");
        check(&["run", "--config", file.to_str().unwrap()], 78, "junk");
    }
}
