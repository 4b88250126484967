//! The sending half of a subscriber connection: numbers every packet for feedback, writes it into
//! the outbox and has it sealed there.

use crate::connection::Connection;
use crate::context::Context;
use crate::estimate::Estimate;
use crate::rtp::codec::Numbering;
use crate::rtp::header::{Outgoing, header_bytes, write_header};
use crate::sdp::{Extension, Extensions};

#[derive(Debug)]
pub(crate) struct Egress {
    pub(crate) connection: Connection,
    pub(crate) estimate: Estimate,
}

/// A packet that is about to leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departure<'a> {
    pub(crate) header: Outgoing,
    pub(crate) extensions: &'a Extensions,
    /// Empty: the receiver knows the SSRC by now.
    pub(crate) mid: &'a str,
    pub(crate) descriptor: &'a [u8],
    pub(crate) level: Option<u8>,
    pub(crate) orientation: Option<u8>,
    /// The original's sequence number, of a retransmission (RFC 4588, 4).
    pub(crate) original: Option<u16>,
    pub(crate) payload: &'a [u8],
    /// New numbers for a VP8 or VP9 descriptor: picture id and TL0PICIDX.
    pub(crate) numbering: Option<(Numbering, u16, u8)>,
}

impl Departure<'_> {
    fn write(&self, packet: &mut [u8], elements: &[(u8, &[u8])]) {
        let Some(mut at) = write_header(packet, &self.header, elements) else { return };
        if let Some(original) = self.original
            && let Some(slot) = packet.get_mut(at..at + 2)
        {
            slot.copy_from_slice(&original.to_be_bytes());
            at += 2;
        }
        let Some(payload) = packet.get_mut(at..at + self.payload.len()) else { return };
        payload.copy_from_slice(self.payload);
        if let Some((numbering, picture_id, tl0)) = &self.numbering {
            numbering.write(payload, *picture_id, *tl0);
        }
    }
}

impl Egress {
    /// Sends a packet; `false` if the connection did not take it.
    pub(crate) fn send(&mut self, departure: &Departure<'_>, context: &mut Context<'_>) -> bool {
        let id = |extension| departure.extensions.id(extension).unwrap_or(0);
        let number = self.estimate.next_number().to_be_bytes();
        let one = |byte: &Option<u8>| byte.map(|byte| [byte]);
        let (level, orientation) = (one(&departure.level), one(&departure.orientation));
        let elements: [(u8, &[u8]); 5] = [
            (id(Extension::TransportCc), &number),
            (id(Extension::Mid), departure.mid.as_bytes()),
            (id(Extension::AudioLevel), level.as_ref().map_or(&[], <[u8; 1]>::as_slice)),
            (
                id(Extension::VideoOrientation),
                orientation.as_ref().map_or(&[], <[u8; 1]>::as_slice),
            ),
            (id(Extension::DependencyDescriptor), departure.descriptor),
        ];
        let original_len = if departure.original.is_some() { 2 } else { 0 };
        let len = header_bytes(&elements) + original_len + departure.payload.len();
        let sent = self
            .connection
            .send_rtp(len, context.outbox, |packet| departure.write(packet, &elements))
            .is_ok();
        if sent {
            self.estimate.sent(len);
            context.shared.counters.packets_out += 1;
            context.shared.counters.bytes_out += len as u64;
        }
        sent
    }
}
