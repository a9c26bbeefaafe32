//! The HTTP surface: stop page and forward proxy.

mod error;
mod handler;
mod head;
mod hop;
mod limits;
mod metered;
mod origin;
mod origin_guard;
mod outcome;
mod patience;
#[expect(
    clippy::module_inception,
    reason = "a file is named after the type in it"
)]
mod proxy;
mod server;
mod settings;
mod stop_page;
mod target;
mod tunnel;

pub use error::Error;
pub use head::Framing;
pub use limits::Limits;
pub use proxy::Proxy;
pub use server::Bound;
pub use settings::{Operator, Origins, Settings, StopPageSettings};
pub use stop_page::{
    BUILT_IN_TEMPLATE, Notice, Page, StopPage, TEMPLATE_OCTETS_MAX, TemplateError,
};
pub use target::{Form, RequestTarget, TargetError, TargetHead};
