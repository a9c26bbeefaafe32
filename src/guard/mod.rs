//! 3½ · SENSE: whether a change that is signed is also sensible. No I/O; the publisher and
//! every node run the same code.

mod judge;

pub use judge::{Change, Guard, Trip, judge};
