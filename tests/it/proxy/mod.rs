//! The HTTP surface from outside, over loopback: scenarios as data, `curl` as another's
//! eyes, and the attacks of field.md section 4 by name.

mod changes;
mod denied;
mod limits;
mod node;
mod passing;
mod scenarios;
mod wire;
mod world;
