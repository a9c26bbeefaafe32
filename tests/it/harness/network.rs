//! A network of the test's own, in which only loopback exists: what is looked up or
//! connected to there cannot leave the machine. What is mounted there is seen there alone.

use std::fs;
use std::process::Command;

use super::run;

/// Whether this test already runs in a network of its own. When it does not, the same test
/// is run in one, as a process of its own, and this returns false: there is nothing left to
/// do for the caller.
#[track_caller]
pub(crate) fn is_own(test: &str) -> bool {
    if std::env::var_os(MARK).is_some() {
        let devices = fs::read_to_string("/proc/net/dev").unwrap();
        let others = devices
            .lines()
            .skip(2)
            .filter(|line| !line.trim_start().starts_with("lo:"))
            .count();
        assert_eq!(others, 0, "there is more than loopback here:\n{devices}");
        return true;
    }
    let script = "ip link set lo up && exec \"$0\" --exact \"$1\" --nocapture --test-threads 1";
    let mut command = Command::new("unshare");
    // Who is not root becomes it inside a user namespace of the test's own.
    command.args([
        "--net",
        "--mount",
        "--map-root-user",
        "--",
        "sh",
        "-c",
        script,
    ]);
    command
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(MARK, "1");
    let output = run(&mut command);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success(),
        "{test} in a network of its own:\n{text}"
    );
    assert!(text.contains("1 passed"), "{test} was not found:\n{text}");
    println!("{text}");
    false
}

const MARK: &str = "CORDON_TEST_OWN_NETWORK";
