//! The built-in certificate authority: a root that devices of the district can trust without
//! trusting us for the rest of the web, and a leaf for all names and addresses of this appliance.
//!
//! The root is good for ten years and constrained (RFC 5280 section 4.2.1.10, critical) to the
//! appliance's names and to private addresses. The leaf is good for 397 days and is replaced after
//! two thirds of them, or when the names or addresses change. Private keys come from outside and
//! are never written here.
//!
//! **Invariant:** a leaf outside the root's constraints is never made; it is an error with a name.

mod error;
mod leaf;
mod names;
mod root;

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use belfry_model::Timestamp;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use error::Error;
pub use names::Names;

/// A clock before this is wrong: the program is younger (2026-01-01T00:00:00Z).
const CLOCK_MIN: Timestamp = Timestamp(1_767_225_600_000);
/// File names within the folder.
const ROOT_PEM: &str = "root.pem";
const LEAF_PEM: &str = "leaf.pem";

/// A new private key for [`Certificates::open`]: P-256, PKCS #8 DER.
pub fn generate_key() -> Result<Zeroizing<Vec<u8>>, Error> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|source| Error::Make { what: "a private key", source })?;
    Ok(Zeroizing::new(key.serialize_der()))
}

/// The root and the leaf in use.
#[derive(Debug)]
pub struct Certificates {
    /// For devices that are to trust this appliance.
    pub root_pem: String,
    pub root: CertificateDer<'static>,
    pub leaf: CertificateDer<'static>,
    /// When the leaf ends, if it is not replaced before.
    pub leaf_not_after: Timestamp,
    /// What was made anew by this call; each belongs in the record.
    pub made: Made,
    leaf_key: Zeroizing<Vec<u8>>,
}

/// What [`Certificates::open`] had to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    pub root: bool,
    pub leaf: bool,
}

impl Certificates {
    /// Reads the certificates of `dir`, or makes what is missing, near its end or for other names.
    /// The keys are PKCS #8 DER of P-256 ([`generate_key`]); a root that belongs to another key is
    /// an error.
    pub fn open(
        dir: &Path,
        names: &Names,
        root_key: &[u8],
        leaf_key: Zeroizing<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        if now < CLOCK_MIN {
            return Err(Error::Clock);
        }
        fs::create_dir_all(dir).map_err(Error::writing(dir))?;
        let root_pair = key_pair(root_key)?;
        let leaf_pair = key_pair(&leaf_key)?;
        let (root, made_root) = match root::read(&dir.join(ROOT_PEM), &root_pair, now)? {
            Some(root) => (root, false),
            None => (root::make(&dir.join(ROOT_PEM), &root_pair, names, now)?, true),
        };
        names.check_within(&root)?;
        let path = dir.join(LEAF_PEM);
        let current = leaf::read(&path)?
            .filter(|leaf| !made_root && leaf.serves(names, now) && leaf.belongs_to(&leaf_pair));
        let made_leaf = current.is_none();
        let leaf = match current {
            Some(leaf) => leaf,
            None => leaf::make(&path, &root, root_pair, &leaf_pair, names, now)?,
        };
        Ok(Self {
            root_pem: root.pem,
            root: root.der,
            leaf: leaf.der,
            leaf_not_after: leaf.not_after,
            made: Made { root: made_root, leaf: made_leaf },
            leaf_key,
        })
    }

    /// SHA-256 of the root: what devices show as its fingerprint.
    pub fn root_digest(&self) -> [u8; 32] {
        Sha256::digest(&self.root).into()
    }

    /// SHA-256 of the leaf.
    pub fn leaf_digest(&self) -> [u8; 32] {
        Sha256::digest(&self.leaf).into()
    }

    /// The chain that a TLS server sends. Clients have the root, so it is not part of it.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.leaf.clone()]
    }

    /// The leaf's private key, for the TLS server.
    pub fn leaf_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.leaf_key.to_vec()))
    }
}

fn key_pair(der: &[u8]) -> Result<rcgen::KeyPair, Error> {
    let der = PrivatePkcs8KeyDer::from(der);
    rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|source| Error::Make { what: "use of a private key", source })
}

/// Addresses that never leave a site: RFC 1918, RFC 6598, loopback, link-local and RFC 4193. A root
/// constrained to them cannot speak for anything on the Internet.
const PRIVATE: [(IpAddr, u8); 9] = [
    (IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(std::net::Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(std::net::Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(std::net::Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

#[cfg(test)]
mod tests;
