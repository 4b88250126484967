//! RTP headers in place (RFC 3550, 5.1) and their extensions (RFC 8285): parsing yields offsets,
//! nothing is copied.

use std::ops::Range;

use belfry_model::outside::Parser;

use super::PACKET_BYTES_MAX;

/// Extension elements of one packet that are looked at; more are ignored.
const ELEMENTS_MAX: usize = 12;
const FIXED_BYTES: usize = 12;
const ONE_BYTE_FORM: u16 = 0xBEDE;
const TWO_BYTE_FORM: u16 = 0x1000;

/// RTP headers of decrypted packets.
pub(crate) static RTP_HEADER: Parser<Header, HeaderError> = Parser::new(
    "sfu rtp header",
    PACKET_BYTES_MAX,
    &[0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xBE, 0xDE, 0, 1, 0x10, b'0', 0, 0, 0xFF],
    Header::parse,
);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("the packet ends inside its header")]
    Short,
    #[error("not version 2")]
    Version,
    #[error("the padding is longer than the payload")]
    Padding,
}

/// One extension element: its negotiated id and where its data lies.
#[derive(Clone, Copy, Debug, Default)]
struct Element {
    id: u8,
    start: u16,
    len: u8,
}

/// The parts of a packet, by value and by offset.
#[derive(Clone, Debug, Default)]
pub(crate) struct Header {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    /// Without padding.
    payload_start: u16,
    payload_end: u16,
    elements: [Element; ELEMENTS_MAX],
    element_count: u8,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let fixed: &[u8; FIXED_BYTES] = bytes.first_chunk().ok_or(HeaderError::Short)?;
        if fixed[0] >> 6 != 2 {
            return Err(HeaderError::Version);
        }
        let mut header = Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7F,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            ..Self::default()
        };
        let mut at = FIXED_BYTES + usize::from(fixed[0] & 0x0F) * 4;
        if fixed[0] & 0x10 != 0 {
            let head: &[u8; 4] =
                bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(HeaderError::Short)?;
            let profile = u16::from_be_bytes([head[0], head[1]]);
            let len = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
            let block = at + 4..at + 4 + len;
            at = block.end;
            if bytes.len() < at {
                return Err(HeaderError::Short);
            }
            header.read_elements(bytes, block, profile);
        }
        let padding = match bytes.last() {
            Some(&len) if fixed[0] & 0x20 != 0 => usize::from(len),
            _ => 0,
        };
        let end = bytes.len().checked_sub(padding).ok_or(HeaderError::Padding)?;
        if at > bytes.len() {
            return Err(HeaderError::Short);
        }
        if end < at {
            return Err(HeaderError::Padding);
        }
        header.payload_start = at as u16;
        header.payload_end = end as u16;
        Ok(header)
    }

    /// Stops at the first element that does not fit: what follows cannot be trusted.
    fn read_elements(&mut self, bytes: &[u8], block: Range<usize>, profile: u16) {
        let two_byte = profile & 0xFFF0 == TWO_BYTE_FORM;
        if !two_byte && profile != ONE_BYTE_FORM {
            return;
        }
        let mut at = block.start;
        while at < block.end && usize::from(self.element_count) < ELEMENTS_MAX {
            let Some(&first) = bytes.get(at) else { return };
            if first == 0 {
                at += 1;
                continue;
            }
            let (id, len, start) = if two_byte {
                let Some(&len) = bytes.get(at + 1) else { return };
                (first, len, at + 2)
            } else {
                (first >> 4, (first & 0x0F) + 1, at + 1)
            };
            at = start + usize::from(len);
            // Id 15 of the one-byte form ends the block (RFC 8285, 4.2).
            if at > block.end || (!two_byte && id == 15) {
                return;
            }
            let element = Element { id, start: start as u16, len };
            if let Some(slot) = self.elements.get_mut(usize::from(self.element_count)) {
                *slot = element;
                self.element_count += 1;
            }
        }
    }

    /// Where the payload lies in the packet, padding excluded.
    pub(crate) fn payload(&self) -> Range<usize> {
        usize::from(self.payload_start)..usize::from(self.payload_end)
    }

    /// The data of extension `id` in `packet`, from which this header was parsed. Id 0 is no
    /// extension.
    pub(crate) fn extension<'a>(&self, packet: &'a [u8], id: u8) -> Option<&'a [u8]> {
        let elements = self.elements.get(..usize::from(self.element_count))?;
        let element = elements.iter().find(|element| element.id == id && id != 0)?;
        let start = usize::from(element.start);
        packet.get(start..start + usize::from(element.len))
    }
}

/// What the header of an outgoing packet says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outgoing {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

/// Extension elements of an outgoing packet; those with id 0 or without data are left out.
pub(crate) type Elements<'a> = [(u8, &'a [u8])];

/// The bytes of an outgoing header with `elements`.
pub(crate) fn header_bytes(elements: &Elements<'_>) -> usize {
    match body_bytes(elements) {
        0 => FIXED_BYTES,
        body => FIXED_BYTES + 4 + body.next_multiple_of(4),
    }
}

