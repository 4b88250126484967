//! The names and addresses that the appliance answers to, and the constraints that hold them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::PRIVATE;
use crate::error::Error;
use crate::root::Root;

/// Host names and addresses of the appliance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// DNS names in lower case; the first one is what people type.
    pub hosts: Vec<String>,
    pub addresses: BTreeSet<IpAddr>,
}

impl Names {
    /// What the root may speak for: these names (and names below them), private addresses, and
    /// those of these addresses that are public.
    pub(crate) fn constraints(&self) -> NameConstraints {
        let hosts = self.hosts.iter().cloned().map(GeneralSubtree::DnsName);
        let private = PRIVATE.map(|(address, bits)| subnet(address, bits));
        let public = self
            .addresses
            .iter()
            .filter(|address| !is_private(**address))
            .map(|address| subnet(*address, if address.is_ipv4() { 32 } else { 128 }));
        NameConstraints {
            permitted_subtrees: hosts.chain(private).chain(public).collect(),
            excluded_subtrees: Vec::new(),
        }
    }

    /// Every name and address is one that the root may speak for.
    pub(crate) fn check_within(&self, root: &Root) -> Result<(), Error> {
        let outside = |name: String| Error::OutsideConstraints { name };
        let (hosts, subnets) = permitted(root).ok_or_else(|| outside("every name".to_owned()))?;
        for host in &self.hosts {
            let inside =
                hosts.iter().any(|base| host == base || host.ends_with(&format!(".{base}")));
            if !inside {
                return Err(outside(host.clone()));
            }
        }
        for address in &self.addresses {
            if !subnets.iter().any(|subnet| contains(subnet, *address)) {
                return Err(outside(address.to_string()));
            }
        }
        Ok(())
    }
}

fn subnet(address: IpAddr, bits: u8) -> GeneralSubtree {
    GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, bits))
}

/// The permitted subtrees as the root holds them: DNS names, and address followed by mask.
fn permitted(root: &Root) -> Option<(Vec<String>, Vec<Vec<u8>>)> {
    // inside: the root that this crate made.
    let (_, certificate) = X509Certificate::from_der(&root.der).ok()?;
    let constraints = certificate.extensions().iter().find_map(|extension| {
        match extension.parsed_extension() {
            ParsedExtension::NameConstraints(constraints) => Some(constraints),
            _ => None,
        }
    })?;
    let mut hosts = Vec::new();
    let mut subnets = Vec::new();
    for subtree in constraints.permitted_subtrees.as_ref()? {
        match subtree.base {
            GeneralName::DNSName(name) => hosts.push(name.to_owned()),
            GeneralName::IPAddress(bytes) => subnets.push(bytes.to_owned()),
            _ => {}
        }
    }
    Some((hosts, subnets))
}

/// `subnet` is address and mask, one after the other, as in RFC 5280 section 4.2.1.10.
fn contains(subnet: &[u8], address: IpAddr) -> bool {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (base, mask) = subnet.split_at(subnet.len() / 2);
    base.len() == bytes.len()
        && bytes.iter().zip(base).zip(mask).all(|((byte, base), mask)| byte & mask == base & mask)
}

fn is_private(address: IpAddr) -> bool {
    PRIVATE.iter().any(|(base, bits)| match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => {
            let shift = 32 - u32::from(*bits);
            u32::from(*base) >> shift == u32::from(address) >> shift
        }
        (IpAddr::V6(base), IpAddr::V6(address)) => {
            let shift = 128 - u32::from(*bits);
            u128::from(*base) >> shift == u128::from(address) >> shift
        }
        _ => false,
    })
}
