//! Answers from the world: the only folder that names hickory. Serves dns and proxy alike.

mod settings;

pub use settings::{Settings, Upstream, ZoneForward};
