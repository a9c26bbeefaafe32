//! One target under libFuzzer: the one that `CORDON_FUZZ_TARGET` names.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../targets/mod.rs"]
mod targets;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("CORDON_FUZZ_TARGET").expect("CORDON_FUZZ_TARGET names a target");
    let known = targets::ALL.into_iter().find(|(name, _)| *name == wanted);
    known.expect("CORDON_FUZZ_TARGET is the name of a target").1
});

fuzz_target!(|octets: &[u8]| TARGET(octets));
