//! `cordon repo`: the authority's commands, a file for each subject.

mod at_hand;
mod command;
mod delegate;
mod init;
mod key;
mod outcome;
mod proposal;
mod publish;
mod refresh;
mod rotate;
mod sign;
mod status;
mod words;

pub(super) use command::{RepoCommand, run};
