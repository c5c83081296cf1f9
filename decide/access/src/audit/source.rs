//! From where a request came, as far as its headers say so.

use std::net::IpAddr;

/// The addresses that a request came from and went through, the nearest last. All but the last may be made up.
///
/// `forwarded_for` and `real_ip` are the headers `X-Forwarded-For` (the first of them) and `X-Real-Ip`.
///
/// Source: apimachinery `util/net` `SourceIPs`.
pub fn source_ips(forwarded_for: &str, real_ip: &str, remote: IpAddr) -> Vec<IpAddr> {
    let parts = forwarded_for.split(',').map(str::trim);
    let mut ips: Vec<IpAddr> = parts.filter_map(|part| part.parse().ok()).collect();
    if let Ok(real) = real_ip.trim().parse()
        && !ips.contains(&real)
    {
        ips.push(real);
    }
    let remote = remote.to_canonical();
    if ips.last() != Some(&remote) {
        ips.push(remote);
    }
    ips
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_is_the_last_and_nobody_stands_twice_in_a_row() {
        let remote: IpAddr = "10.0.0.9".parse().unwrap();
        let shown = |forwarded: &str, real: &str| {
            let ips = source_ips(forwarded, real, remote);
            ips.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(shown("", ""), ["10.0.0.9"]);
        assert_eq!(shown("1.2.3.4, nobody", "1.2.3.4"), ["1.2.3.4", "10.0.0.9"]);
        assert_eq!(shown("1.2.3.4", "::1"), ["1.2.3.4", "::1", "10.0.0.9"]);
        assert_eq!(shown("10.0.0.9", ""), ["10.0.0.9"]);
    }
}
