//! The sending half of a subscriber connection: numbers every packet for feedback, writes it into
//! the outbox and has it sealed there.

use crate::congestion::{Class, Congestion};
use crate::connection::Connection;
use crate::context::Context;
use crate::rtp::codec::Numbering;
use crate::rtp::header::{Outgoing, header_bytes, write_header};
use crate::sdp::{Extension, Extensions};

/// RFC 3550, 5.1.
const PADDING_BIT: u8 = 0x20;

#[derive(Debug)]
pub(crate) struct Egress {
    pub(crate) connection: Connection,
    pub(crate) congestion: Congestion<Kept>,
}

/// A packet that waits in the pacer: where it lies, not its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// The track's key in the room.
    pub(crate) track: usize,
    /// The outgoing number under which the subscription remembers what it is made of.
    pub(crate) sequence: u64,
    /// It was sent before.
    pub(crate) repeated: bool,
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
    /// Bytes of padding after the payload, the last of which says how many they are.
    pub(crate) padding: u8,
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
        if self.padding > 0
            && let [first, .., last] = packet
        {
            *first |= PADDING_BIT;
            *last = self.padding;
        }
    }
}

impl Egress {
    /// Whether a packet of `class` may leave now. If not, and there is something to be `kept`, it
    /// waits in the pacer.
    pub(crate) fn admits(&mut self, class: Class, kept: Kept, context: &mut Context<'_>) -> bool {
        if self.congestion.admits(class, context.now) {
            return true;
        }
        self.congestion.keep(class, kept, context.now);
        context.shared.kept = true;
        false
    }

    /// Sends a packet and says which transport-wide number it got; `None` if the connection did not
    /// take it.
    pub(crate) fn send(
        &mut self,
        departure: &Departure<'_>,
        context: &mut Context<'_>,
    ) -> Option<u16> {
        let number = self.congestion.next_number();
        let len = self.write(departure, number, context)?;
        let numbered = departure.extensions.id(Extension::TransportCc).is_some();
        self.congestion.sent(len, numbered, context.now);
        Some(number)
    }

    /// Sends a packet once more exactly as it was: under the nonce of an SSRC and a sequence number
    /// nothing else may ever be sealed (RFC 7714, 8.1), the extensions in the header included.
    pub(crate) fn send_again(
        &mut self,
        departure: &Departure<'_>,
        number: u16,
        context: &mut Context<'_>,
    ) -> bool {
        let Some(len) = self.write(departure, number, context) else { return false };
        let numbered = departure.extensions.id(Extension::TransportCc).map(|_| number);
        self.congestion.sent_again(len, numbered, context.now);
        true
    }

    fn write(
        &mut self,
        departure: &Departure<'_>,
        number: u16,
        context: &mut Context<'_>,
    ) -> Option<usize> {
        let id = |extension| departure.extensions.id(extension).unwrap_or(0);
        let number = number.to_be_bytes();
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
        let body = original_len + departure.payload.len() + usize::from(departure.padding);
        let len = header_bytes(&elements) + body;
        self.connection
            .send_rtp(len, context.outbox, |packet| departure.write(packet, &elements))
            .ok()?;
        context.shared.counters.packets_out += 1;
        context.shared.counters.bytes_out += len as u64;
        Some(len)
    }
}
