//! `cordon demo`: the main job in one command.

mod authority;
mod origin;
mod plant;
mod upstream;

pub(super) use plant::run;
