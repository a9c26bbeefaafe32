//! 2 · TRUST: says which file it wants next, judges what it gets. No I/O.

mod settings;

pub use settings::Settings;
