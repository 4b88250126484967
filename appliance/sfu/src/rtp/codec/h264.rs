//! H.264 payloads (RFC 6184, 5.2): single units, STAP-A and FU-A.

use belfry_model::outside::Parser;

use super::{Cut, Peek};
use crate::rtp::PACKET_BYTES_MAX;

const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// H.264 payloads.
pub(crate) static H264: Parser<Peek, Cut> =
    Parser::new("sfu h264", PACKET_BYTES_MAX, &[0x78, 0, 2, 0x67, 0x42, 0, 1, 0x65], parse);

fn parse(bytes: &[u8]) -> Result<Peek, Cut> {
    let unit = bytes.first().ok_or(Cut)? & 0x1F;
    let (contents, start) = match unit {
        STAP_A => (aggregated(bytes), true),
        FU_A => {
            let head = bytes.get(1).ok_or(Cut)?;
            (Contents::default().with(head & 0x1F), head & 0x80 != 0)
        }
        unit => (Contents::default().with(unit), unit <= 23),
    };
    let Contents { refresh, parameters } = contents;
    Ok(Peek { keyframe: refresh || parameters, start, parameters, ..Peek::default() })
}

/// The units of a packet that matter to one who begins.
#[derive(Clone, Copy, Debug, Default)]
struct Contents {
    refresh: bool,
    parameters: bool,
}

impl Contents {
    fn with(self, unit: u8) -> Self {
        Self { refresh: self.refresh || unit == IDR, parameters: self.parameters || unit == SPS }
    }
}

fn aggregated(bytes: &[u8]) -> Contents {
    let mut contents = Contents::default();
    let mut rest = bytes.get(1..).unwrap_or_default();
    while let [high, low, unit @ ..] = rest {
        let Some(first) = unit.first() else { break };
        contents = contents.with(first & 0x1F);
        rest = unit.get(usize::from(u16::from_be_bytes([*high, *low]))..).unwrap_or_default();
    }
    contents
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn parameter_sets_and_instant_refreshes_are_entries_in_every_packaging() {
        for entry in
            [&[0x67, 0x42][..], &[0x65, 1], &[0x78, 0, 1, 6, 0, 2, 0x67, 1], &[0x7C, 0x85, 1]]
        {
            assert!(parse(entry).expect("sound").is_entry(), "{entry:x?}");
        }
        for other in [&[0x61, 1][..], &[0x78, 0, 1, 6, 0, 9], &[0x7C, 0x05, 1], &[0x7C, 0x81, 1]] {
            assert!(!parse(other).expect("sound").is_entry(), "{other:x?}");
        }
        assert!(parse(&[]).is_err());
    }

    #[test]
    fn parameter_sets_are_told_from_refreshes_without_them() {
        assert!(parse(&[0x67, 0x42]).expect("sound").parameters);
        assert!(parse(&[0x78, 0, 1, 6, 0, 2, 0x67, 1]).expect("sound").parameters);
        assert!(!parse(&[0x65, 1]).expect("sound").parameters);
        assert!(!parse(&[0x7C, 0x85, 1]).expect("sound").parameters);
        // A stream that is cut short inside an aggregate is no reason to stop.
        assert!(!parse(&[0x78, 0, 9, 0x65]).expect("sound").parameters);
    }
}
