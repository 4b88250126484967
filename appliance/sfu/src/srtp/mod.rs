//! SRTP and SRTCP (RFC 3711, RFC 7714), sealed and opened in place.
//!
//! **Invariant:** state for an SSRC comes into being only with its first authentic packet, and the
//! number of SSRCs is bounded.
//! **Invariant:** with AES-GCM a packet costs no allocation and takes no lock.

mod cipher;
mod keys;
#[cfg(test)]
mod tests;
mod window;

use std::collections::HashMap;

pub(crate) use self::keys::{Keys, Profile};
use self::{cipher::Cipher, window::Window};
use crate::connection::Refused;

/// SSRCs that one remote may send: 8 tracks of 3 layers, each with its retransmissions, and room
/// for what re-negotiation leaves behind.
const SSRCS_INBOUND_MAX: usize = 256;
/// SSRCs that we ever send to one remote. They are never forgotten: a rollover counter that began
/// again would use a nonce twice.
const SSRCS_OUTBOUND_MAX: usize = 16_384;
const RTP_HEADER_BYTES: usize = 12;
const RTCP_HEADER_BYTES: usize = 8;
/// The word with the E flag and the index at the end of SRTCP (RFC 3711, section 3.4).
const SRTCP_WORD_BYTES: usize = 4;
const ENCRYPTED: u32 = 1 << 31;

/// Why a packet could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the packet could not be sealed")]
pub(crate) struct Unsealed;

/// Both directions of one connection.
#[derive(Debug)]
pub(crate) struct Srtp {
    inbound: Direction,
    outbound: Direction,
    inbound_rtp: HashMap<u32, Window>,
    inbound_rtcp: HashMap<u32, Window>,
    /// Highest packet index sent, by SSRC.
    outbound_rtp: HashMap<u32, u64>,
    outbound_rtcp_index: u32,
}

#[derive(Debug)]
struct Direction {
    rtp: Cipher,
    rtcp: Cipher,
}

impl Direction {
    fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Option<Self> {
        Some(Self {
            rtp: Cipher::rtp(profile, key, salt)?,
            rtcp: Cipher::rtcp(profile, key, salt)?,
        })
    }
}

impl Srtp {
    /// `None` if the library does not take the keys.
    pub(crate) fn new(keys: &Keys) -> Option<Self> {
        Some(Self {
            inbound: Direction::new(keys.profile, &keys.remote_key, &keys.remote_salt)?,
            outbound: Direction::new(keys.profile, &keys.local_key, &keys.local_salt)?,
            inbound_rtp: HashMap::new(),
            inbound_rtcp: HashMap::new(),
            outbound_rtp: HashMap::new(),
            outbound_rtcp_index: 0,
        })
    }

    /// What sealing adds to an RTP packet.
    pub(crate) fn rtp_overhead(&self) -> usize {
        self.outbound.rtp.tag_len()
    }

    /// What sealing adds to an RTCP packet.
    pub(crate) fn rtcp_overhead(&self) -> usize {
        self.outbound.rtcp.tag_len() + SRTCP_WORD_BYTES
    }

    /// Whether a packet, not authenticated yet, names a source that was authentic before.
    pub(crate) fn is_of_known_source(&self, packet: &[u8]) -> bool {
        if is_rtcp(packet) {
            word_at(packet, 4).is_some_and(|ssrc| self.inbound_rtcp.contains_key(&ssrc))
        } else {
            rtp_header(packet).is_some_and(|(_, ssrc, _)| self.inbound_rtp.contains_key(&ssrc))
        }
    }

