//! IPv4 subnets: arithmetic, and the choice of one that nobody uses.

use std::{fmt, net::Ipv4Addr, str::FromStr};

/// The range from which each instance takes the subnet of its pods.
pub(crate) const POD_RANGE: Subnet = Subnet {
    base: 0x0a58_0000,
    prefix: 16,
};

/// Prefix of the subnet of one node: room for 254 pods and the bridge.
///
/// Source: Kubernetes, kube-controller-manager, `--node-cidr-mask-size-ipv4`.
pub(crate) const NODE_PREFIX: u8 = 24;

/// An IPv4 subnet, such as `10.88.7.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

/// Why a text is no IPv4 subnet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an IPv4 subnet such as 10.88.7.0/24")]
pub struct ParseSubnetError(String);

impl Subnet {
    /// The subnet of `prefix` bits (at most 32) that an address lies in.
    pub fn around(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        Self {
            base: address.to_bits() & mask(prefix),
            prefix,
        }
    }

    /// The first address, which names the subnet.
    pub fn base(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base)
    }

    /// How many leading bits all addresses share.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The first address a host may have; the bridge takes it.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base.saturating_add(1))
    }

    /// Whether an address lies in the subnet.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.base
    }

    /// Whether two subnets share an address.
    pub fn overlaps(self, other: Self) -> bool {
        let mask = mask(self.prefix.min(other.prefix));
        self.base & mask == other.base & mask
    }

    /// The parts of this subnet that have `prefix` bits, from the `start`th on, around once.
    fn parts(self, prefix: u8, start: u32) -> impl Iterator<Item = Self> {
        let count = 1_u32
            .checked_shl(u32::from(prefix.saturating_sub(self.prefix)))
            .unwrap_or(1);
        (0..count).map(move |step| {
            let index = start.wrapping_add(step) % count;
            let shift = 32_u32.saturating_sub(u32::from(prefix));
            Self {
                base: self.base | index.checked_shl(shift).unwrap_or_default(),
                prefix,
            }
        })
    }
}

/// Chooses the subnet of a node: the first free one of the pod range, looking from `seed` on.
///
/// `None` when everything overlaps something in use.
pub(crate) fn choose(in_use: &[Subnet], seed: u32) -> Option<Subnet> {
    POD_RANGE
        .parts(NODE_PREFIX, seed)
        .find(|part| !in_use.iter().any(|used| used.overlaps(*part)))
}

fn mask(prefix: u8) -> u32 {
    u32::MAX
        .checked_shl(32 - u32::from(prefix.min(32)))
        .unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base(), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = ParseSubnetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (address, prefix) = text.split_once('/')?;
            let (address, prefix) = (address.parse().ok()?, prefix.parse().ok()?);
            let subnet = Self::around(address, prefix);
            (prefix <= 32 && subnet.base() == address).then_some(subnet)
        };
        parse().ok_or_else(|| ParseSubnetError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn subnets_read_and_print_alike() {
        for text in ["10.88.7.0/24", "0.0.0.0/0", "192.0.2.1/32"] {
            assert_eq!(subnet(text).to_string(), text);
        }
        for text in [
            "",
            "10.88.7.0",
            "10.88.7.1/24",
            "10.88.7.0/33",
            "::/0",
            "10.88.7.0/x",
        ] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
    }

    #[test]
    fn overlap_is_seen_from_both_sides() {
        let cases = [
            ("10.88.0.0/16", "10.88.7.0/24", true),
            ("10.88.6.0/24", "10.88.7.0/24", false),
            ("0.0.0.0/0", "10.88.7.0/24", true),
        ];
        for (a, b, expected) in cases {
            assert_eq!(subnet(a).overlaps(subnet(b)), expected, "{a} {b}");
            assert_eq!(subnet(b).overlaps(subnet(a)), expected, "{b} {a}");
        }
    }

    #[test]
    fn the_choice_skips_what_is_in_use_and_wraps_around() {
        assert_eq!(choose(&[], 7), Some(subnet("10.88.7.0/24")));
        assert_eq!(
            choose(&[subnet("10.88.7.0/24")], 7),
            Some(subnet("10.88.8.0/24"))
        );
        assert_eq!(
            choose(&[subnet("10.88.255.0/24")], 255),
            Some(subnet("10.88.0.0/24"))
        );
        assert_eq!(choose(&[], 0x1_07), Some(subnet("10.88.7.0/24")));
        assert_eq!(choose(&[subnet("10.0.0.0/8")], 7), None);
    }

    #[test]
    fn the_gateway_is_the_first_host() {
        assert_eq!(
            subnet("10.88.7.0/24").gateway(),
            Ipv4Addr::new(10, 88, 7, 1)
        );
        assert!(subnet("10.88.7.0/24").contains(Ipv4Addr::new(10, 88, 7, 255)));
        assert!(!subnet("10.88.7.0/24").contains(Ipv4Addr::new(10, 88, 8, 0)));
    }
}
