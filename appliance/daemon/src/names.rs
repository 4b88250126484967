//! The names and addresses at which this machine is reached.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;

use anyhow::{Context, Result};
use belfry_certs::Names;
use belfry_settings::Settings;

/// The longest host name (RFC 1123 section 2.1).
const HOST_CHARS_MAX: usize = 253;

/// Those of the settings, the machine's own name, and `localhost`.
fn hosts(settings: &Settings) -> Vec<String> {
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let own = own.trim().to_ascii_lowercase();
    let mut hosts: Vec<String> = settings.host_names().to_vec();
    for name in [own, "localhost".to_owned()] {
        if is_host(&name) && !hosts.contains(&name) {
            hosts.push(name);
        }
    }
    hosts
}

fn is_host(name: &str) -> bool {
    let letters = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= HOST_CHARS_MAX && name.split('.').all(letters)
}

/// Addresses that a client can use: those of the settings, or of the machine's network cards.
pub(crate) fn addresses(settings: &Settings) -> Result<BTreeSet<IpAddr>> {
    let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from(std::net::Ipv6Addr::LOCALHOST)];
    let stated = settings.advertised_addresses();
    if !stated.is_empty() {
        return Ok(stated.iter().copied().chain(loopback).collect());
    }
    let cards = if_addrs::get_if_addrs().context("cannot list this machine's addresses")?;
    let usable = |address: &IpAddr| match address {
        // A link-local address means nothing without the card's name, which a candidate cannot hold.
        IpAddr::V6(address) => !address.is_unicast_link_local(),
        IpAddr::V4(_) => true,
    };
    Ok(cards.into_iter().map(|card| card.ip()).filter(usable).collect())
}

/// All of it, for the certificate.
pub(crate) fn names(settings: &Settings) -> Result<Names> {
    Ok(Names { hosts: hosts(settings), addresses: addresses(settings)? })
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn only_host_names_go_into_the_certificate() {
        for name in ["class.cedar.lan", "box-1", "localhost"] {
            assert!(is_host(name), "{name}");
        }
        for name in ["", "a b", "-a", "a..b", "ü", "(none)"] {
            assert!(!is_host(name), "{name}");
        }
    }
}
