//! THE AUTHORITY: makes a repository of signed lists, which `source` gets and `verify`
//! believes: a static folder for any web server.

mod canonical;
mod commit;
mod delegation;
mod draft;
mod error;
mod folder;
mod keys;
mod legal;
mod offline;
mod policy_file;
mod publication;
mod rehearsal;
mod repository;
mod roles;
mod sense;
mod serve;
mod upkeep;
mod versions;
mod withdrawing;
mod yaml;

pub use commit::Renewed;
pub use delegation::Delegation;
pub use error::PublishError;
pub use keys::{Keyring, PublicKey};
pub use legal::Legal;
pub use offline::OfflineChange;
pub use policy_file::PolicyFile;
pub use publication::{Progress, Publication, Published};
pub use repository::Repository;
pub use serve::serve;
pub use upkeep::{Left, ListStatus, Refreshed, RoleStatus, Status};
pub use withdrawing::{UNTIL_DEFAULT, Withdraw, Withdrawing};
pub use yaml::YamlMistake;
