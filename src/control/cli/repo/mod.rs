//! `cordon repo`: the authority's commands, a file for each subject.

mod at_hand;
mod command;
mod delegate;
mod init;
mod key;
mod never_block;
mod outcome;
mod policy;
mod proposal;
mod publish;
mod refresh;
mod rotate;
mod sign;
mod status;
mod withdraw;
mod words;

pub(super) use command::{RepoCommand, run};
