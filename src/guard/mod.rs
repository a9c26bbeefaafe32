//! 3½ · SENSE: whether a change that is signed is also sensible. No I/O; the publisher and
//! every node run the same code.

mod comparison;
mod day;
mod difference;
mod judge;
mod verdict;

pub use comparison::Comparison;
pub use day::Day;
pub use difference::{Difference, Example, Tally};
pub use judge::{Change, Guard, Trip, judge};
pub use verdict::Verdict;
