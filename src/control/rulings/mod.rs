//! Which version of each list goes in force, what is held back, what people decided.

pub(crate) mod list_standing;
pub(crate) mod local;
pub(crate) mod local_versions;
pub(crate) mod offering;
pub(crate) mod origin;
pub(crate) mod renamed;
pub(crate) mod stand_in;
pub(crate) mod stored;
pub(crate) mod version;
pub(crate) mod versions;
