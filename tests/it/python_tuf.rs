//! python-tuf, the reference client, reads what we publish.

use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::SignedDuration;

use super::trust::forge::{Authority, hour};

/// Refreshes from the folder of a repository and downloads targets, as any TUF client does;
/// prints the version of each role and the SHA-256 of each target.
const CLIENT: &str = r#"
import hashlib, json, os, sys
from datetime import datetime, timezone
from unittest import mock
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

class Folder(FetcherInterface):
    def _fetch(self, url):
        path = url.removeprefix("file://")
        if not os.path.exists(path):
            raise DownloadHTTPError("absent", 404)
        with open(path, "rb") as file:
            yield file.read()

repo, state, now, *targets = sys.argv[1:]
os.makedirs(state, exist_ok=True)
with open(repo + "/metadata/1.root.json", "rb") as file:
    root = file.read()
updater = Updater(state, f"file://{repo}/metadata/", state, f"file://{repo}/targets/", Folder(), bootstrap=root)
trusted = updater._trusted_set
trusted.reference_time = datetime.fromisoformat(now)
updater.refresh()
found = {"targets": {}}
for target in targets:
    info = updater.get_targetinfo(target)
    if info is None:
        found["targets"][target] = None
        continue
    path = updater.download_target(info)
    with open(path, "rb") as file:
        found["targets"][target] = [hashlib.sha256(file.read()).hexdigest(), info.custom.get("seq")]
trusted = updater._trusted_set
found["root"] = trusted.root.version
found["timestamp"] = trusted.timestamp.version
found["snapshot"] = trusted.snapshot.version
print(json.dumps(found))
"#;

#[test]
fn python_tuf_reads_what_we_publish() {
    let authority = Authority::new(&["a", "b"]);
    let state = tempfile::tempdir().unwrap();
    authority.publish("a", &["one.test"], hour(0));
    let first = client(&authority, state.path(), "2026-11-24T06:00:00+00:00");
    assert_eq!(first["targets"]["a/full"][1], 1);
    assert_eq!(first["targets"]["b/full"], serde_json::Value::Null);
    assert_eq!(first["root"], 1);

    // The same client, an hour on: a second version of one list, a first one of the other.
    authority.publish("a", &["two.test"], hour(1));
    authority.publish("b", &["two.test"], hour(1));
    let second = client(&authority, state.path(), "2026-11-24T07:00:00+00:00");
    assert_eq!(
        (
            &second["targets"]["a/full"][1],
            &second["targets"]["b/full"][1]
        ),
        (&2.into(), &1.into())
    );
    let role = authority.signed(&authority.current("list-a"));
    assert_eq!(
        second["targets"]["a/full"][0],
        role["targets"]["a/full"]["hashes"]["sha256"]
    );

    // Seven months on: every role is renewed, the root too, and it follows.
    authority.refresh(hour(7 * 30 * 24));
    let third = client(&authority, state.path(), "2027-06-22T06:00:00+00:00");
    assert_eq!(
        (&third["root"], &third["targets"]["a/full"][1]),
        (&2.into(), &2.into())
    );

    // And a fresh client, which has the first root only, comes to the same.
    let fresh = tempfile::tempdir().unwrap();
    assert_eq!(
        client(&authority, fresh.path(), "2027-06-22T06:00:00+00:00"),
        third
    );
}

#[test]
fn python_tuf_reads_steps_bounds_and_withdrawals() {
    let authority = Authority::new(&["a"]);
    let names = |first: u32| {
        (first..first + 3000)
            .map(|n| format!("n{n}.test"))
            .collect::<Vec<_>>()
    };
    for (first, minutes) in [(0, 0), (5, 1), (9, 2)] {
        let names = names(first);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        authority.publish("a", &names, hour(0) + SignedDuration::from_mins(minutes));
    }
    authority.bound("lists: { a: { kinds: [domain] } }", hour(1));
    authority.never_block(&["bank.example"], hour(1));
    authority.withdraw("a", "n100.test", hour(1));
    let targets = [
        "a/full",
        "a/delta-1-2",
        "a/delta-2-3",
        "policy",
        "never-block",
        "withdraw/a",
    ];
    let state = tempfile::tempdir().unwrap();
    let found = client_of(
        &authority,
        state.path(),
        "2026-11-24T07:00:00+00:00",
        &targets,
    );
    let serials: Vec<&serde_json::Value> = targets
        .iter()
        .map(|target| &found["targets"][target][1])
        .collect();
    let none = &serde_json::Value::Null;
    assert_eq!(
        serials,
        [&1.into(), &2.into(), &3.into(), none, none, none],
        "{found}"
    );
    for target in targets {
        assert!(found["targets"][target][0].is_string(), "{target}: {found}");
    }
}

#[track_caller]
fn client(authority: &Authority, state: &Path, now: &str) -> serde_json::Value {
    client_of(authority, state, now, &["a/full", "b/full"])
}

#[track_caller]
fn client_of(
    authority: &Authority,
    state: &Path,
    now: &str,
    targets: &[&str],
) -> serde_json::Value {
    let output = Command::new(interpreter())
        .args(["-c", CLIENT])
        .arg(authority.repo())
        .arg(state)
        .arg(now)
        .args(targets)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("No module named"), "{MISSING}\n{errors}");
    assert!(
        output.status.success(),
        "python-tuf refuses what we published:\n{errors}"
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The Python that has python-tuf; its absence fails the test by name.
fn interpreter() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/venv/bin/python");
    let python = std::env::var_os("CORDON_TEST_PYTHON").map_or(own, PathBuf::from);
    assert!(
        python.exists(),
        "{}: is not there. {MISSING}",
        python.display()
    );
    python
}

const MISSING: &str = "python-tuf is needed: `python3 -m venv .cache/venv && .cache/venv/bin/pip install tuf`, \
                       or give an interpreter that has it in CORDON_TEST_PYTHON";
