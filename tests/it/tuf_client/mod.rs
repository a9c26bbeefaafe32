//! `cordon tuf` against repositories that python-tuf wrote: the client workflow, the search
//! through delegations, and every attack on them by name.

mod attacks;
mod delegations;
mod mirror;
mod refresh;
mod targets;
mod world;
