//! What Chromium's encoders sent, played again (`recorded/record.mjs` tells how it was recorded).

use std::time::{Duration, Instant};

use str0m::format::Codec;
use str0m::rtp::{ExtensionSerializer, ExtensionValues};

pub(crate) const URI: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
/// The id of the dependency descriptor in the recordings.
const DESCRIPTOR_ID: u8 = 13;

/// The bytes of a dependency descriptor, as str0m's users carry what it does not know itself.
#[derive(Clone, Debug)]
pub(crate) struct DescriptorBytes(pub(crate) Vec<u8>);

#[derive(Debug)]
pub(crate) struct Described;

impl ExtensionSerializer for Described {
    fn write_to(&self, buffer: &mut [u8], values: &ExtensionValues) -> usize {
        let Some(descriptor) = values.user_values.get::<DescriptorBytes>() else { return 0 };
        buffer[..descriptor.0.len()].copy_from_slice(&descriptor.0);
        descriptor.0.len()
    }

    fn parse_value(&self, bytes: &[u8], values: &mut ExtensionValues) -> bool {
        values.user_values.set(DescriptorBytes(bytes.to_vec()));
        true
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }

    fn requires_two_byte_form(&self, _: &ExtensionValues) -> bool {
        true
    }
}

/// A packet of a recording.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    after: Duration,
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) descriptor: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

/// A recording that is played over and over, as one stream.
pub(crate) struct Player {
    pub(crate) codec: Codec,
    packets: Vec<Recorded>,
    begin: Option<Instant>,
    next: usize,
    /// What each round adds: time on the wall, in ticks, and to the numbers of pictures and frames.
    round: (Duration, u32, u16),
}

impl Player {
    pub(crate) fn new(codec: Codec, recording: &[u8]) -> Self {
        let packets = read(recording);
        let (first, last) = (&packets[0], &packets[packets.len() - 1]);
        let ticks = last.timestamp.wrapping_sub(first.timestamp) + 3_000;
        let pictures =
            1 + packets.windows(2).filter(|pair| pair[0].timestamp != pair[1].timestamp).count()
                as u16;
        // A picture has three frames at most.
        let numbers = if codec == Codec::Av1 { 3 * pictures } else { pictures };
        let round = (last.after + Duration::from_millis(33), ticks, numbers);
        Self { codec, packets, begin: None, next: 0, round }
    }

    /// The packets to send now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Recorded> {
        let begin = *self.begin.get_or_insert(now);
        let mut due = Vec::new();
        loop {
            let (round, index) = (self.next / self.packets.len(), self.next % self.packets.len());
            let packet = &self.packets[index];
            if begin + self.round.0 * round as u32 + packet.after > now {
                return due;
            }
            let mut packet = packet.clone();
            packet.sequence = 1_000 + self.next as u64;
            packet.timestamp = packet.timestamp.wrapping_add(self.round.1 * round as u32);
            self.number(&mut packet, self.round.2.wrapping_mul(round as u16));
            due.push(packet);
            self.next += 1;
        }
    }

    /// Numbers pictures and frames on, as their encoder would have.
    fn number(&self, packet: &mut Recorded, add: u16) {
        let on = |bytes: &mut [u8], mask: u16| {
            let number = u16::from_be_bytes([bytes[0], bytes[1]]);
            let next = (number & !mask) | (number.wrapping_add(add) & mask);
            bytes.copy_from_slice(&next.to_be_bytes());
        };
        match self.codec {
            // 15-bit picture ids, after one and after two bytes; with the latter, TL0PICIDX.
            Codec::Vp9 => on(&mut packet.payload[1..3], 0x7FFF),
            Codec::Vp8 => {
                on(&mut packet.payload[2..4], 0x7FFF);
                let of = |packet: &Recorded| packet.payload[4];
                let base = of(&self.packets[self.packets.len() - 1]) - of(&self.packets[0]) + 1;
                let rounds = (add / self.round.2) as u8;
                packet.payload[4] = packet.payload[4].wrapping_add(base.wrapping_mul(rounds));
            }
            _ if packet.descriptor.len() > 2 => on(&mut packet.descriptor[1..3], 0xFFFF),
            _ => {}
        }
    }
}

fn read(mut bytes: &[u8]) -> Vec<Recorded> {
    let mut packets = Vec::new();
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    while let [head @ .., _] = bytes.get(..9).unwrap_or_default() {
        let (after, len, kept) = (number(&head[..4]), number(&head[4..6]), number(&head[6..8]));
        let (packet, rest) = bytes[8..].split_at(kept);
        bytes = rest;
        let mut packet = packet.to_vec();
        packet.resize(len, 0);
        let (descriptor, payload_at) = extensions(&packet);
        packets.push(Recorded {
            after: Duration::from_millis(after as u64),
            sequence: 0,
            timestamp: number(&packet[4..8]) as u32,
            marker: packet[1] & 0x80 != 0,
            descriptor,
            payload: packet.split_off(payload_at),
        });
    }
    packets
}

/// The dependency descriptor and where the payload begins (RFC 8285).
fn extensions(packet: &[u8]) -> (Vec<u8>, usize) {
    let mut descriptor = Vec::new();
    if packet[0] & 0x10 == 0 {
        return (descriptor, 12);
    }
    let two_byte = packet[12] == 0x10;
    let end = 16 + usize::from(u16::from_be_bytes([packet[14], packet[15]])) * 4;
    let mut at = 16;
    while at < end {
        if packet[at] == 0 {
            at += 1;
            continue;
        }
        let (id, len, start) = if two_byte {
            (packet[at], usize::from(packet[at + 1]), at + 2)
        } else {
            (packet[at] >> 4, usize::from(packet[at] & 15) + 1, at + 1)
        };
        at = start + len;
        if id == DESCRIPTOR_ID {
            descriptor = packet[start..at].to_vec();
        }
    }
    (descriptor, end)
}
