//! Random histories: an authority that publishes, withdraws and rotates, mirrors that lie, a
//! disk that fills and a clock that jumps, each from a seed. Node and authority always agree,
//! or the node says why not.
//!
//! The histories drive [`cordon::control::rounds::round::Puller`]: what is believed and kept.
//! What a guard then holds is shown by `hold`.
//!
//! `CORDON_HISTORY_SEED=17 cargo test --test it history:: -- --nocapture` tells one history.

mod judge;
mod lies;
mod model;
mod regressions;
mod step;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use step::Step;
use world::{Template, World};

use crate::harness::{must, network};

#[test]
fn node_and_authority_agree_or_the_node_says_why_not() {
    if !network::is_own("history::node_and_authority_agree_or_the_node_says_why_not") {
        return;
    }
    let replayed: Option<u64> = std::env::var(SEED)
        .ok()
        .map(|seed| seed.parse().expect("CORDON_HISTORY_SEED is a number"));
    let seeds = match replayed {
        Some(seed) => seed..seed + 1,
        None => 0..SEEDS,
    };
    let template = Template::new();
    let next = AtomicU64::new(seeds.start);
    let failed: Mutex<BTreeMap<u64, String>> = Mutex::default();
    let seen: Mutex<BTreeMap<String, usize>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                let disk = tempfile::tempdir().unwrap();
                must(
                    Command::new("mount")
                        .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
                        .arg(disk.path()),
                );
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || failed.lock().unwrap().len() >= FAILED_MAX {
                        break;
                    }
                    match history(seed, &template, disk.path(), replayed.is_some()) {
                        Ok(of_one) => {
                            let mut seen = seen.lock().unwrap();
                            for (what, count) in of_one {
                                *seen.entry(what).or_default() += count;
                            }
                        }
                        Err(why) => _ = failed.lock().unwrap().insert(seed, why),
                    }
                }
                must(Command::new("umount").arg("--lazy").arg(disk.path()));
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    println!("{seen:#?}");
    let failed = failed.into_inner().unwrap();
    let rare: Vec<String> = SEEN
        .iter()
        .map(|(what, least)| (what, least, seen.get(*what).copied().unwrap_or(0)))
        .filter(|(_, least, found)| found < least)
        .map(|(what, least, found)| format!("{what}: {found} times, not {least}"))
        .collect();
    assert!(
        failed.is_empty(),
        "{}",
        failed.into_values().collect::<Vec<_>>().join("\n\n")
    );
    assert!(
        replayed.is_some() || rare.is_empty(),
        "what is seen so rarely proves little: {rare:#?}"
    );
}

/// One history; says what was seen in it.
///
/// # Errors
/// The seed, the steps so far, and what disagreed.
fn history(
    seed: u64,
    template: &Template,
    disk: &Path,
    is_told: bool,
) -> Result<BTreeMap<String, usize>, String> {
    let folder = match Path::new("/dev/shm") {
        memory if memory.is_dir() => tempfile::tempdir_in(memory),
        _ => tempfile::tempdir(),
    };
    let folder = folder.unwrap();
    let state = tempfile::tempdir_in(disk).unwrap();
    let mut steps: Vec<String> = Vec::new();
    let mut told = |step: &Step| {
        if is_told {
            println!("{step:?}");
        }
        steps.push(format!("  {step:?}"));
    };
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed, template, folder.path(), state.path());
        for _ in 0..STEPS {
            let step = Step::draw(&mut world.random);
            told(&step);
            world.take(&step)?;
        }
        told(&Step::Recover);
        world.take(&Step::Recover)?;
        Ok(world.seen)
    }));
    let why: String = match lived {
        Ok(Ok(seen)) => return Ok(seen),
        Ok(Err(why)) => why,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            format!("panic: {}", text.unwrap_or_default())
        }
    };
    Err(format!("{SEED}={seed}\n{}\n{why}", steps.join("\n")))
}

/// Which history to tell alone.
const SEED: &str = "CORDON_HISTORY_SEED";
/// How many histories there are.
const SEEDS: u64 = 1000;
/// How many steps each has, before everybody is honest again.
const STEPS: usize = 30;
/// What all of them together must show, and how often at the least: the kinds of things that
/// happen, and the kinds of outcomes.
const SEEN: &[(&str, usize)] = &[
    ("authority: NeverBlock", 200),
    ("authority: Policy", 200),
    ("authority: Refresh", 1500),
    ("authority: add", 600),
    ("authority: change", 400),
    ("authority: crashed", 300),
    ("authority: half", 200),
    ("authority: legal", 200),
    ("authority: nothing", 200),
    ("authority: remove", 400),
    ("authority: rotate list-a", 100),
    ("authority: rotate list-b", 50),
    ("authority: rotate root", 50),
    ("authority: rotate snapshot", 200),
    ("authority: rotate targets", 50),
    ("authority: rotate timestamp", 200),
    ("authority: rotate withdraw", 50),
    ("authority: undo", 50),
    ("authority: withdraw", 400),
    ("clock: jumps", 600),
    ("disk: full", 200),
    ("disk: refuses", 200),
    ("keys: stolen", 200),
    ("mirror: empty", 150),
    ("mirror: endless", 150),
    ("mirror: flipped", 150),
    ("mirror: gone", 150),
    ("mirror: missing", 150),
    ("mirror: mixed", 300),
    ("mirror: replayed", 300),
    ("mirror: stale", 300),
    ("mirror: truncated", 150),
    ("node: restarts", 500),
    ("list: by steps", 600),
    ("list: expired", 500),
    ("list: io", 50),
    ("list: malformed", 20),
    ("list: missing", 100),
    ("list: new", 1500),
    ("list: not stored", 10),
    ("list: not_stored", 200),
    ("list: rollback", 100),
    ("list: threshold_not_met", 20),
    ("list: too_long", 10),
    ("list: unchanged", 5000),
    ("noted: expired", 10),
    ("noted: missing", 20),
    ("noted: rollback", 2),
    ("refused: hash_mismatch", 20),
    ("refused: io", 50),
    ("refused: malformed", 50),
    ("refused: missing", 200),
    ("refused: rollback", 100),
    ("refused: threshold_not_met", 40),
    ("refused: too_long", 40),
    ("round: frozen", 150),
    ("round: newest", 3000),
    ("round: said why not", 500),
];
/// After so many failed histories there is enough to look at.
const FAILED_MAX: usize = 3;
