use rtc_srtp::{context::Context, protection_profile::ProtectionProfile};

use super::{Keys, Profile, SSRCS_INBOUND_MAX, Srtp, Unsealed};
use crate::{connection::Refused, crypto};

const PROFILES: [Profile; 3] =
    [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80];

fn pair(profile: Profile) -> (Srtp, Srtp) {
    let exported: Vec<u8> = (0..Keys::exported_len(profile)).map(|byte| byte as u8).collect();
    let end = |client| {
        let keys = Keys::from_exported(profile, &exported, client).expect("long enough");
        Srtp::new(&keys).expect("keys of the right lengths")
    };
    (end(true), end(false))
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x90, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 1]);
    packet.extend(ssrc.to_be_bytes());
    // A one-byte extension with one word.
    packet.extend([0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0]);
    packet.extend(payload);
    packet
}

fn seal(end: &mut Srtp, plain: &[u8]) -> Vec<u8> {
    let mut packet = plain.to_vec();
    packet.resize(plain.len() + end.rtp_overhead(), 0);
    end.seal_rtp(&mut packet).expect("a valid packet seals");
    packet
}

#[test]
fn what_one_end_seals_the_other_opens_in_every_profile() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        let plain = rtp(7, 65_535, b"payload");
        let mut sealed = seal(&mut client, &plain);
        assert_ne!(sealed[20..27], plain[20..27], "{profile:?} hides the payload");
        let len = server.open_rtp(&mut sealed).expect("authentic");
        assert_eq!(sealed[..len], plain);

        let mut report = vec![0x80, 201, 0, 1, 0, 0, 0, 9];
        let plain = report.clone();
        report.resize(plain.len() + server.rtcp_overhead(), 0);
        server.seal_rtcp(&mut report).expect("a valid packet seals");
        let mut again = report.clone();
        let len = client.open_rtcp(&mut report).expect("authentic");
        assert_eq!(report[..len], plain);
        assert_eq!(client.open_rtcp(&mut again), Err(Refused::Replayed));
    }
}

/// The client's end, made with a library that shares only the block ciphers with ours.
fn foreign(profile: Profile) -> (Context, Context) {
    let theirs = match profile {
        Profile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Profile::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        Profile::Aes128CmSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    let exported: Vec<u8> = (0..Keys::exported_len(profile)).map(|byte| byte as u8).collect();
    let keys = Keys::from_exported(profile, &exported, true).expect("long enough");
    let context = |key: &[u8], salt: &[u8]| {
        Context::new(key, salt, theirs, None, None, crypto::primitives()).expect("the same lengths")
    };
    (context(&keys.local_key, &keys.local_salt), context(&keys.remote_key, &keys.remote_salt))
}

#[test]
fn another_implementation_understands_every_profile_both_ways() {
    for profile in PROFILES {
        let (_, mut server) = pair(profile);
        let (mut out, mut back) = foreign(profile);
        for sequence in [65_534, 65_535, 0, 1] {
            let plain = rtp(7, sequence, b"payload");
            let mut sealed = out.encrypt_rtp(&plain).expect("seals").to_vec();
            let len = server.open_rtp(&mut sealed).expect("authentic");
            assert_eq!(sealed[..len], plain, "{profile:?}");
            let sealed = seal(&mut server, &plain);
            assert_eq!(back.decrypt_rtp(&sealed).expect("authentic"), plain, "{profile:?}");
        }
        for _ in 0..3 {
            let plain = [0x80, 201, 0, 1, 0, 0, 0, 9];
            let mut sealed = out.encrypt_rtcp(&plain).expect("seals").to_vec();
            let len = server.open_rtcp(&mut sealed).expect("authentic");
            assert_eq!(sealed[..len], plain, "{profile:?}");
            let mut sealed = plain.to_vec();
            sealed.resize(plain.len() + server.rtcp_overhead(), 0);
            server.seal_rtcp(&mut sealed).expect("seals");
            let opened = back.decrypt_rtcp(&sealed).expect("authentic");
            assert_eq!(opened[..], plain, "{profile:?}");
        }
    }
}

/// RFC 3711, appendix B.3.
#[test]
fn session_keys_are_those_of_the_rfc() {
    let key = [
        0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0, 0xd6, 0x4f, 0xa3, 0x2c, 0x06, 0xde, 0x41,
        0x39,
    ];
    let salt = [0x0e, 0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe, 0xeb, 0xb6, 0x96, 0x0b, 0x3a, 0xab, 0xe6];
    let cipher = super::keys::derive(&key, &salt, super::keys::Label::RtpKey, 16);
    assert_eq!(
        cipher.expect("AES-128 is there"),
        [
            0xc6, 0x1e, 0x7a, 0x93, 0x74, 0x4f, 0x39, 0xee, 0x10, 0x73, 0x4a, 0xfe, 0x3f, 0xf7,
            0xa0, 0x87
        ]
    );
    let salt_key = super::keys::derive(&key, &salt, super::keys::Label::RtpSalt, 14);
    assert_eq!(
        salt_key.expect("AES-128 is there"),
        [0x30, 0xcb, 0xbc, 0x08, 0x86, 0x3d, 0x8c, 0x85, 0xd4, 0x9d, 0xb3, 0x4a, 0x9a, 0xe1]
    );
}

#[test]
fn the_rollover_counter_follows_reordered_packets_over_the_edge() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        let order = [65_533_u16, 65_535, 65_534, 1, 0, 2, 32_770, 65_534, 1];
        let mut expected = 0;
        for (count, &sequence) in order.iter().enumerate() {
            let plain = rtp(7, sequence, &[count as u8]);
            let mut sealed = seal(&mut client, &plain);
            match server.open_rtp(&mut sealed) {
                Ok(len) => {
                    assert_eq!(sealed[..len], plain);
                    expected += 1;
                }
                Err(refused) => panic!("{profile:?} {sequence}: {refused:?}"),
            }
        }
        assert_eq!(expected, order.len());
    }
}

