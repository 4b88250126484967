//! The last packets of a layer, plaintext, from which retransmissions are answered.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::codec::Peek;
use super::slab::{Pool, Slab};
use crate::sdp::CodecKind;

/// Packets that are kept of one layer.
pub(crate) const RING_PACKETS_MAX: usize = 1_024;
/// A packet older than this is of no use to a decoder that shows things as they happen.
const AGE_MAX: Duration = Duration::from_millis(1_500);

/// A media packet of a source, after decryption and out of any retransmission envelope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) info: Info,
    /// The dependency descriptor (AV1), empty if absent.
    pub(crate) descriptor: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// What is known of a packet besides its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Info {
    /// Extended sequence number of the source.
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) codec: CodecKind,
    pub(crate) arrival: Instant,
    pub(crate) peek: Peek,
    /// RFC 6464: voice flag and level in -dBov, as on the wire.
    pub(crate) level: Option<u8>,
    /// 3GPP TS 26.114 coordination of video orientation, as on the wire.
    pub(crate) orientation: Option<u8>,
}

#[derive(Debug)]
struct Stored {
    info: Info,
    descriptor_len: u16,
    len: u16,
    slab: Slab,
}

/// The packets in the order of their extended sequence numbers, with holes.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    /// The sequence number of the front.
    first: u64,
    packets: VecDeque<Option<Stored>>,
}

impl Ring {
    /// Keeps a copy. `false`: the packet is there already, or too old, or too long.
    pub(crate) fn insert(&mut self, packet: &Packet<'_>, pool: &mut Pool) -> bool {
        let sequence = packet.info.sequence;
        let newest = self.first + self.packets.len() as u64;
        if self.packets.is_empty() || sequence >= newest + RING_PACKETS_MAX as u64 {
            self.clear(pool);
            self.first = sequence;
        }
        let Some(index) = sequence.checked_sub(self.first) else { return false };
        let index = index as usize;
        if self.packets.get(index).is_some_and(Option::is_some) {
            return false;
        }
        let Some(slab) = pool.join(packet.descriptor, packet.payload) else { return false };
        while self.packets.len() <= index {
            self.packets.push_back(None);
        }
        if let Some(slot) = self.packets.get_mut(index) {
            *slot = Some(Stored {
                info: packet.info,
                descriptor_len: packet.descriptor.len() as u16,
                len: (packet.descriptor.len() + packet.payload.len()) as u16,
                slab,
            });
        }
        self.expire(packet.info.arrival, pool);
        true
    }

    /// Lets go of what is too old or too much.
    pub(crate) fn expire(&mut self, now: Instant, pool: &mut Pool) {
        let old = |stored: &Option<Stored>| {
            stored.as_ref().is_none_or(|stored| now.duration_since(stored.info.arrival) > AGE_MAX)
        };
        while self.packets.len() > RING_PACKETS_MAX || self.packets.front().is_some_and(old) {
            if let Some(Some(stored)) = self.packets.pop_front() {
                pool.give_back(stored.slab);
            }
            self.first += 1;
        }
    }

    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        self.first += self.packets.len() as u64;
        for stored in self.packets.drain(..).flatten() {
            pool.give_back(stored.slab);
        }
    }

    pub(crate) fn get(&self, sequence: u64) -> Option<Packet<'_>> {
        let index = sequence.checked_sub(self.first)? as usize;
        let stored = self.packets.get(index)?.as_ref()?;
        let bytes = stored.slab.bytes(usize::from(stored.len));
        let (descriptor, payload) = bytes.split_at_checked(usize::from(stored.descriptor_len))?;
        Some(Packet { info: stored.info, descriptor, payload })
    }

    /// The packets after `sequence`, oldest first.
    pub(crate) fn after(&self, sequence: u64) -> impl Iterator<Item = Packet<'_>> {
        let end = self.first + self.packets.len() as u64;
        (sequence.saturating_add(1).max(self.first)..end).filter_map(|sequence| self.get(sequence))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Info, Packet, RING_PACKETS_MAX, Ring};
    use crate::rtp::codec::Peek;
    use crate::rtp::slab::Pool;
    use crate::sdp::CodecKind;

    fn packet(sequence: u64, arrival: Instant, payload: &[u8]) -> Packet<'_> {
        let info = Info {
            sequence,
            timestamp: 0,
            marker: false,
            codec: CodecKind::Vp8,
            arrival,
            peek: Peek::default(),
            level: None,
            orientation: None,
        };
        Packet { info, descriptor: b"dd", payload }
    }

    #[test]
    fn packets_come_back_whole_and_once_and_out_of_order() {
        let (now, mut pool, mut ring) = (Instant::now(), Pool::default(), Ring::default());
        assert!(ring.insert(&packet(10, now, b"ten"), &mut pool));
        assert!(ring.insert(&packet(13, now, b"thirteen"), &mut pool));
        assert!(ring.insert(&packet(11, now, b"eleven"), &mut pool));
        assert!(!ring.insert(&packet(11, now, b"eleven"), &mut pool));
        assert!(!ring.insert(&packet(9, now, b"nine"), &mut pool));
        let eleven = ring.get(11).expect("kept");
        assert_eq!((eleven.descriptor, eleven.payload), (b"dd".as_slice(), b"eleven".as_slice()));
        assert!(ring.get(12).is_none());
        let later: Vec<u64> = ring.after(10).map(|packet| packet.info.sequence).collect();
        assert_eq!(later, [11, 13]);
    }

    #[test]
    fn memory_comes_back_to_the_pool_by_age_and_by_count() {
        let (now, mut pool, mut ring) = (Instant::now(), Pool::default(), Ring::default());
        for sequence in 0..2 * RING_PACKETS_MAX as u64 {
            ring.insert(&packet(sequence, now, b"x"), &mut pool);
        }
        assert!(ring.get(0).is_none() && ring.get(RING_PACKETS_MAX as u64 + 1).is_some());
        ring.expire(now + Duration::from_secs(2), &mut pool);
        assert!(ring.after(0).next().is_none());
        assert_eq!(pool.free_count(), RING_PACKETS_MAX + 1);
        ring.insert(&packet(9_999, now, b"x"), &mut pool);
        assert_eq!(pool.free_count(), RING_PACKETS_MAX);
    }
}
