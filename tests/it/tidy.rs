//! The rules of the house that a compiler does not hold: who may use whom, where async and
//! unsafe code may stand, and what every file begins with.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules in their order, each with those it may use. To add an edge, edit this table,
/// in a commit of its own.
const LAYERS: [(&str, &[&str]); 12] = [
    ("policy", &[]),
    ("source", &[]),
    ("verify", &["policy"]),
    ("compile", &["policy", "verify"]),
    ("count", &["policy"]),
    ("guard", &["policy", "verify", "compile"]),
    ("publish", &["policy", "verify", "compile", "guard"]),
    ("enforce", &["policy", "compile", "count"]),
    ("report", &["policy", "compile", "count", "enforce"]),
    (
        "config",
        &[
            "policy", "source", "verify", "compile", "count", "guard", "enforce", "report",
        ],
    ),
    (
        "control",
        &[
            "policy", "source", "verify", "compile", "count", "guard", "publish", "enforce",
            "report", "config",
        ],
    ),
    ("main", &["control"]),
];

/// Files of the core that take bytes and time and return facts: no async, files, sockets,
/// clock, chance, locks or logging. Folders end in a slash.
const SANS_IO: &[&str] = &[
    "policy/",
    "verify/",
    "compile/",
    "guard/",
    "enforce/dns/message.rs",
    "enforce/dns/response.rs",
    "enforce/dns/exchange.rs",
    "enforce/resolver/answer.rs",
    "enforce/resolver/question.rs",
    "enforce/resolver/special_use.rs",
    "enforce/resolver/wire.rs",
    "enforce/proxy/target.rs",
    "enforce/proxy/stop_page.rs",
    "report/summary.rs",
    "report/dashboard/",
];

/// What a sans-IO file may not name.
const IO_WORDS: &[&str] = &[
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "tokio",
    "async fn",
    ".await",
    "Mutex",
    "RwLock",
    "tracing::",
    "getrandom",
    "SystemTime",
    "Instant::now",
    "hyper",
];

/// Files that may hold async code.
const ASYNC: &[&str] = &[
    "source/",
    "publish/serve.rs",
    "enforce/resolver/",
    "enforce/dns/",
    "enforce/proxy/",
    "report/",
    "control/",
];

/// The files that may hold unsafe code, each with a reason in it.
const UNSAFE: &[&str] = &["enforce/dns/datagrams.rs", "count/counter_map.rs"];

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "helper", "helpers", "manager", "common", "misc", "types",
];

struct Source {
    /// Below `src`, with forward slashes.
    path: String,
    text: String,
}

impl Source {
    fn code(&self) -> &str {
        // From the first inline test module on, a file counts as tests.
        self.text.split("\n#[cfg(test)]\nmod tests").next().unwrap()
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| {
            self.path == *place || (place.ends_with('/') && self.path.starts_with(place))
        })
    }

    fn is_tests(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    fn lines_without_comments(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code()
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .replace('\\', "/");
                found.push(Source {
                    path: name,
                    text: fs::read_to_string(&path).unwrap(),
                });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(found.len() > 20, "the source folder was not found");
    found
}

#[track_caller]
fn none(broken: Vec<String>, rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn modules_use_only_those_below_them() {
    let mut broken = Vec::new();
    let names: BTreeSet<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    for source in sources() {
        let module = source.path.split(['/', '.']).next().unwrap().to_owned();
        if module == "lib" {
            continue;
        }
        let (_, allowed) = LAYERS
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("src/{module}"));
        let root = if module == "main" {
            "cordon::"
        } else {
            "crate::"
        };
        for (number, line) in source.lines_without_comments() {
            for (at, _) in line.match_indices(root) {
                let path: String = line[at + root.len()..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
                    .collect();
                let used = path.split("::").next().unwrap();
                let is_allowed = used == module
                    || allowed
                        .iter()
                        .any(|entry| path == *entry || path.starts_with(&format!("{entry}::")));
                if names.contains(used) && !is_allowed {
                    broken.push(format!(
                        "src/{}:{}: {module} may not use {path}",
                        source.path,
                        number + 1
                    ));
                }
            }
            if line.contains("use crate::{") {
                broken.push(format!(
                    "src/{}:{}: write one `use crate::` a module",
                    source.path,
                    number + 1
                ));
            }
        }
    }
    none(
        broken,
        "the table of layers in tests/it/tidy.rs says who may use whom",
    );
}

#[test]
fn surfaces_do_not_know_each_other() {
    let mut broken = Vec::new();
    for source in sources() {
        let surface = ["dns", "proxy", "resolver", "transfer"]
            .into_iter()
            .find(|surface| source.path.starts_with(&format!("enforce/{surface}/")));
        let Some(surface) = surface else { continue };
        for (number, line) in source.lines_without_comments() {
            for other in ["dns", "proxy", "transfer"]
                .into_iter()
                .filter(|other| *other != surface)
            {
                if line.contains(&format!("enforce::{other}")) {
                    broken.push(format!("src/{}:{}", source.path, number + 1));
                }
            }
        }
    }
    none(
        broken,
        "dns, proxy and transfer do not know each other, and resolver knows none of them",
    );
}

#[test]
fn the_core_does_no_io() {
    let mut broken = Vec::new();
    for source in sources()
        .into_iter()
        .filter(|source| source.is_in(SANS_IO) && !source.is_tests())
    {
        for (number, line) in source.lines_without_comments() {
            for word in IO_WORDS.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("src/{}:{}: {word}", source.path, number + 1));
            }
        }
    }
    none(broken, "the core takes bytes and time and returns facts");
}

