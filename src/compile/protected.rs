//! [`Protected`]: names and addresses that outrank every list.

use std::net::IpAddr;
use std::sync::Arc;

use super::Reserved;
use crate::policy::{Name, Prefix};

/// What outranks every list: names that the operator protects, each with all below it, and
/// the names and addresses that this node itself stands on (field.md section 3, incident 10).
/// An own name protects itself alone: what customers keep below it can be listed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Protected {
    names: Arc<Reserved>,
    own_names: Arc<Reserved>,
    own: Arc<[Own]>,
}

/// A name or address of this node's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Own {
    /// The key of the configuration that it stands at, such as `dns.listen`.
    pub key: &'static str,
    /// The name or address.
    pub host: OwnHost,
}

/// A name or an address.
#[expect(
    clippy::large_enum_variant,
    reason = "a handful, made once for a configuration"
)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OwnHost {
    /// The name; what lies below it is not meant.
    Name(Name),
    /// The address.
    Address(IpAddr),
}

impl Protected {
    /// The operator's names, and what is this node's own.
    #[must_use]
    pub fn new(names: Vec<Name>, own: Vec<Own>) -> Self {
        let own_names = own.iter().filter_map(|own| match own.host {
            OwnHost::Name(name) => Some(name),
            OwnHost::Address(_) => None,
        });
        Self {
            own_names: Arc::new(Reserved::new(own_names.collect())),
            names: Arc::new(Reserved::new(names.into())),
            own: own.into(),
        }
    }

    /// The names that the operator protects.
    #[must_use]
    pub fn names(&self) -> &[Name] {
        self.names.names()
    }

    /// What is this node's own.
    #[must_use]
    pub fn own(&self) -> &[Own] {
        &self.own
    }

    /// Whether a name always passes: the operator protects it, or one above it, or it is the
    /// node's own.
    #[must_use]
    pub fn covers(&self, name: &Name) -> bool {
        self.names.covers(name) || self.own_names.has(name)
    }

    /// The operator's name that a name is or lies below.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<&Name> {
        self.names.find(name)
    }

    /// The key of the configuration at which a name stands as this node's own.
    #[must_use]
    pub fn find_own(&self, name: &Name) -> Option<&'static str> {
        if !self.own_names.has(name) {
            return None;
        }
        let is_it = |own: &&Own| own.host == OwnHost::Name(*name);
        Some(self.own.iter().find(is_it)?.key)
    }

    /// The address of this node's own within a range, and the key of the configuration that
    /// it stands at.
    #[must_use]
    pub fn find_own_address(&self, range: &Prefix) -> Option<(IpAddr, &'static str)> {
        self.own.iter().find_map(|own| match own.host {
            OwnHost::Address(address) if range.contains(address) => Some((address, own.key)),
            _ => None,
        })
    }

    /// The names that lie below a name, at most `most` of them.
    #[must_use]
    pub fn below(&self, name: &Name, most: usize) -> Vec<Name> {
        let mut below = self.own_names.below(name, most);
        below.extend(self.names.below(name, most.saturating_sub(below.len())));
        below
    }
}
