//! Our DTLS against the library's own client, which can be told what to offer.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use belfry_model::{Outside, outside::Target};
use proptest::prelude::*;
use rtc_dtls::{
    config::ConfigBuilder,
    endpoint::{Endpoint, EndpointEvent},
    extension::extension_use_srtp::SrtpProtectionProfile::{
        self, Srtp_Aead_Aes_128_Gcm as Gcm128, Srtp_Aead_Aes_256_Gcm as Gcm256,
        Srtp_Aes128_Cm_Hmac_Sha1_32 as Cm32, Srtp_Aes128_Cm_Hmac_Sha1_80 as Cm80,
    },
};
use rtc_shared::TransportProtocol;

use super::{Certificate, Dtls, HELLOS, Hello, RECORDS, REMOTE, Turn};
use crate::{connection::Setup, crypto, srtp::Profile};

static OURS: LazyLock<Arc<Certificate>> =
    LazyLock::new(|| Arc::new(Certificate::generate().expect("aws-lc makes P-256 keys")));
static THEIRS: LazyLock<Certificate> =
    LazyLock::new(|| Certificate::generate().expect("aws-lc makes P-256 keys"));

fn client(profiles: &[SrtpProtectionProfile], mtu: usize, now: Instant) -> Endpoint {
    let config = ConfigBuilder::default()
        .with_crypto_provider(crypto::provider())
        .with_certificates(vec![THEIRS.certificate.clone()])
        .with_srtp_protection_profiles(profiles.to_vec())
        .with_insecure_skip_verify(true)
        .with_mtu(mtu)
        .build(true, Some(REMOTE))
        .expect("a valid configuration");
    let mut endpoint = Endpoint::new(REMOTE, TransportProtocol::UDP, None);
    endpoint.connect(now, REMOTE, Arc::new(config), None).expect("a client begins");
    endpoint
}

/// Runs a handshake; the profile in the end, `None` if it failed.
fn handshake(profiles: &[SrtpProtectionProfile], mtu: usize) -> Option<Profile> {
    let mut now = Instant::now();
    let mut client = client(profiles, mtu, now);
    let mut server = Dtls::new(Arc::clone(&OURS));
    server.expect(*THEIRS.digest(), Setup::Active);
    let (mut turns, mut client_done) = (Vec::new(), false);
    for _ in 0..50 {
        while let Some(datagram) = client.poll_transmit() {
            server.receive(&datagram.message, now, &mut turns).expect("a client's datagram");
        }
        while let Some(datagram) = server.poll_transmit() {
            let events = client.read(now, REMOTE, None, datagram).unwrap_or_default();
            client_done |= events.iter().any(|e| matches!(e, EndpointEvent::HandshakeComplete));
        }
        now += Duration::from_millis(10);
    }
    turns.into_iter().find_map(|turn| match turn {
        Turn::Established(keys) => Some(keys.profile).filter(|_| client_done),
        Turn::Data(_) | Turn::Over => None,
    })
}

#[test]
fn gcm_wins_wherever_the_client_puts_it() {
    // As Chromium orders them.
    assert_eq!(handshake(&[Cm80, Gcm256, Gcm128], 1200), Some(Profile::AeadAes128Gcm));
    assert_eq!(handshake(&[Cm80, Gcm256], 1200), Some(Profile::AeadAes256Gcm));
    assert_eq!(handshake(&[Cm80], 1200), Some(Profile::Aes128CmSha1_80));
    assert_eq!(handshake(&[Cm32], 1200), None);
}

#[test]
fn a_hello_in_pieces_is_put_together() {
    assert_eq!(handshake(&[Cm80, Gcm128], 60), Some(Profile::AeadAes128Gcm));
}

#[test]
fn the_seed_of_the_hello_offers_gcm() {
    let offered = HELLOS.parse(Outside::new(HELLOS.seed())).expect("the seed is a hello");
    assert_eq!(offered, [7]);
    assert!(RECORDS.feed(RECORDS.seed()));
}

proptest! {
    #[test]
    fn no_bytes_make_the_peek_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..80),
        at in 0_usize..54,
        value in any::<u8>(),
    ) {
        RECORDS.feed(&noise);
        HELLOS.feed(&noise);
        let mut seed = HELLOS.seed().to_vec();
        if let Some(byte) = seed.get_mut(at) {
            *byte = value;
        }
        HELLOS.feed(&seed);
        // One record with the seed as a handshake message, damaged.
        let len = (seed.len() + 12) as u16;
        let mut record = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0];
        record.extend(len.to_be_bytes());
        record.extend([1, 0, 0, 54, 0, 0, 0, 0, 0, 0, 0, 54]);
        record.extend(&seed);
        if let Some(byte) = record.get_mut(at) {
            *byte = value;
        }
        if let Ok(records) = RECORDS.parse(Outside::new(&record)) {
            let mut hello = Hello::default();
            for fragment in &records.hellos {
                hello.add(fragment);
            }
            hello.profiles();
        }
        let mut turns = Vec::new();
        let mut server = Dtls::new(Arc::clone(&OURS));
        server.expect([0; 32], Setup::Active);
        let _refused = server.receive(&record, Instant::now(), &mut turns);
    }
}
