//! Sound and pictures that any decoder accepts, made without an encoder at run time.

use bytes::{BufMut, Bytes, BytesMut};

/// Opus packets of 20 ms.
pub(crate) const AUDIO_INTERVAL_MS: u64 = 20;
/// 20 ms at Opus's RTP clock of 48 kHz (RFC 7587 section 4.1).
pub(crate) const AUDIO_TICKS: u32 = 960;
/// The RTP clock of video.
pub(crate) const VIDEO_CLOCK_HZ: u32 = 90_000;

/// RTP payload that leaves room for SRTP, RTX and extensions in 1200 bytes.
const PAYLOAD_BYTES_MAX: usize = 1_100;
/// Payload of one Opus packet: 32 kbit/s.
const OPUS_BYTES: usize = 80;
/// TOC: CELT full band, 20 ms, mono, frame count in the next byte (RFC 6716 section 3.1).
const OPUS_TOC: u8 = 31 << 3 | 3;
/// Constant bit rate, padded, one frame (RFC 6716 section 3.2.5).
const OPUS_ONE_PADDED_FRAME: u8 = 0x41;
/// A CELT frame of digital silence.
const OPUS_SILENCE: [u8; 2] = [0xff, 0xfe];

/// A picture of 320 x 180 and the three frames in which an encoder refined it; the last one changes
/// nothing any more and may be repeated.
const FRAMES: [&[u8]; 4] = [
    include_bytes!("frames/0.vp8"),
    include_bytes!("frames/1.vp8"),
    include_bytes!("frames/2.vp8"),
    include_bytes!("frames/3.vp8"),
];
pub(crate) const WIDTH: u32 = 320;
pub(crate) const HEIGHT: u32 = 180;

/// A packet of silence, padded to the size of a voice.
pub(crate) fn opus_silence() -> Bytes {
    let padding = OPUS_BYTES - 3 - OPUS_SILENCE.len();
    let mut packet = BytesMut::with_capacity(OPUS_BYTES);
    packet.put_u8(OPUS_TOC);
    packet.put_u8(OPUS_ONE_PADDED_FRAME);
    packet.put_u8(padding as u8);
    packet.put_slice(&OPUS_SILENCE);
    packet.put_bytes(0, padding);
    packet.freeze()
}

/// A VP8 stream, frame by frame.
#[derive(Debug)]
pub(crate) struct Pictures {
    /// Bytes of a frame, to which the encoded ones are filled up. Decoders leave what follows the
    /// last partition unread.
    frame_bytes: usize,
    next: usize,
    picture_id: u16,
}

impl Pictures {
    pub(crate) fn new(frame_bytes: usize, picture_id: u16) -> Self {
        Self { frame_bytes, next: 0, picture_id: picture_id & 0x7fff }
    }

    /// The payloads of the next frame's packets, each with its VP8 payload descriptor (RFC 7741
    /// section 4.2).
    pub(crate) fn next(&mut self, keyframe: bool) -> Vec<Bytes> {
        if keyframe {
            self.next = 0;
        }
        let encoded = FRAMES[self.next];
        self.next = (self.next + 1).min(FRAMES.len() - 1);
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        let mut frame = encoded.to_vec();
        frame.resize(self.frame_bytes.max(encoded.len()), 0);
        let parts = frame.len().div_ceil(PAYLOAD_BYTES_MAX);
        let part = frame.len().div_ceil(parts);
        frame.chunks(part).enumerate().map(|(n, bytes)| self.payload(n == 0, bytes)).collect()
    }

    fn payload(&self, first: bool, bytes: &[u8]) -> Bytes {
        const EXTENDED: u8 = 0x80;
        const START_OF_PARTITION: u8 = 0x10;
        const PICTURE_ID: u8 = 0x80;
        const LONG_PICTURE_ID: u16 = 0x8000;
        let mut payload = BytesMut::with_capacity(bytes.len() + 4);
        payload.put_u8(EXTENDED | if first { START_OF_PARTITION } else { 0 });
        payload.put_u8(PICTURE_ID);
        payload.put_u16(LONG_PICTURE_ID | self.picture_id);
        payload.put_slice(bytes);
        payload.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::{FRAMES, HEIGHT, OPUS_BYTES, Pictures, WIDTH, opus_silence};

    /// Whether a payload begins a VP8 key frame (RFC 6386 section 9.1: bit 0 clear).
    fn is_keyframe(payload: &[u8]) -> bool {
        payload[0] & 0x1f == 0x10 && payload[4] & 1 == 0
    }

    #[test]
    fn the_first_frame_is_a_key_frame_of_the_stated_size() {
        let frame = FRAMES[0];
        assert_eq!(frame[3..6], [0x9d, 0x01, 0x2a]);
        assert_eq!(u32::from(u16::from_le_bytes([frame[6], frame[7]])), WIDTH);
        assert_eq!(u32::from(u16::from_le_bytes([frame[8], frame[9]])), HEIGHT);
        assert!(FRAMES[1..].iter().all(|frame| frame[0] & 1 == 1));
    }

    #[test]
    fn a_key_frame_comes_first_and_when_it_is_asked_for() {
        let mut pictures = Pictures::new(2_000, 0);
        let keys: Vec<bool> = (0..10).map(|n| is_keyframe(&pictures.next(n == 6)[0])).collect();
        let expected: Vec<bool> = (0..10).map(|n| n == 0 || n == 6).collect();
        assert_eq!(keys, expected);
    }

    #[test]
    fn a_frame_is_cut_into_packets_of_one_picture() {
        let mut pictures = Pictures::new(3_000, 0x7fff);
        let payloads = pictures.next(false);
        assert_eq!(payloads.len(), 3);
        assert!(payloads.iter().all(|one| one.len() <= 1_104 && one[2..4] == [0x80, 0x00]));
        assert_eq!(payloads.iter().map(|one| one.len() - 4).sum::<usize>(), 3_000);
        assert_eq!(payloads.iter().filter(|one| one[0] & 0x10 != 0).count(), 1);
    }

    #[test]
    fn silence_is_a_valid_padded_packet() {
        let packet = opus_silence();
        assert_eq!(packet.len(), OPUS_BYTES);
        // TOC, count byte, padding length, frame, and just that much padding.
        assert_eq!(usize::from(packet[2]), packet.len() - 5);
    }
}
