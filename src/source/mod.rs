//! 1 · GET: bytes in, bounded; knows nothing of what they mean.

mod settings;

pub use settings::{ClientTls, Mirror, Settings};