fn present<'e, 'a>(elements: &'e Elements<'a>) -> impl Iterator<Item = (u8, &'a [u8])> + 'e {
    elements.iter().copied().filter(|(id, data)| *id != 0 && !data.is_empty() && data.len() < 256)
}

fn needs_two_bytes(elements: &Elements<'_>) -> bool {
    present(elements).any(|(id, data)| id > 14 || data.len() > 16)
}

fn body_bytes(elements: &Elements<'_>) -> usize {
    let head = if needs_two_bytes(elements) { 2 } else { 1 };
    present(elements).map(|(_, data)| head + data.len()).sum()
}

/// Writes a header into the start of `packet`, which has room for [`header_bytes`]; says where the
/// payload begins, or nothing if it did not fit.
pub(crate) fn write_header(
    packet: &mut [u8],
    out: &Outgoing,
    elements: &Elements<'_>,
) -> Option<usize> {
    let end = header_bytes(elements);
    let (fixed, rest) = packet.get_mut(..end)?.split_first_chunk_mut::<FIXED_BYTES>()?;
    fixed[0] = if rest.is_empty() { 0x80 } else { 0x90 };
    fixed[1] = (u8::from(out.marker) << 7) | (out.payload_type & 0x7F);
    fixed[2..4].copy_from_slice(&out.sequence.to_be_bytes());
    fixed[4..8].copy_from_slice(&out.timestamp.to_be_bytes());
    fixed[8..12].copy_from_slice(&out.ssrc.to_be_bytes());
    if let Some((head, mut body)) = rest.split_first_chunk_mut::<4>() {
        let two_byte = needs_two_bytes(elements);
        let profile = if two_byte { TWO_BYTE_FORM } else { ONE_BYTE_FORM };
        head[..2].copy_from_slice(&profile.to_be_bytes());
        head[2..].copy_from_slice(&((body.len() / 4) as u16).to_be_bytes());
        for (id, data) in present(elements) {
            let len = data.len() as u8;
            let mark = [id, len];
            let short = [(id << 4) | len.wrapping_sub(1)];
            let mark: &[u8] = if two_byte { &mark } else { &short };
            let (mark_slot, after) = body.split_at_mut_checked(mark.len())?;
            mark_slot.copy_from_slice(mark);
            let (data_slot, after) = after.split_at_mut_checked(data.len())?;
            data_slot.copy_from_slice(data);
            body = after;
        }
        body.fill(0);
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use belfry_model::Outside;
    use proptest::prelude::*;

    use super::{Outgoing, RTP_HEADER, header_bytes, write_header};

    #[test]
    fn padding_and_csrcs_are_no_payload() {
        let packet = [0xA1, 0xE0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 7, 1, 1, 1, 1, 42, 43, 0, 2];
        let header = RTP_HEADER.parse(Outside::new(&packet)).expect("a sound packet");
        assert_eq!(&packet[header.payload()], &[42, 43]);
        assert!(header.marker && header.payload_type == 96 && header.sequence == 9);
    }

    #[test]
    fn padding_longer_than_the_payload_is_refused() {
        let packet = [0xA0, 96, 0, 9, 0, 0, 0, 1, 0, 0, 0, 7, 42, 3];
        assert!(RTP_HEADER.parse(Outside::new(&packet)).is_err());
    }

    #[test]
    fn a_long_element_takes_the_two_byte_form() {
        let long = [7u8; 40];
        let elements: [(u8, &[u8]); 3] = [(1, b"mid"), (0, b"left out"), (9, &long)];
        let mut packet = vec![0; header_bytes(&elements)];
        let end = write_header(&mut packet, &Outgoing::default(), &elements).expect("fits");
        assert_eq!(end, packet.len());
        let header = RTP_HEADER.parse(Outside::new(&packet)).expect("own header");
        assert_eq!(header.extension(&packet, 9), Some(long.as_slice()));
        assert_eq!(header.extension(&packet, 1), Some(b"mid".as_slice()));
        assert_eq!(header.extension(&packet, 0), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
            elements in prop::collection::btree_map(1u8..15, prop::collection::vec(any::<u8>(), 1..20), 0..6),
        ) {
            let out = Outgoing { marker, payload_type, sequence, timestamp, ssrc };
            let elements: Vec<(u8, &[u8])> = elements.iter().map(|(id, data)| (*id, data.as_slice())).collect();
            let mut packet = vec![0xAA; header_bytes(&elements) + 5];
            let end = write_header(&mut packet, &out, &elements).expect("fits");
            let header = RTP_HEADER.parse(Outside::new(&packet)).expect("own header");
            prop_assert_eq!(header.payload(), end..end + 5);
            prop_assert_eq!((header.marker, header.payload_type), (marker, payload_type));
            prop_assert_eq!((header.sequence, header.timestamp, header.ssrc), (sequence, timestamp, ssrc));
            for (id, data) in elements {
                prop_assert_eq!(header.extension(&packet, id), Some(data));
            }
        }

        #[test]
        fn no_bytes_make_the_parser_fall(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(header) = RTP_HEADER.parse(Outside::new(&bytes)) {
                prop_assert!(bytes.get(header.payload()).is_some());
                for id in 0..=255 {
                    header.extension(&bytes, id);
                }
            }
        }
    }
}
