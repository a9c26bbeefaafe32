//! CONTROL · what the operator wrote.

mod check;
mod error;
mod nearest;
mod node;
mod place;
mod scalar;
mod schema;
mod section;
mod settings;

pub use check::schema;
pub use error::{Mistake, Mistakes};
pub use place::Place;
pub use settings::{Config, LogFormat, LogSettings, Repository};
