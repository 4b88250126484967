//! The network that an address is in, which is all that is kept of it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// Bits of an IPv4 address that name a network of a school.
const V4_BITS: u32 = 24;
/// Bits of an IPv6 address that name a site.
const V6_BITS: u32 = 48;

/// A /24 of IPv4 or a /48 of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subnet(IpAddr);

impl Subnet {
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => {
                Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << (32 - V4_BITS))).into()
            }
            IpAddr::V6(address) => {
                Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - V6_BITS))).into()
            }
        })
    }

    /// Reads what [`fmt::Display`] wrote; `None`: it is not such a network.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, _) = text.split_once('/')?;
        let subnet = Self::of(address.parse().ok()?);
        (subnet.to_string() == text).then_some(subnet)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = if self.0.is_ipv4() { V4_BITS } else { V6_BITS };
        write!(f, "{}/{bits}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Subnet;

    #[test]
    fn of_an_address_only_its_network_is_left() {
        let of = |text: &str| Subnet::of(text.parse().expect("an address")).to_string();
        assert_eq!(of("10.4.7.93"), "10.4.7.0/24");
        assert_eq!(of("::ffff:10.4.7.93"), "10.4.7.0/24");
        assert_eq!(of("2001:db8:12:34::1"), "2001:db8:12::/48");
        assert_eq!(of("::1"), "::/48");
    }

    #[test]
    fn a_network_reads_back_and_nothing_else_does() {
        for text in ["10.4.7.0/24", "2001:db8:12::/48", "::/48"] {
            assert_eq!(Subnet::parse(text).map(|subnet| subnet.to_string()).as_deref(), Some(text));
        }
        for text in ["10.4.7.1/24", "10.4.7.0/16", "10.4.7.0", "=cmd|' /C calc'!A0", "::1/48", ""] {
            assert_eq!(Subnet::parse(text), None, "{text}");
        }
    }
}