#[test]
fn a_replayed_or_very_late_packet_is_refused() {
    let (mut client, mut server) = pair(Profile::AeadAes128Gcm);
    let late = seal(&mut client, &rtp(7, 1, b"late"));
    for sequence in 2..200 {
        let mut sealed = seal(&mut client, &rtp(7, sequence, b"x"));
        let mut again = sealed.clone();
        assert!(server.open_rtp(&mut sealed).is_ok());
        assert_eq!(server.open_rtp(&mut again), Err(Refused::Replayed));
    }
    assert_eq!(server.open_rtp(&mut late.clone()), Err(Refused::Replayed));
}

#[test]
fn a_changed_packet_leaves_no_state_behind() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        let good = seal(&mut client, &rtp(7, 1, b"payload"));
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1;
            assert!(server.open_rtp(&mut bad).is_err(), "{profile:?} byte {position}");
        }
        for len in 0..good.len() {
            assert!(server.open_rtp(&mut good[..len].to_vec()).is_err());
        }
        assert!(server.inbound_rtp.is_empty());
        assert!(server.open_rtp(&mut good.clone()).is_ok());
    }
}

#[test]
fn a_remote_cannot_make_us_remember_ssrcs_without_end() {
    let (mut client, mut server) = pair(Profile::AeadAes128Gcm);
    for ssrc in 0..SSRCS_INBOUND_MAX as u32 {
        assert!(server.open_rtp(&mut seal(&mut client, &rtp(ssrc, 1, b"x"))).is_ok());
    }
    let mut one_more = seal(&mut client, &rtp(u32::MAX, 1, b"x"));
    assert_eq!(server.open_rtp(&mut one_more), Err(Refused::Limit));
    assert!(server.open_rtp(&mut seal(&mut client, &rtp(0, 2, b"x"))).is_ok());
}

#[test]
fn what_is_not_rtp_is_neither_sealed_nor_opened() {
    let (mut client, mut server) = pair(Profile::AeadAes128Gcm);
    assert_eq!(client.seal_rtp(&mut [0x80; 20]), Err(Unsealed));
    // An extension that reaches beyond the end.
    let mut long = vec![0x90, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0xbe, 0xde, 0xff, 0xff];
    long.resize(60, 0);
    assert_eq!(server.open_rtp(&mut long), Err(Refused::Malformed));
    assert_eq!(server.open_rtcp(&mut [0x80, 201, 0, 1]), Err(Refused::Malformed));
    assert!(server.open_rtcp(&mut [0x80; 24]).is_err());
}
