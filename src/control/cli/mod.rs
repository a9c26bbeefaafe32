//! The commands of interface.md.
