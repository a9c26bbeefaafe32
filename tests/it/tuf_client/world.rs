//! A repository that python-tuf wrote, a mirror of it, and the client that is tested.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::mirror::{Fault, Mirror};
use crate::harness::cordon;
use crate::python_tuf::{MISSING, interpreter};

/// What python-tuf is told before each story.
const REPOSITORY: &str = include_str!("repository.py");

pub(super) struct World {
    states: tempfile::TempDir,
    home: tempfile::TempDir,
    pub(super) mirror: Mirror,
}

impl World {
    /// The states that the story saves; the client trusts the first root, and the mirror has
    /// the state `first`.
    #[track_caller]
    pub(super) fn new(story: &str) -> Self {
        let world = Self {
            states: tempfile::tempdir().unwrap(),
            home: tempfile::tempdir().unwrap(),
            mirror: Mirror::start(),
        };
        write(&format!("{REPOSITORY}{story}"), world.states.path());
        world.show("first");
        world.init("first").unwrap();
        world
    }

    /// From now on, the mirror has this state.
    pub(super) fn show(&self, state: &str) {
        let folder = self.states.path().join(state);
        assert!(folder.is_dir(), "the story saves no state {state}");
        self.mirror.show(&folder);
    }

    /// A file of a state, or of the one that the client has.
    pub(super) fn file(&self, state: &str, path: &str) -> Vec<u8> {
        fs::read(self.states.path().join(state).join(path)).unwrap()
    }

    pub(super) fn init(&self, state: &str) -> Result<(), String> {
        let root = self.states.path().join(state).join("root.json");
        self.run(|command| {
            command.arg("init").arg(root);
        })
    }

    pub(super) fn refresh(&self) -> Result<(), String> {
        self.run(|command| {
            let url = self.mirror.url("metadata");
            command.args(["--metadata-url", &url, "refresh"]);
        })
    }

    pub(super) fn download(&self, names: &[&str]) -> Result<(), String> {
        self.run(|command| {
            let (metadata, targets) = (self.mirror.url("metadata/"), self.mirror.url("targets/"));
            command.args(["--metadata-url", &metadata, "--target-base-url", &targets]);
            command.arg("--target-dir").arg(self.target_dir());
            for name in names {
                command.args(["--target-name", name]);
            }
            command.arg("download");
        })
    }

    /// Runs the client: what it says where it fails, which must be with exit code 1.
    fn run(&self, arguments: impl FnOnce(&mut Command)) -> Result<(), String> {
        let mut command = cordon();
        command
            .arg("tuf")
            .arg("--metadata-dir")
            .arg(self.metadata_dir());
        arguments(&mut command);
        let output = command.output().unwrap();
        let says = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            Some(0) => Ok(()),
            Some(1) if !says.is_empty() => Err(says),
            code => panic!("{command:?} ended with {code:?}: {says}"),
        }
    }

    pub(super) fn metadata_dir(&self) -> PathBuf {
        self.home.path().join("metadata")
    }

    pub(super) fn target_dir(&self) -> PathBuf {
        self.home.path().join("targets")
    }

    /// The metadata that the client trusts, by file name.
    pub(super) fn trusted(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.metadata_dir())
    }

    /// The target files that the client has.
    pub(super) fn downloaded(&self) -> Vec<String> {
        let files = files(&self.target_dir());
        files
            .into_values()
            .map(|file| String::from_utf8(file).unwrap())
            .collect()
    }

    /// The version of a role that the client trusts.
    pub(super) fn version(&self, role: &str) -> Option<u64> {
        let file = self.trusted().remove(&format!("{role}.json"))?;
        let file: Value = serde_json::from_slice(&file).unwrap();
        file["signed"]["version"].as_u64()
    }

    /// The versions of root, timestamp, snapshot and targets; 0 where none is trusted.
    pub(super) fn versions(&self) -> [u64; 4] {
        ["root", "timestamp", "snapshot", "targets"].map(|role| self.version(role).unwrap_or(0))
    }

    /// What the mirror was asked below a folder.
    pub(super) fn asked(&self, folder: &str) -> Vec<String> {
        let asked = self.mirror.asked();
        let below = |path: &String| path.strip_prefix(&format!("{folder}/")).map(str::to_owned);
        asked.iter().filter_map(below).collect()
    }

    /// The roles of delegations that were asked for, in order.
    pub(super) fn searched(&self) -> Vec<String> {
        let asked = self.asked("metadata");
        let top = ["root", "timestamp", "snapshot", "targets"];
        let roles = asked
            .iter()
            .map(|file| file.split('.').rev().nth(1).unwrap().to_owned());
        roles.filter(|role| !top.contains(&role.as_str())).collect()
    }

    /// The mirror has this instead of a file of a state, changed so.
    pub(super) fn change(&self, state: &str, path: &str, change: impl FnOnce(String) -> String) {
        let file = String::from_utf8(self.file(state, path)).unwrap();
        let changed = change(file.clone());
        assert_ne!(file, changed, "{path} was to be changed");
        self.mirror
            .set_fault(path, Fault::Octets(changed.into_bytes()));
    }
}

/// A story must be refused, for that reason.
#[track_caller]
pub(super) fn refused(outcome: Result<(), String>, reason: &str) {
    match outcome {
        Ok(()) => panic!("this must be refused: {reason}"),
        Err(says) => assert!(says.contains(reason), "{says:?} does not say {reason:?}"),
    }
}

/// Runs a story, which saves its states below the folder.
#[track_caller]
fn write(story: &str, folder: &Path) {
    let mut python = Command::new(interpreter());
    let output = python.args(["-c", story]).arg(folder).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("No module named"), "{MISSING}\n{errors}");
    assert!(output.status.success(), "python-tuf fails:\n{errors}");
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}
