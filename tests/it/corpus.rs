//! What fuzzing kept is read again in every run: inputs that reached all code that any did, and
//! each that once broke something. CONTRIBUTING.md says how more are found.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[path = "../../fuzz/targets/mod.rs"]
mod targets;

#[test]
fn what_fuzzing_kept_breaks_nothing() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in targets::ALL {
        let mut inputs: Vec<_> = fs::read_dir(corpus.join(name))
            .unwrap_or_else(|error| panic!("{name} has no corpus: {error}"))
            .map(|entry| entry.unwrap().path())
            .collect();
        inputs.sort();
        assert!(inputs.len() > 50, "{name} has {} inputs", inputs.len());
        for input in inputs {
            let octets = fs::read(&input).unwrap();
            let ended = catch_unwind(|| target(&octets));
            assert!(ended.is_ok(), "{} breaks {name}", input.display());
        }
    }
}
