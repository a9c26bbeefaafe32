//! [`Texts`]: what the pages say, a file a language.

mod de;
mod en;
mod fr;
mod nl;
mod pl;
#[expect(
    clippy::module_inception,
    reason = "a file is named after the type in it"
)]
mod texts;

pub(super) use texts::{ALL, Texts};
