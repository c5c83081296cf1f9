//! IP addresses and blocks of them, as people write them.

use std::net::IpAddr;

/// A block of addresses: one of them, and how many of its first bits all have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// As it was written; not always the first of the block.
    pub address: IpAddr,
    /// At most 32 for IPv4, 128 for IPv6.
    pub bits: u8,
}

impl Cidr {
    /// Reads `address/bits`, with zeros in front of numbers; `None` when it is no block.
    ///
    /// Source: `k8s.io/utils/net` `ParseCIDRSloppy`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let is_number = bits.bytes().all(|byte| byte.is_ascii_digit());
        let (address, bits) = (parse_ip(address)?, bits.parse().ok()?);
        let most = if address.is_ipv4() { 32 } else { 128 };
        (is_number && bits <= most).then_some(Self { address, bits })
    }

    /// The first address of the block.
    pub fn first(&self) -> IpAddr {
        first(self.address, self.bits)
    }

    /// Whether an address is in the block.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && first(address, self.bits) == self.first()
    }

    /// Whether all of another block is in this one.
    pub fn covers(&self, other: &Self) -> bool {
        self.bits <= other.bits && self.holds(other.address)
    }
}

fn first(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into()));
            IpAddr::V4((u32::from(address) & mask.unwrap_or_default()).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into()));
            IpAddr::V6((u128::from(address) & mask.unwrap_or_default()).into())
        }
    }
}

/// An address, with leading zeros allowed in its v4 form.
///
/// Source: `k8s.io/utils/net` `ParseIPSloppy`.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() == 4 && !text.contains(':') {
        let trimmed: Vec<&str> = parts
            .iter()
            .map(|part| match part.trim_start_matches('0') {
                "" if !part.is_empty() => "0",
                rest => rest,
            })
            .collect();
        return trimmed.join(".").parse().ok();
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        Cidr::parse(text).unwrap()
    }

    #[test]
    fn blocks_are_read_and_hold_addresses() {
        let block = cidr("10.1.2.3/16");
        assert_eq!(block.first().to_string(), "10.1.0.0");
        assert!(block.holds("10.1.255.255".parse().unwrap()));
        assert!(!block.holds("10.2.0.0".parse().unwrap()));
        assert!(!block.holds("fd00::1".parse().unwrap()));
        assert!(cidr("0.0.0.0/0").holds("255.0.0.1".parse().unwrap()));
        assert!(!cidr("::/0").holds("255.0.0.1".parse().unwrap()));
        assert_eq!(cidr("fd00::9/64").first().to_string(), "fd00::");
        assert_eq!(cidr("010.0.0.0/08"), cidr("10.0.0.0/8"));
        for bad in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/+8",
            "10.0.0/8",
            "10.0.0.0/",
        ] {
            assert_eq!(Cidr::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_block_covers_what_is_within_it() {
        let outer = cidr("10.0.0.0/8");
        assert!(outer.covers(&outer) && outer.covers(&cidr("10.9.0.0/16")));
        assert!(!cidr("10.9.0.0/16").covers(&outer));
        assert!(!outer.covers(&cidr("11.0.0.0/16")) && !outer.covers(&cidr("fd00::/64")));
    }
}
