//! Our place in the crate's interceptor chain, nearest to the wire: here packets are counted before
//! any of the crate's channels can drop them.
//!
//! It also takes retransmissions out of their RTX stream (RFC 4588 section 4). The crate does that
//! itself, but only behind its NACK generator, which then asks for the same packets until they leave
//! its window.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, Slot, StreamInfo, TaggedPacket};
use rtc::rtcp;
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp;
use rtc::sansio::Protocol;
use webrtc::error::Error;

use crate::count::{Counters, Kind};

/// Before everything else of the crate's own slots, the first of which is at 1000.
pub(crate) const SLOT: Slot = Slot::Custom(500);
/// The original sequence number that an RTX payload begins with.
const RTX_HEADER_BYTES: usize = 2;

/// Counts what comes in and notes when a key frame is asked for.
pub(crate) struct Tap {
    counters: Arc<Counters>,
    keyframe: Arc<AtomicBool>,
    /// RTX SSRC to the stream that it repairs: its SSRC and payload type.
    repairs: HashMap<u32, (u32, u8)>,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl Tap {
    pub(crate) fn new(counters: Arc<Counters>, keyframe: Arc<AtomicBool>) -> Self {
        Self {
            counters,
            keyframe,
            repairs: HashMap::new(),
            inbound: VecDeque::new(),
            outbound: VecDeque::new(),
        }
    }

    /// Counts a packet, and brings a repeated one back into its stream.
    fn take(&self, packet: &mut rtp::Packet) {
        let repair = self.repairs.get(&packet.header.ssrc).copied();
        if let Some((ssrc, payload_type)) = repair {
            if packet.payload.len() < RTX_HEADER_BYTES {
                // Padding alone, a probe for bandwidth: only the feedback has to know of it.
                return;
            }
            let original = packet.payload.split_to(RTX_HEADER_BYTES);
            packet.header.sequence_number = u16::from_be_bytes([original[0], original[1]]);
            packet.header.ssrc = ssrc;
            packet.header.payload_type = payload_type;
        }
        let header = &packet.header;
        let length = packet.payload.len();
        self.counters.take(header.ssrc, header.sequence_number, length, repair.is_some());
    }
}

/// Whether a report asks for a key frame, by PLI (RFC 4585 section 6.3.1) or FIR (RFC 5104).
fn asks_for_keyframe(packet: &dyn rtcp::Packet) -> bool {
    packet.as_any().is::<PictureLossIndication>() || packet.as_any().is::<FullIntraRequest>()
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Tap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut message: TaggedPacket) -> Result<(), Error> {
        match &mut message.message.packet {
            Packet::Rtp(packet) => self.take(packet),
            Packet::Rtcp(packets) if packets.iter().any(|one| asks_for_keyframe(one.as_ref())) => {
                self.keyframe.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        self.inbound.push_back(message);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Error> {
        self.outbound.push_back(message);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }
}

impl Interceptor for Tap {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}

    fn unbind_local_stream(&mut self, _: &StreamInfo) {}

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        let kind = match info.mime_type.split('/').next() {
            Some("audio") => Kind::Audio,
            _ => Kind::Video,
        };
        if info.mime_type.to_ascii_lowercase().ends_with("/rtx") {
            return; // Announced with the stream that it repairs.
        }
        self.counters.expect(info.ssrc, kind);
        if let Some(rtx) = info.ssrc_rtx {
            self.repairs.insert(rtx, (info.ssrc, info.payload_type));
        }
    }

    fn unbind_remote_stream(&mut self, info: &StreamInfo) {
        if let Some(rtx) = info.ssrc_rtx {
            self.repairs.remove(&rtx);
        }
    }
}
