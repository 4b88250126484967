use std::net::IpAddr;
use std::path::Path;

use belfry_model::Timestamp;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use zeroize::Zeroizing;

use super::{Certificates, Error, Made, Names, generate_key};

const NOW: Timestamp = Timestamp(1_795_000_000_000);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

struct Keys {
    root: Zeroizing<Vec<u8>>,
    leaf: Zeroizing<Vec<u8>>,
}

impl Keys {
    fn new() -> Self {
        Self { root: generate_key().expect("a key"), leaf: generate_key().expect("a key") }
    }

    fn open(&self, dir: &Path, names: &Names, now: Timestamp) -> Result<Certificates, Error> {
        Certificates::open(dir, names, &self.root, self.leaf.clone(), now)
    }
}

fn names(host: &str, addresses: &[&str]) -> Names {
    Names {
        hosts: vec![host.to_owned(), "localhost".to_owned()],
        addresses: addresses.iter().map(|a| a.parse::<IpAddr>().expect("an address")).collect(),
    }
}

fn verifies(root: &CertificateDer<'_>, leaf: &CertificateDer<'_>, name: &str) -> bool {
    let anchor = anchor_from_trusted_cert(root).expect("the root is an anchor");
    let leaf = EndEntityCert::try_from(leaf).expect("the leaf parses");
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW.as_secs() as u64));
    let name = ServerName::try_from(name).expect("a server name");
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &[anchor],
        &[],
        at,
        KeyUsage::server_auth(),
        None,
        None,
    )
    .is_ok()
        && leaf.verify_is_valid_for_subject_name(&name).is_ok()
}

#[test]
fn the_leaf_is_good_for_every_name_and_address_and_for_no_other() {
    let dir = tempfile::tempdir().expect("a folder");
    let names = names("class.cedar.lan", &["192.168.1.5", "fd00::5"]);
    let made = Keys::new().open(dir.path(), &names, NOW).expect("certificates are made");
    for name in ["class.cedar.lan", "localhost", "192.168.1.5", "fd00::5"] {
        assert!(verifies(&made.root, &made.leaf, name), "{name}");
    }
    for name in ["example.org", "192.168.1.6"] {
        assert!(!verifies(&made.root, &made.leaf, name), "{name}");
    }
    assert_ne!(made.root_digest(), made.leaf_digest());
}

#[test]
fn a_leaf_outside_the_constraints_is_refused_by_us_and_by_clients() {
    let dir = tempfile::tempdir().expect("a folder");
    let keys = Keys::new();
    let ours = keys.open(dir.path(), &names("class.cedar.lan", &[]), NOW).expect("made");
    let foreign = names("example.org", &[]);
    let refused = keys.open(dir.path(), &foreign, NOW);
    assert!(matches!(refused, Err(Error::OutsideConstraints { name }) if name == "example.org"));
    // Made behind our own check, a client refuses it.
    let root = crate::root::Root { pem: ours.root_pem.clone(), der: ours.root.clone() };
    let pair = |der: &[u8]| crate::key_pair(der).expect("a key pair");
    let path = dir.path().join("foreign.pem");
    let leaf = crate::leaf::make(&path, &root, pair(&keys.root), &pair(&keys.leaf), &foreign, NOW)
        .expect("a certificate is made");
    assert!(!verifies(&ours.root, &leaf.der, "example.org"));
}

#[test]
fn the_same_certificates_are_used_again_until_names_change_or_two_thirds_are_over() {
    let dir = tempfile::tempdir().expect("a folder");
    let keys = Keys::new();
    let names = names("class.cedar.lan", &["10.0.0.5"]);
    let first = keys.open(dir.path(), &names, NOW).expect("made");
    assert_eq!(first.made, Made { root: true, leaf: true });
    let again = keys.open(dir.path(), &names, NOW.plus_ms(200 * DAY_MS)).expect("read");
    assert_eq!(again.made, Made::default());
    assert_eq!(again.leaf, first.leaf);
    let late = keys.open(dir.path(), &names, NOW.plus_ms(270 * DAY_MS)).expect("renewed");
    assert_eq!(late.made, Made { root: false, leaf: true });
    assert_eq!(late.root, first.root);
    let mut moved = names.clone();
    moved.addresses = ["10.0.0.6".parse().expect("an address")].into();
    assert!(keys.open(dir.path(), &moved, NOW).expect("renewed").made.leaf);
}

#[test]
fn a_wrong_clock_and_a_foreign_key_are_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let names = names("class.cedar.lan", &[]);
    let keys = Keys::new();
    assert!(matches!(keys.open(dir.path(), &names, Timestamp(0)), Err(Error::Clock)));
    keys.open(dir.path(), &names, NOW).expect("made");
    let eleven_years = NOW.plus_ms(11 * 365 * DAY_MS);
    assert!(matches!(keys.open(dir.path(), &names, eleven_years), Err(Error::RootNotValid)));
    assert!(matches!(Keys::new().open(dir.path(), &names, NOW), Err(Error::OtherKey { .. })));
}
