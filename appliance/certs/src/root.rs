//! The root certificate.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use belfry_model::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::Error;
use crate::names::Names;

const YEARS_VALID: i64 = 10;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Clocks of clients may be a little behind ours.
const BACKDATED_MS: i64 = DAY_MS;

/// The root as it is on the disk.
pub(crate) struct Root {
    pub(crate) pem: String,
    pub(crate) der: CertificateDer<'static>,
}

/// `None` if there is none. One of another key, or one that is not valid now, is an error: making
/// a new one would cut off every device that trusts it.
pub(crate) fn read(path: &Path, key: &KeyPair, now: Timestamp) -> Result<Option<Root>, Error> {
    let pem = match fs::read_to_string(path) {
        Ok(pem) => pem,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::reading(path)(error)),
    };
    let malformed = || Error::Malformed { path: path.to_owned() };
    // inside: this crate wrote the file.
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| malformed())?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| malformed())?;
    if certificate.public_key().subject_public_key.data != key.der_bytes() {
        return Err(Error::OtherKey { path: path.to_owned() });
    }
    let valid = certificate.validity();
    let seconds = now.as_secs();
    if seconds < valid.not_before.timestamp() || seconds > valid.not_after.timestamp() {
        return Err(Error::RootNotValid);
    }
    Ok(Some(Root { pem, der }))
}

pub(crate) fn make(
    path: &Path,
    key: &KeyPair,
    names: &Names,
    now: Timestamp,
) -> Result<Root, Error> {
    let mut params = CertificateParams::default();
    let name = names.hosts.first().map_or("this appliance", String::as_str);
    params.distinguished_name.push(DnType::OrganizationName, "Belfry");
    params.distinguished_name.push(DnType::CommonName, format!("Belfry root for {name}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(names.constraints());
    params.not_before = date(now.plus_ms(-BACKDATED_MS));
    params.not_after = date(now.plus_ms(YEARS_VALID * 365 * DAY_MS));
    let certificate = params.self_signed(key).map_err(Error::making("the root certificate"))?;
    let root = Root { pem: certificate.pem(), der: certificate.der().clone() };
    write(path, &root.pem)?;
    Ok(root)
}

/// The whole file or nothing of it.
pub(crate) fn write(path: &Path, pem: &str) -> Result<(), Error> {
    let partial = path.with_extension("partial");
    fs::write(&partial, pem).map_err(Error::writing(&partial))?;
    fs::rename(&partial, path).map_err(Error::writing(path))
}

pub(crate) fn date(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.as_secs())
        .expect("a checked clock and a few years lie within the calendar")
}
