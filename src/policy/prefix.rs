//! [`Prefix`]: an address range, for triggers on addresses and for client networks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

/// An IPv4 or IPv6 address range: an address and the number of its leading bits that count.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Why some text is not an address or prefix.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum PrefixError {
    /// The part before the slash is not an IPv4 or IPv6 address.
    #[error("this is neither an address nor a prefix such as 192.0.2.0/24")]
    Address,
    /// The length is not a number, or above 32 (IPv4) or 128 (IPv6).
    #[error("the prefix length is not a number from 0 to 32 (IPv4) or 128 (IPv6)")]
    Length,
    /// Bits beyond the length are set.
    #[error(
        "the address has bits beyond its prefix length; did you mean the network's first address?"
    )]
    HostBits,
}

impl Prefix {
    /// The range of `length` leading bits of `address`.
    ///
    /// # Errors
    /// [`PrefixError::Length`] and [`PrefixError::HostBits`].
    pub fn new(address: IpAddr, length: u8) -> Result<Self, PrefixError> {
        if length > width(address) {
            return Err(PrefixError::Length);
        }
        let prefix = Self { address, length };
        if prefix.mask(address) == address {
            Ok(prefix)
        } else {
            Err(PrefixError::HostBits)
        }
    }

    /// The range of `length` leading bits that an address lies in; nothing where an address
    /// of its family has fewer bits.
    #[must_use]
    pub fn around(address: IpAddr, length: u8) -> Option<Self> {
        let prefix = Self { address, length };
        (length <= width(address)).then(|| Self {
            address: prefix.mask(address),
            length,
        })
    }

    /// The first address of the range.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The number of leading bits that count.
    #[must_use]
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Whether `address` lies in the range. An IPv4-mapped IPv6 address counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && self.mask(address) == self.address
    }

    fn mask(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.length))
                    .unwrap_or(0);
                IpAddr::from(std::net::Ipv4Addr::from(u32::from(v4) & mask))
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.length))
                    .unwrap_or(0);
                IpAddr::from(std::net::Ipv6Addr::from(u128::from(v6) & mask))
            }
        }
    }
}

const fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixError::Address)?;
        let length = match length {
            Some(text) => text.parse().map_err(|_| PrefixError::Length)?,
            None => width(address),
        };
        Self::new(address, length)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, PrefixError>) {
        let found = text.parse().map(|prefix: Prefix| prefix.to_string());
        assert_eq!(found, expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn text_becomes_a_range() {
        check("192.0.2.0/24", Ok("192.0.2.0/24"));
        check("192.0.2.1", Ok("192.0.2.1/32"));
        check("2001:db8::/32", Ok("2001:db8::/32"));
        check("0.0.0.0/0", Ok("0.0.0.0/0"));
        check("192.0.2.1/24", Err(PrefixError::HostBits));
        check("192.0.2.0/33", Err(PrefixError::Length));
        check("192.0.2/24", Err(PrefixError::Address));
    }

    #[test]
    fn contains_keeps_families_apart() {
        let all: Prefix = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        assert!(all.contains("::ffff:203.0.113.9".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
    }
}
