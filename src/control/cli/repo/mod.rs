//! `cordon repo`: the authority's commands, a file for each subject.

mod command;
mod delegate;
mod init;
mod key;
mod outcome;
mod publish;
mod refresh;
mod status;
mod words;

pub(super) use command::{RepoCommand, run};
