//! The HTTP surface: stop page and forward proxy.

mod head;
mod patience;
mod settings;
mod stop_page;
mod target;

pub use head::Framing;
pub use settings::{Operator, Origins, Settings, StopPageSettings};
pub use stop_page::{BUILT_IN_TEMPLATE, Notice, StopPage, TEMPLATE_OCTETS_MAX, TemplateError};
pub use target::{Form, RequestTarget, TargetError};
