//! The process edge: arguments, run, show the error well, exit code.

fn main() {}
