//! Everything that can go wrong, each made to happen.

mod writes;
