//! RTCP: reading by rtc-rtcp into the few things that are acted upon, writing into one reused
//! buffer.

use belfry_model::outside::Parser;
use rtc_rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::sender_report::SenderReport;
use rtc_rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, SymbolTypeTcc, TransportLayerCc,
};
use rtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;

use super::PACKET_BYTES_MAX;
use super::stats::Block;

/// Numbers that one NACK packet of ours names at most.
const NACK_NUMBERS_MAX: usize = 256;
/// Packets of one transport-wide feedback that are looked at; senders report every 250 ms at least.
const FEEDBACK_PACKETS_MAX: usize = 4_096;

/// Decrypted compound RTCP packets.
pub(crate) static RTCP: Parser<Vec<Message>, RtcpError> =
    Parser::new("sfu rtcp", PACKET_BYTES_MAX, &[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2], parse);

#[derive(Debug, thiserror::Error)]
pub(crate) enum RtcpError {
    #[error("not a compound RTCP packet")]
    Compound(#[source] rtc_shared::error::Error),
}

/// What is acted upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    SenderReport {
        ssrc: u32,
        ntp: u64,
        timestamp: u32,
    },
    Report {
        ssrc: u32,
        fraction_lost: u8,
        last_sr: u32,
        delay: u32,
    },
    /// A keyframe of `ssrc` is asked for, by PLI or FIR.
    Keyframe {
        ssrc: u32,
    },
    Nack {
        ssrc: u32,
        sequences: Vec<u16>,
    },
    /// The fate of packets from `base` on: when each was received, in microseconds after
    /// `reference`, which counts 64 ms; `None`: it was not.
    TransportCc {
        base: u16,
        reference: u32,
        arrivals: Vec<Option<i32>>,
    },
}

fn parse(bytes: &[u8]) -> Result<Vec<Message>, RtcpError> {
    let packets = rtc_rtcp::packet::unmarshal(&mut &*bytes).map_err(RtcpError::Compound)?;
    let mut messages = Vec::with_capacity(packets.len());
    for packet in &packets {
        let any = packet.as_any();
        if let Some(report) = any.downcast_ref::<SenderReport>() {
            messages.push(Message::SenderReport {
                ssrc: report.ssrc,
                ntp: report.ntp_time,
                timestamp: report.rtp_time,
            });
            messages.extend(report.reports.iter().map(reception));
        } else if let Some(report) = any.downcast_ref::<ReceiverReport>() {
            messages.extend(report.reports.iter().map(reception));
        } else if let Some(pli) = any.downcast_ref::<PictureLossIndication>() {
            messages.push(Message::Keyframe { ssrc: pli.media_ssrc });
        } else if let Some(fir) = any.downcast_ref::<FullIntraRequest>() {
            messages.extend(fir.fir.iter().map(|entry| Message::Keyframe { ssrc: entry.ssrc }));
        } else if let Some(nack) = any.downcast_ref::<TransportLayerNack>() {
            let sequences = nack.nacks.iter().flat_map(|pair| pair.into_iter()).collect();
            messages.push(Message::Nack { ssrc: nack.media_ssrc, sequences });
        } else if let Some(feedback) = any.downcast_ref::<TransportLayerCc>() {
            messages.push(transport_cc(feedback));
        }
    }
    Ok(messages)
}

fn reception(report: &ReceptionReport) -> Message {
    Message::Report {
        ssrc: report.ssrc,
        fraction_lost: report.fraction_lost,
        last_sr: report.last_sender_report,
        delay: report.delay,
    }
}

fn transport_cc(feedback: &TransportLayerCc) -> Message {
    let count = usize::from(feedback.packet_status_count).min(FEEDBACK_PACKETS_MAX);
    let mut arrivals = Vec::with_capacity(count);
    let mut deltas = feedback.recv_deltas.iter();
    let mut at = 0i32;
    let mut arrival = |symbol: &SymbolTypeTcc| {
        match symbol {
            SymbolTypeTcc::PacketNotReceived => return None,
            // Received, but not told when: with the one before.
            SymbolTypeTcc::PacketReceivedWithoutDelta => {}
            _ => at = at.saturating_add(deltas.next()?.delta as i32),
        }
        Some(at)
    };
    for chunk in &feedback.packet_chunks {
        let left = count - arrivals.len();
        match chunk {
            PacketStatusChunk::RunLengthChunk(run) => {
                let symbols = std::iter::repeat_n(&run.packet_status_symbol, run.run_length.into());
                arrivals.extend(symbols.take(left).map(&mut arrival));
            }
            PacketStatusChunk::StatusVectorChunk(vector) => {
                arrivals.extend(vector.symbol_list.iter().take(left).map(&mut arrival));
            }
        }
    }
    Message::TransportCc {
        base: feedback.base_sequence_number,
        reference: feedback.reference_time,
        arrivals,
    }
}

