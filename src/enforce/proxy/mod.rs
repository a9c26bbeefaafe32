//! The HTTP surface: stop page and forward proxy.

mod settings;

pub use settings::{Operator, Origins, Settings, StopPageSettings};
