//! The DNS surface.

mod settings;

pub use settings::{Settings, StopAddresses};