#[test]
fn async_and_unsafe_stand_where_they_may() {
    let mut broken = Vec::new();
    for source in sources() {
        let asynchronous = source.code().contains("async ") || source.code().contains(".await");
        if asynchronous && !source.is_in(ASYNC) {
            broken.push(format!("src/{}: async", source.path));
        }
        if source.path.starts_with("enforce/dns/udp.rs") && source.code().contains(".await") {
            broken.push(format!(
                "src/{}: the UDP threads do not wait for tasks",
                source.path
            ));
        }
        let has_unsafe = source
            .lines_without_comments()
            .any(|(_, line)| line.contains("unsafe {") || line.contains("unsafe fn"));
        if has_unsafe && !source.is_in(UNSAFE) {
            broken.push(format!("src/{}: unsafe", source.path));
        }
    }
    none(
        broken,
        "async and unsafe code stand only where the tables of tests/it/tidy.rs say",
    );
}

#[test]
fn only_the_resolver_names_hickory() {
    let broken = sources()
        .into_iter()
        .filter(|source| {
            source.code().contains("hickory_") && !source.path.starts_with("enforce/resolver/")
        })
        .filter(|source| {
            source.path != "control/demo/upstream.rs" && source.path != "control/logging.rs"
        })
        // The presentation form of record data is the library's business: every type has its
        // own. One function gives text in and takes octets out.
        .filter(|source| source.path != "compile/parse/record_data.rs")
        .map(|source| format!("src/{}", source.path));
    none(
        broken.collect(),
        "hickory changes with every release: only enforce/resolver names it",
    );
}

#[test]
fn stages_are_handed_settings_never_the_whole_configuration() {
    let broken = sources()
        .into_iter()
        .filter(|source| {
            !["config", "control"]
                .iter()
                .any(|place| source.path.starts_with(place))
        })
        .filter(|source| source.code().contains("config::Config"))
        .map(|source| format!("src/{}", source.path));
    none(
        broken.collect(),
        "a stage sees its own Settings, never Config",
    );
}

#[test]
fn nothing_of_the_core_is_serialised() {
    let mut broken = Vec::new();
    for source in sources() {
        if ["policy/", "compile/", "enforce/"]
            .iter()
            .any(|place| source.path.starts_with(place))
        {
            for (number, line) in source.lines_without_comments() {
                if line.contains("derive(") && line.contains("Serialize") {
                    broken.push(format!("src/{}:{}", source.path, number + 1));
                }
            }
        }
    }
    none(
        broken,
        "a serialised type is a promise to strangers; the core makes none",
    );
}

#[test]
fn every_file_says_what_it_is() {
    let mut broken = Vec::new();
    for source in sources() {
        let first = source.text.lines().next().unwrap_or_default();
        if source.path != "lib.rs" && !(first.starts_with("//! ") && first.len() > 12) {
            broken.push(format!(
                "src/{}: the first line says in one sentence what the file is",
                source.path
            ));
        }
        if source.path.ends_with("/mod.rs") && source.text.lines().count() > 60 {
            broken.push(format!(
                "src/{}: a mod.rs is a table of contents, at most 60 lines",
                source.path
            ));
        }
        let stem = source
            .path
            .rsplit('/')
            .next()
            .unwrap()
            .trim_end_matches(".rs");
        if EMPTY_NAMES.contains(&stem) {
            broken.push(format!("src/{}: the name says nothing", source.path));
        }
    }
    none(broken, "files");
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let mut in_dependencies = false;
    let mut broken = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies]");
        } else if in_dependencies && line.contains('=') && !line.contains(" # ") {
            broken.push(line.to_owned());
        }
    }
    none(
        broken,
        "each dependency earns its place in a comment on its line of Cargo.toml",
    );
}

#[test]
fn formatting_is_rustfmts() {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["fmt", "--check"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo fmt runs; install rustfmt");
    assert!(
        output.status.success(),
        "run `cargo fmt`:\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
