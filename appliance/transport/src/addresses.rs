//! Which addresses go into candidates.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use crate::sys::interface_addresses;

/// The candidates of sockets that listen on `listening`: the configured addresses with each port,
/// or, if none are configured, what the sockets can be reached at.
pub(crate) fn candidates(
    listening: &[SocketAddr],
    advertise: &[IpAddr],
) -> io::Result<Vec<SocketAddr>> {
    if listening.iter().any(|address| address.ip().is_unspecified()) && advertise.is_empty() {
        return Ok(expand(listening, &interface_addresses()?));
    }
    if advertise.is_empty() {
        return Ok(expand(listening, &[]));
    }
    let mut candidates: Vec<SocketAddr> = Vec::new();
    for address in listening {
        candidates.extend(advertise.iter().map(|ip| SocketAddr::new(*ip, address.port())));
    }
    Ok(unique(candidates))
}

fn expand(listening: &[SocketAddr], interfaces: &[IpAddr]) -> Vec<SocketAddr> {
    let mut candidates = Vec::new();
    for address in listening {
        if !address.ip().is_unspecified() {
            candidates.push(*address);
            continue;
        }
        // A socket on `::` takes IPv4, too.
        let reachable = interfaces.iter().filter(|ip| address.is_ipv6() || ip.is_ipv4());
        let usable = reachable.filter(|ip| !is_link_local(**ip));
        candidates.extend(usable.map(|ip| SocketAddr::new(*ip, address.port())));
    }
    unique(candidates)
}

/// Link-local IPv6 needs a zone, and a candidate has no room for one.
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

fn unique(mut candidates: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = Vec::new();
    candidates.retain(|candidate| {
        let fresh = !seen.contains(candidate);
        seen.push(*candidate);
        fresh
    });
    candidates
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use super::{candidates, expand};

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_unspecified_address_becomes_those_of_the_interfaces() {
        let interfaces: Vec<IpAddr> = ["127.0.0.1", "10.0.0.5", "fe80::1", "2001:db8::5"]
            .map(|ip| ip.parse().expect("an address"))
            .into();
        assert_eq!(
            expand(&[address("0.0.0.0:3478")], &interfaces),
            [address("127.0.0.1:3478"), address("10.0.0.5:3478")]
        );
        assert_eq!(
            expand(&[address("[::]:1"), address("10.0.0.5:1")], &interfaces),
            [address("127.0.0.1:1"), address("10.0.0.5:1"), address("[2001:db8::5]:1")]
        );
    }

    #[test]
    fn configured_addresses_win() {
        let advertise = ["192.0.2.7".parse().expect("an address")];
        let made = candidates(&[address("0.0.0.0:3478")], &advertise).expect("no look-up needed");
        assert_eq!(made, [address("192.0.2.7:3478")]);
    }

    #[test]
    fn this_machine_has_a_loopback_address() {
        let made = candidates(&[address("0.0.0.0:5")], &[]).expect("interfaces can be listed");
        assert!(made.contains(&address("127.0.0.1:5")));
    }
}
