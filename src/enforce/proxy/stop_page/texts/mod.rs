//! [`Texts`]: what the pages say, a file a language.

mod de;
mod en;
mod fr;
mod nl;
mod pl;
mod texts;

pub(super) use texts::{ALL, Texts};
