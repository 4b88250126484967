//! The two transforms: AES-GCM (RFC 7714) and AES counter mode with HMAC-SHA1 (RFC 3711).

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rtc_crypto::{HmacAlgorithm, Mac, StreamCipher, StreamCipherAlgorithm};

use super::{
    RTCP_HEADER_BYTES, SRTCP_WORD_BYTES,
    keys::{Label, Profile, derive},
};
use crate::crypto;

const GCM_TAG_BYTES: usize = 16;
const GCM_IV_BYTES: usize = 12;
/// HMAC-SHA1 truncated to 80 bits.
const SHA1_TAG_BYTES: usize = 10;
const SHA1_BYTES: usize = 20;
const CM_IV_BYTES: usize = 16;

/// One direction of one protocol.
pub(super) enum Cipher {
    Gcm { key: Box<LessSafeKey>, salt: [u8; GCM_IV_BYTES] },
    Cm { cipher: Box<dyn StreamCipher>, mac: Box<dyn Mac>, salt: [u8; 14] },
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gcm { .. } => "Gcm",
            Self::Cm { .. } => "Cm",
        })
    }
}

impl Cipher {
    pub(super) fn rtp(profile: Profile, key: &[u8], salt: &[u8]) -> Option<Self> {
        Self::new(profile, key, salt, [Label::RtpKey, Label::RtpAuthentication, Label::RtpSalt])
    }

    pub(super) fn rtcp(profile: Profile, key: &[u8], salt: &[u8]) -> Option<Self> {
        Self::new(profile, key, salt, [Label::RtcpKey, Label::RtcpAuthentication, Label::RtcpSalt])
    }

    fn new(profile: Profile, key: &[u8], salt: &[u8], labels: [Label; 3]) -> Option<Self> {
        let [for_key, for_authentication, for_salt] = labels;
        let session_key = derive(key, salt, for_key, profile.key_len())?;
        let session_salt = derive(key, salt, for_salt, profile.salt_len())?;
        let algorithm = match profile {
            Profile::AeadAes128Gcm => &AES_128_GCM,
            Profile::AeadAes256Gcm => &AES_256_GCM,
            Profile::Aes128CmSha1_80 => {
                let authentication = derive(key, salt, for_authentication, SHA1_BYTES)?;
                let primitives = crypto::primitives();
                return Some(Self::Cm {
                    cipher: primitives
                        .new_stream_cipher(StreamCipherAlgorithm::Aes128Ctr, &session_key)
                        .ok()?,
                    mac: primitives.new_hmac(HmacAlgorithm::Sha1, &authentication).ok()?,
                    salt: session_salt.try_into().ok()?,
                });
            }
        };
        let key = Box::new(LessSafeKey::new(UnboundKey::new(algorithm, &session_key).ok()?));
        Some(Self::Gcm { key, salt: session_salt.try_into().ok()? })
    }

    pub(super) fn tag_len(&self) -> usize {
        match self {
            Self::Gcm { .. } => GCM_TAG_BYTES,
            Self::Cm { .. } => SHA1_TAG_BYTES,
        }
    }

