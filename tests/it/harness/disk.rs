//! A disk that fails at one chosen write: `tests/disk/faults.c` in front of libc, around the
//! same test run once more as a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;

use super::{must, run};

/// What happens at the write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// The process is gone before it.
    Crash,
    /// Half of the octets are written, then it is gone.
    Half,
    /// From it on there is no room.
    Full,
}

/// The folder to work in, where this test is the process with the failing disk.
pub(crate) fn world() -> Option<PathBuf> {
    std::env::var_os(WORLD).map(PathBuf::from)
}

/// How many writes below `world` the test makes when nothing fails.
pub(crate) fn count_writes(test: &str, world: &Path) -> usize {
    let count = world.with_extension("writes");
    let status = run_again(test, world, 0, Fault::Full, Some(&count));
    assert!(status.success(), "{test}: {status}");
    let writes = std::fs::read_to_string(count).unwrap().parse().unwrap();
    assert!(writes > 5, "{test} made {writes} writes");
    writes
}

/// Runs `test` once more, with a disk that fails below `world` at that write.
pub(crate) fn again(test: &str, world: &Path, at: usize, fault: Fault) -> ExitStatus {
    run_again(test, world, at, fault, None)
}

fn run_again(
    test: &str,
    world: &Path,
    at: usize,
    fault: Fault,
    count: Option<&Path>,
) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--test-threads", "1"])
        .env(WORLD, world);
    on_a_failing_disk(&mut command, world, at, fault);
    if let Some(count) = count {
        command.env("FAULT_COUNT", count);
    }
    let output = run(&mut command);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("running 1 test"),
        "{test} was not found:\n{text}"
    );
    if !output.status.success() && !has_crashed(output.status) {
        println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    output.status
}

/// Has a command run with a disk that fails below `below` at that write.
fn on_a_failing_disk(command: &mut Command, below: &Path, at: usize, fault: Fault) {
    let how = match fault {
        Fault::Crash => "crash",
        Fault::Half => "half",
        Fault::Full => "full",
    };
    command
        .env("LD_PRELOAD", library())
        .env("FAULT_BELOW", below)
        .env("FAULT_AT", at.to_string())
        .env("FAULT_HOW", how);
}

/// Whether a process ended as by a crash.
pub(crate) fn has_crashed(status: ExitStatus) -> bool {
    status.code() == Some(137)
}

/// The library, compiled once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let library = folder.join("faults.so");
        let own = folder.join(format!("faults.{}.so", std::process::id()));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/disk/faults.c");
        must(
            Command::new("cc")
                .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
                .arg(&own)
                .args([source, "-ldl"]),
        );
        std::fs::rename(own, &library).unwrap();
        library
    })
}

const WORLD: &str = "CORDON_TEST_FAILING_DISK";
