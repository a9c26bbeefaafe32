//! 2 · TRUST: says which file it wants next, judges what it gets. No I/O.

mod chain;
mod delta;
mod error;
mod floors;
mod full;
mod json;
mod lint;
mod list_file;
mod never_block;
mod proof;
mod restore;
mod settings;
mod signature;
mod signed_policy;
mod steps;
mod trusted;
mod verified;
mod withdraw_file;

pub use delta::{Applied, Delta, apply};
pub use error::VerifyError;
pub use floors::ListVersion;
pub use full::{FULL_OCTETS_MAX, plaintext_octets_max};
pub use lint::{is_list_name, octets_of_hex};
pub use never_block::{NEVER_BLOCK_OCTETS_MAX, read_never_block, write_never_block};
pub use settings::Settings;
pub use signed_policy::SignedPolicy;
pub use trusted::{Answer, Subscription, TrustSummary, TrustedMetadata, Verdict, Wanted, Write};
pub use verified::{ListFile, Verified, hex};
pub use withdraw_file::{UNTIL_MAX, WITHDRAW_OCTETS_MAX, WITHDRAWALS_MAX, WithdrawFile};
