//! 5 · COUNT: how often did each entry fire. No client is known here.

mod hit_counter;
mod settings;

pub use hit_counter::HitCounter;
pub use settings::Settings;
