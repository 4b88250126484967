//! The leaf certificate: what the HTTPS port shows.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;

use belfry_model::Timestamp;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::Error;
use crate::names::Names;
use crate::root::{Root, date, write};

/// What browsers accept of public roots, and so of nobody less.
const DAYS_VALID: i64 = 397;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const BACKDATED_MS: i64 = DAY_MS;

/// The leaf as it is on the disk.
pub(crate) struct Leaf {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) not_after: Timestamp,
    not_before: Timestamp,
    names: Names,
    public_key: Vec<u8>,
}

impl Leaf {
    /// It is for exactly these names, begun, and in the first two thirds of its time.
    pub(crate) fn serves(&self, names: &Names, now: Timestamp) -> bool {
        let whole = self.not_after.since_ms(self.not_before);
        let hosts = |names: &Names| names.hosts.iter().cloned().collect::<BTreeSet<_>>();
        hosts(&self.names) == hosts(names)
            && self.names.addresses == names.addresses
            && now >= self.not_before
            && now.since_ms(self.not_before) < whole / 3 * 2
    }

    pub(crate) fn belongs_to(&self, key: &KeyPair) -> bool {
        self.public_key == key.der_bytes()
    }
}

/// `None` if there is none, or none that can be read: the leaf is ours to replace at any time.
pub(crate) fn read(path: &Path) -> Result<Option<Leaf>, Error> {
    match fs::read(path) {
        Ok(pem) => Ok(parse(&pem)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::reading(path)(error)),
    }
}

fn parse(pem: &[u8]) -> Option<Leaf> {
    // inside: this crate wrote the file.
    let der = CertificateDer::from_pem_slice(pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let mut names = Names::default();
    for name in &certificate.subject_alternative_name().ok()??.value.general_names {
        match name {
            GeneralName::DNSName(host) => names.hosts.push((*host).to_owned()),
            GeneralName::IPAddress(bytes) => {
                names.addresses.insert(address(bytes)?);
            }
            _ => {}
        }
    }
    let at = |time: x509_parser::time::ASN1Time| Timestamp(time.timestamp() * 1000);
    let validity = certificate.validity();
    let (not_before, not_after) = (at(validity.not_before), at(validity.not_after));
    let public_key = certificate.public_key().subject_public_key.data.to_vec();
    Some(Leaf { names, not_before, not_after, public_key, der: der.clone() })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

pub(crate) fn make(
    path: &Path,
    root: &Root,
    root_key: KeyPair,
    key: &KeyPair,
    names: &Names,
    now: Timestamp,
) -> Result<Leaf, Error> {
    let making = || Error::making("the certificate of the HTTPS port");
    let mut params = CertificateParams::new(names.hosts.clone()).map_err(making())?;
    params.subject_alt_names.extend(names.addresses.iter().copied().map(SanType::IpAddress));
    if let Some(host) = names.hosts.first() {
        params.distinguished_name.push(DnType::CommonName, host.as_str());
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = date(now.plus_ms(-BACKDATED_MS));
    params.not_after = date(now.plus_ms(DAYS_VALID * DAY_MS - BACKDATED_MS));
    let issuer = Issuer::from_ca_cert_der(&root.der, root_key).map_err(making())?;
    let certificate = params.signed_by(key, &issuer).map_err(making())?;
    let pem = certificate.pem();
    write(path, &pem)?;
    parse(pem.as_bytes()).ok_or_else(|| Error::Malformed { path: path.to_owned() })
}
