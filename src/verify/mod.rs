//! 2 · TRUST: says which file it wants next, judges what it gets. No I/O.

mod chain;
mod error;
mod floors;
mod full;
mod json;
mod lint;
mod list_file;
mod proof;
mod restore;
mod settings;
mod signature;
mod steps;
mod trusted;
mod verified;

pub use error::VerifyError;
pub use floors::ListVersion;
pub use full::{FULL_OCTETS_MAX, plaintext_octets_max};
pub use lint::is_list_name;
pub use settings::Settings;
pub use trusted::{Answer, Subscription, TrustSummary, TrustedMetadata, Verdict, Wanted, Write};
pub use verified::{ListFile, Verified, hex};
