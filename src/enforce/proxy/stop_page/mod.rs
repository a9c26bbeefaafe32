//! The pages that are shown instead of what was asked for. Sans-IO.

mod language;
mod markup;
mod notice;
mod page;
mod template;
mod texts;

pub use notice::Notice;
pub use page::{BUILT_IN_TEMPLATE, Page, StopPage};
pub use template::{TEMPLATE_OCTETS_MAX, TemplateError};