    /// Opens an SRTP packet in place; the RTP packet is its first `n` bytes.
    pub(crate) fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let (header_len, ssrc, sequence) = rtp_header(packet).ok_or(Refused::Malformed)?;
        let known = self.inbound_rtp.get(&ssrc);
        if known.is_none() && self.inbound_rtp.len() >= SSRCS_INBOUND_MAX {
            return Err(Refused::Limit);
        }
        let index = match known {
            Some(window) => window.index_of(sequence).ok_or(Refused::Replayed)?,
            None => u64::from(sequence),
        };
        if known.is_some_and(|window| window.has(index)) {
            return Err(Refused::Replayed);
        }
        let len = self
            .inbound
            .rtp
            .open_rtp(packet, header_len, ssrc, index)
            .ok_or(Refused::Authentication)?;
        self.inbound_rtp.entry(ssrc).or_default().add(index);
        Ok(len)
    }

    /// Seals an RTP packet in place. The last `rtp_overhead()` bytes of `packet` are room for the
    /// tag.
    pub(crate) fn seal_rtp(&mut self, packet: &mut [u8]) -> Result<(), Unsealed> {
        let (header_len, ssrc, sequence) = rtp_header(packet).ok_or(Unsealed)?;
        let index = match self.outbound_rtp.get(&ssrc) {
            Some(&highest) => window::index_near(highest, sequence).ok_or(Unsealed)?,
            None if self.outbound_rtp.len() >= SSRCS_OUTBOUND_MAX => return Err(Unsealed),
            None => u64::from(sequence),
        };
        let highest = self.outbound_rtp.entry(ssrc).or_insert(index);
        *highest = index.max(*highest);
        self.outbound.rtp.seal_rtp(packet, header_len, ssrc, index).ok_or(Unsealed)
    }

    /// Opens an SRTCP packet in place; the compound packet is its first `n` bytes.
    pub(crate) fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let ssrc = word_at(packet, 4).ok_or(Refused::Malformed)?;
        let known = self.inbound_rtcp.get(&ssrc);
        if known.is_none() && self.inbound_rtcp.len() >= SSRCS_INBOUND_MAX {
            return Err(Refused::Limit);
        }
        let word = self.inbound.rtcp.srtcp_word(packet).ok_or(Refused::Malformed)?;
        let index = u64::from(word & !ENCRYPTED);
        if known.is_some_and(|window| window.has(index)) {
            return Err(Refused::Replayed);
        }
        let len = self.inbound.rtcp.open_rtcp(packet, ssrc, word).ok_or(Refused::Authentication)?;
        self.inbound_rtcp.entry(ssrc).or_default().add(index);
        Ok(len)
    }

    /// Seals a compound RTCP packet in place. The last `rtcp_overhead()` bytes are room for the tag
    /// and the index.
    pub(crate) fn seal_rtcp(&mut self, packet: &mut [u8]) -> Result<(), Unsealed> {
        let ssrc = word_at(packet, 4).ok_or(Unsealed)?;
        // After 2^31 packets new keys would be due (RFC 3711, section 9.2): at 100 a second that
        // is eight months of one connection.
        let index = self.outbound_rtcp_index;
        if index & ENCRYPTED != 0 {
            return Err(Unsealed);
        }
        self.outbound_rtcp_index += 1;
        self.outbound.rtcp.seal_rtcp(packet, ssrc, index | ENCRYPTED).ok_or(Unsealed)
    }
}

/// The payload types 64 to 95 are RTCP's (RFC 5761, section 4).
pub(crate) fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet.get(1), Some(192..=223))
}

fn word_at(packet: &[u8], offset: usize) -> Option<u32> {
    let bytes = packet.get(offset..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

fn half_at(packet: &[u8], offset: usize) -> Option<u16> {
    let bytes = packet.get(offset..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*bytes))
}

/// Length of the header with CSRCs and extension, SSRC and sequence number (RFC 3550, section 5.1).
fn rtp_header(packet: &[u8]) -> Option<(usize, u32, u16)> {
    let first = *packet.first()?;
    if first >> 6 != 2 {
        return None;
    }
    let sequence = half_at(packet, 2)?;
    let ssrc = word_at(packet, 8)?;
    let mut len = RTP_HEADER_BYTES + usize::from(first & 0x0f) * 4;
    if first & 0x10 != 0 {
        len += 4 + usize::from(half_at(packet, len + 2)?) * 4;
    }
    (len <= packet.len()).then_some((len, ssrc, sequence))
}