/// Writes compound packets, one after the other, into one buffer.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// What was written since [`Writer::clear`].
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    fn word(&mut self, word: u32) {
        self.bytes.extend_from_slice(&word.to_be_bytes());
    }

    /// Writes a packet: head, then what `body` writes, padded to words.
    pub(crate) fn packet(&mut self, count: u8, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.word(u32::from_be_bytes([0x80 | (count & 0x1F), kind, 0, 0]));
        body(&mut self.bytes);
        self.bytes.resize(start + (self.bytes.len() - start).next_multiple_of(4), 0);
        let words = ((self.bytes.len() - start) / 4 - 1) as u16;
        if let Some(slot) = self.bytes.get_mut(start + 2..start + 4) {
            slot.copy_from_slice(&words.to_be_bytes());
        }
    }

    /// A receiver report; `sender` is our SSRC.
    pub(crate) fn receiver_report(&mut self, sender: u32, blocks: &[(u32, Block)]) {
        for blocks in blocks.chunks(31) {
            self.packet(blocks.len() as u8, 201, |out| {
                out.extend_from_slice(&sender.to_be_bytes());
                for (ssrc, block) in blocks {
                    let lost = (u32::from(block.fraction_lost) << 24) | block.total_lost;
                    for word in
                        [*ssrc, lost, block.highest, block.jitter, block.last_sr, block.delay]
                    {
                        out.extend_from_slice(&word.to_be_bytes());
                    }
                }
            });
        }
    }

    /// A sender report without blocks.
    pub(crate) fn sender_report(
        &mut self,
        ssrc: u32,
        ntp: u64,
        timestamp: u32,
        packets: u32,
        bytes: u32,
    ) {
        self.packet(0, 200, |out| {
            out.extend_from_slice(&ssrc.to_be_bytes());
            out.extend_from_slice(&ntp.to_be_bytes());
            for word in [timestamp, packets, bytes] {
                out.extend_from_slice(&word.to_be_bytes());
            }
        });
    }

    /// A picture loss indication (RFC 4585, 6.3.1).
    pub(crate) fn keyframe_request(&mut self, sender: u32, media: u32) {
        self.packet(1, 206, |out| {
            out.extend_from_slice(&sender.to_be_bytes());
            out.extend_from_slice(&media.to_be_bytes());
        });
    }

    /// A generic NACK (RFC 4585, 6.2.1) of ascending sequence numbers.
    pub(crate) fn nack(&mut self, sender: u32, media: u32, sequences: &[u16]) {
        self.packet(1, 205, |out| {
            out.extend_from_slice(&sender.to_be_bytes());
            out.extend_from_slice(&media.to_be_bytes());
            let mut rest = sequences.iter().take(NACK_NUMBERS_MAX).copied().peekable();
            while let Some(first) = rest.next() {
                let mut mask = 0u16;
                while let Some(next) = rest.peek() {
                    let distance = next.wrapping_sub(first);
                    if !(1..=16).contains(&distance) {
                        break;
                    }
                    mask |= 1 << (distance - 1);
                    rest.next();
                }
                out.extend_from_slice(&first.to_be_bytes());
                out.extend_from_slice(&mask.to_be_bytes());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use belfry_model::Outside;
    use proptest::prelude::*;

    use super::{Message, RTCP, Writer};
    use crate::rtp::stats::Block;

    fn read(writer: &Writer) -> Vec<Message> {
        RTCP.parse(Outside::new(writer.bytes())).expect("own packets parse")
    }

    #[test]
    fn a_compound_says_what_was_written() {
        let mut writer = Writer::default();
        let block = Block { fraction_lost: 9, last_sr: 4, delay: 5, ..Block::default() };
        writer.sender_report(1, 2, 3, 4, 5);
        writer.receiver_report(1, &[(7, block)]);
        writer.keyframe_request(1, 7);
        assert_eq!(
            read(&writer),
            [
                Message::SenderReport { ssrc: 1, ntp: 2, timestamp: 3 },
                Message::Report { ssrc: 7, fraction_lost: 9, last_sr: 4, delay: 5 },
                Message::Keyframe { ssrc: 7 },
            ]
        );
    }

    proptest! {
        #[test]
        fn a_nack_names_exactly_what_is_missing(
            missing in prop::collection::btree_set(0u16..2_000, 1..200), offset: u16,
        ) {
            let missing: Vec<u16> = missing.iter().map(|number| number.wrapping_add(offset)).collect();
            let mut writer = Writer::default();
            writer.nack(1, 2, &missing);
            prop_assert_eq!(read(&writer), [Message::Nack { ssrc: 2, sequences: missing }]);
        }

        #[test]
        fn no_bytes_make_the_parser_fall(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = RTCP.parse(Outside::new(&bytes));
        }
    }
}
