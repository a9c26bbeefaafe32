//! What is fuzzed: each target takes octets as a stranger would send them, does with them what
//! the program does, and asserts what must hold of any. `fuzz/run` gives them to libFuzzer,
//! `tests/it/corpus.rs` repeats what it kept.

mod answer;
mod conversation;
mod list;
mod name;
mod octets;
mod packet;
mod policy;
mod zone;

/// What is done with octets that nobody can trust.
type Target = fn(&[u8]);

/// Each target by its name, which is that of its folder below `fuzz/corpus`.
pub(crate) const ALL: [(&str, Target); 5] = [
    ("answer", answer::run),
    ("list", list::run),
    ("name", name::run),
    ("packet", packet::run),
    ("zone", zone::run),
];