    pub(super) fn open_rtp(
        &mut self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Option<usize> {
        let len = packet.len().checked_sub(self.tag_len())?;
        let (header, body) = packet.split_at_mut_checked(header_len)?;
        match self {
            Self::Gcm { key, salt } => {
                let nonce = Nonce::assume_unique_for_key(rtp_nonce(salt, ssrc, index));
                key.open_in_place(nonce, Aad::from(&*header), body).ok()?;
            }
            Self::Cm { cipher, mac, salt } => {
                let (body, tag) = body.split_at_mut_checked(len.checked_sub(header_len)?)?;
                let rollover = ((index >> 16) as u32).to_be_bytes();
                if !cm_matches(mac.as_mut(), &[header, body, &rollover], tag)? {
                    return None;
                }
                cipher.apply_keystream(&cm_iv(salt, ssrc, index), body).ok()?;
            }
        }
        (len >= header_len).then_some(len)
    }

    pub(super) fn seal_rtp(
        &mut self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Option<()> {
        let len = packet.len().checked_sub(self.tag_len())?;
        let (plain, tag) = packet.split_at_mut_checked(len)?;
        let (header, body) = plain.split_at_mut_checked(header_len)?;
        match self {
            Self::Gcm { key, salt } => {
                let nonce = Nonce::assume_unique_for_key(rtp_nonce(salt, ssrc, index));
                let made = key.seal_in_place_separate_tag(nonce, Aad::from(&*header), body).ok()?;
                tag.copy_from_slice(made.as_ref());
            }
            Self::Cm { cipher, mac, salt } => {
                cipher.apply_keystream(&cm_iv(salt, ssrc, index), body).ok()?;
                let rollover = ((index >> 16) as u32).to_be_bytes();
                tag.copy_from_slice(&cm_tag(mac.as_mut(), &[header, body, &rollover])?);
            }
        }
        Some(())
    }

    /// The word with flag and index: with GCM at the very end, else before the tag.
    pub(super) fn srtcp_word(&self, packet: &[u8]) -> Option<u32> {
        let end = match self {
            Self::Gcm { .. } => packet.len(),
            Self::Cm { .. } => packet.len().checked_sub(SHA1_TAG_BYTES)?,
        };
        super::word_at(packet, end.checked_sub(SRTCP_WORD_BYTES)?)
    }

    /// Only encrypted SRTCP is taken: WebRTC never sends any other (RFC 8827, section 6.5).
    pub(super) fn open_rtcp(&mut self, packet: &mut [u8], ssrc: u32, word: u32) -> Option<usize> {
        if word & super::ENCRYPTED == 0 {
            return None;
        }
        let index = word & !super::ENCRYPTED;
        let len = packet.len().checked_sub(self.tag_len() + SRTCP_WORD_BYTES)?;
        if len < RTCP_HEADER_BYTES {
            return None;
        }
        match self {
            Self::Gcm { key, salt } => {
                let sealed_len = packet.len() - SRTCP_WORD_BYTES;
                let (sealed, _word) = packet.split_at_mut_checked(sealed_len)?;
                let (header, body) = sealed.split_at_mut_checked(RTCP_HEADER_BYTES)?;
                let nonce = Nonce::assume_unique_for_key(rtcp_nonce(salt, ssrc, index));
                key.open_in_place(nonce, Aad::from(rtcp_aad(header, word)?), body).ok()?;
            }
            Self::Cm { cipher, mac, salt } => {
                let (authenticated, tag) = packet.split_at_mut_checked(len + SRTCP_WORD_BYTES)?;
                if !cm_matches(mac.as_mut(), &[authenticated], tag)? {
                    return None;
                }
                let body = authenticated.get_mut(RTCP_HEADER_BYTES..len)?;
                cipher.apply_keystream(&cm_iv(salt, ssrc, u64::from(index)), body).ok()?;
            }
        }
        Some(len)
    }

    pub(super) fn seal_rtcp(&mut self, packet: &mut [u8], ssrc: u32, word: u32) -> Option<()> {
        let index = word & !super::ENCRYPTED;
        let len = packet.len().checked_sub(self.tag_len() + SRTCP_WORD_BYTES)?;
        let (plain, tail) = packet.split_at_mut_checked(len)?;
        let (header, body) = plain.split_at_mut_checked(RTCP_HEADER_BYTES)?;
        match self {
            Self::Gcm { key, salt } => {
                let nonce = Nonce::assume_unique_for_key(rtcp_nonce(salt, ssrc, index));
                let aad = Aad::from(rtcp_aad(header, word)?);
                let made = key.seal_in_place_separate_tag(nonce, aad, body).ok()?;
                let (tag, end) = tail.split_at_mut_checked(GCM_TAG_BYTES)?;
                tag.copy_from_slice(made.as_ref());
                end.copy_from_slice(&word.to_be_bytes());
            }
            Self::Cm { cipher, mac, salt } => {
                cipher.apply_keystream(&cm_iv(salt, ssrc, u64::from(index)), body).ok()?;
                let word = word.to_be_bytes();
                let made = cm_tag(mac.as_mut(), &[header, body, &word])?;
                let (end, tag) = tail.split_at_mut_checked(SRTCP_WORD_BYTES)?;
                end.copy_from_slice(&word);
                tag.copy_from_slice(&made);
            }
        }
        Some(())
    }
}

/// RFC 7714, section 8.1: two zero bytes, SSRC, rollover counter, sequence number, all over the
/// salt.
fn rtp_nonce(salt: &[u8; GCM_IV_BYTES], ssrc: u32, index: u64) -> [u8; GCM_IV_BYTES] {
    let nonce = u128::from(ssrc) << 48 | u128::from(index & 0xffff_ffff_ffff);
    xor(salt, nonce)
}

/// RFC 7714, section 9.1: two zero bytes, SSRC, two zero bytes, index.
fn rtcp_nonce(salt: &[u8; GCM_IV_BYTES], ssrc: u32, index: u32) -> [u8; GCM_IV_BYTES] {
    xor(salt, u128::from(ssrc) << 48 | u128::from(index))
}

fn xor(salt: &[u8; GCM_IV_BYTES], low_bits: u128) -> [u8; GCM_IV_BYTES] {
    let [_, _, _, _, value @ ..] = low_bits.to_be_bytes();
    let mut out = *salt;
    out.iter_mut().zip(value).for_each(|(byte, other)| *byte ^= other);
    out
}

/// RFC 7714, section 9.2: the first eight bytes, then the word at the end.
fn rtcp_aad(header: &[u8], word: u32) -> Option<[u8; RTCP_HEADER_BYTES + SRTCP_WORD_BYTES]> {
    let mut aad = [0; RTCP_HEADER_BYTES + SRTCP_WORD_BYTES];
    let (first, last) = aad.split_at_mut_checked(RTCP_HEADER_BYTES)?;
    first.copy_from_slice(header);
    last.copy_from_slice(&word.to_be_bytes());
    Some(aad)
}

/// RFC 3711, section 4.1.1: salt << 16, SSRC << 64, index << 16.
fn cm_iv(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; CM_IV_BYTES] {
    let mut padded = [0; CM_IV_BYTES];
    padded.iter_mut().zip(salt).for_each(|(byte, salt)| *byte = *salt);
    let value = u128::from_be_bytes(padded) ^ (u128::from(ssrc) << 64) ^ (u128::from(index) << 16);
    value.to_be_bytes()
}

fn cm_tag(mac: &mut dyn Mac, parts: &[&[u8]]) -> Option<[u8; SHA1_TAG_BYTES]> {
    let mut whole = [0; SHA1_BYTES];
    mac.sign(parts, &mut whole).ok()?;
    whole.first_chunk().copied()
}

fn cm_matches(mac: &mut dyn Mac, parts: &[&[u8]], tag: &[u8]) -> Option<bool> {
    Some(rtc_crypto::constant_time_eq(&cm_tag(mac, parts)?, tag))
}
