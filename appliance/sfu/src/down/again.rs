//! What is sent once more: packets that the subscriber misses, and padding for a probe.

use std::time::{Duration, Instant};

use belfry_media_api::MediaKind;

use super::ELEMENT_BYTES_MAX;
use super::{Down, Sent, Shape, rewritten, slot, stored};
use crate::congestion::Class;
use crate::context::Context;
use crate::egress::{Departure, Egress, Kept};
use crate::layer::Layer;
use crate::rtp::header::Outgoing;
use crate::sdp::{Extension, Sending};

/// A packet is repeated this often at most; repeats get lost, too.
const REPEATS_MAX: u8 = 10;
/// Of the round trip, that lies between two repeats at least: a receiver that asks at the pace of
/// its own measurement may be a little early.
const REPEAT_PACE: f64 = 0.7;
/// A probe goes round among so many of the last packets.
const PADDING_PACKETS: u64 = 24;
/// A subscription that has sent nothing for so long may pad all the same.
const PADDING_ALONE_AFTER: Duration = Duration::from_secs(3);
/// Padding where there is no packet to repeat.
const PADDING_BYTES: u8 = 224;
/// Until the first measurement.
const RTT_INITIAL: Duration = Duration::from_millis(60);
const RTT_MIN: Duration = Duration::from_millis(10);

impl Down {
    /// Sends once more what the subscriber misses, at the pace of its path.
    pub(crate) fn repeat(
        &mut self,
        missing: &[u16],
        layers: &[Layer],
        egress: &mut Egress,
        context: &mut Context<'_>,
    ) {
        let now = context.now;
        let rtt = egress.congestion.rtt().unwrap_or(RTT_INITIAL).mul_f64(REPEAT_PACE).max(RTT_MIN);
        let class = if self.class() == Class::Voice { Class::Voice } else { Class::Repeat };
        for number in missing {
            let Some(sent) = slot(&mut self.sent, *number).and_then(|slot| slot.as_mut()) else {
                continue;
            };
            let paced = sent.repeated.is_some_and(|at| now.duration_since(at) < rtt);
            if sent.numbers.sequence as u16 != *number || sent.repeats >= REPEATS_MAX || paced {
                continue;
            }
            sent.repeats += 1;
            sent.repeated = Some(now);
            let sent = *sent;
            let sequence = sent.numbers.sequence;
            let kept = Kept { track: self.track, sequence, repeated: true };
            if egress.admits(class, kept, context) {
                self.again(&sent, layers, egress, context);
            }
        }
    }

    /// Sends a packet once more: video in an envelope, voices exactly as they were.
    pub(super) fn again(
        &mut self,
        sent: &Sent,
        layers: &[Layer],
        egress: &mut Egress,
        context: &mut Context<'_>,
    ) -> bool {
        let Some(packet) = stored(sent, layers) else { return false };
        let mut descriptor = [0; ELEMENT_BYTES_MAX];
        let packet = rewritten(&packet, sent, &mut descriptor);
        let done = if self.kind() == MediaKind::Video {
            let departure = self.departure(&packet, sent, Shape::Repeat);
            let done =
                departure.is_some_and(|departure| egress.send(&departure, context).is_some());
            self.rtx_number = self.rtx_number.wrapping_add(u16::from(done));
            done
        } else {
            let departure = self.departure(&packet, sent, Shape::Itself { named: sent.named });
            departure
                .is_some_and(|departure| egress.send_again(&departure, sent.transport, context))
        };
        context.shared.counters.retransmitted += u64::from(done);
        done
    }

    /// Sends a packet for a probe: one of the last once more, else nothing but padding. `false`:
    /// this subscription cannot. It has to be a packet with a number of its own: one that leaves as
    /// it was, as a voice does, tells a probe nothing and would never fill it.
    pub(crate) fn pad(
        &mut self,
        layers: &[Layer],
        egress: &mut Egress,
        context: &mut Context<'_>,
    ) -> bool {
        let numbered = |sending: &Sending| sending.extensions.id(Extension::TransportCc).is_some();
        if self.kind() == MediaKind::Audio || !self.sending.as_ref().is_some_and(numbered) {
            return false;
        }
        if self.current.is_some() {
            self.padded = (self.padded + 1) % PADDING_PACKETS;
            let number = self.newest.saturating_sub(self.padded);
            let sent = slot(&mut self.sent, number as u16).and_then(|slot| *slot);
            if let Some(sent) = sent.filter(|sent| sent.numbers.sequence == number)
                && self.again(&sent, layers, egress, context)
            {
                return true;
            }
        }
        self.may_pad_empty(context.now) && self.pad_empty(egress, context)
    }

    /// Firefox can take the SSRC of padding that comes before any media for that of the picture, and
    /// then never shows it. So media goes first, unless the path seems too slow for all of it.
    fn may_pad_empty(&self, now: Instant) -> bool {
        let waited = |at: Instant| now.duration_since(at) >= PADDING_ALONE_AFTER;
        self.packets > 0 || self.accepted_at.is_some_and(waited)
    }

    fn pad_empty(&mut self, egress: &mut Egress, context: &mut Context<'_>) -> bool {
        let Some((sending, ssrc)) = self.sending.as_ref().zip(self.rtx_ssrc) else { return false };
        let Some(payload_type) = sending.codecs.iter().find_map(|codec| codec.rtx_pt) else {
            return false;
        };
        let departure = Departure {
            header: Outgoing {
                marker: false,
                payload_type,
                sequence: self.rtx_number,
                timestamp: 0,
                ssrc,
            },
            extensions: &sending.extensions,
            mid: if self.confirmed { "" } else { &sending.mid },
            descriptor: &[],
            level: None,
            orientation: None,
            original: None,
            payload: &[],
            padding: PADDING_BYTES,
            numbering: None,
        };
        let sent = egress.send(&departure, context).is_some();
        self.rtx_number = self.rtx_number.wrapping_add(u16::from(sent));
        sent
    }
}
