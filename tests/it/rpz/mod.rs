//! The rules of `design/rpz.md`, one scenario each: `tests/rpz/README.md` says how they are
//! written.

mod node;
mod rules;
mod run;
mod scenario;
mod update;
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The scenarios of a folder below `tests/rpz` whose names begin so, in order.
fn scenarios(folder: &str, first: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/rpz")
        .join(folder);
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.ends_with(".scenario") && name.starts_with(first)
        })
        .collect();
    found.sort();
    found
}

/// Runs scenarios, some at a time, and says all that is wrong.
#[track_caller]
fn run_all(folder: &str, first: &str) {
    let wanted = std::env::var("CORDON_SCENARIO").unwrap_or_default();
    let all = scenarios(folder, first);
    assert!(!all.is_empty(), "there is no scenario");
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(path) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = path.file_name().unwrap().to_string_lossy().into_owned();
                    if !name.starts_with(&wanted) {
                        continue;
                    }
                    let text = fs::read_to_string(path).unwrap();
                    let ran = std::panic::catch_unwind(|| run::run(&text));
                    let said = match ran {
                        Ok(Ok(())) => continue,
                        Ok(Err(said)) => said,
                        Err(_) => "panicked; see above".to_owned(),
                    };
                    wrong.lock().unwrap().push(format!("{name}: {said}"));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {} scenarios\n{}",
        wrong.len(),
        all.len(),
        wrong.join("\n\n")
    );
}

#[test]
fn policy_data() {
    run_all("", "p");
}

#[test]
fn triggers() {
    run_all("", "t");
}

#[test]
fn actions() {
    run_all("", "a");
}

#[test]
fn order() {
    run_all("", "o");
}

#[test]
fn scope() {
    run_all("", "s");
}

#[test]
fn overrides_and_options() {
    run_all("", "v");
}

#[test]
fn responses() {
    run_all("", "r");
}

#[test]
fn updates() {
    run_all("", "u");
}

#[test]
fn services() {
    run_all("", "https");
}

#[test]
fn bugs_of_others() {
    run_all("regression", "");
}
