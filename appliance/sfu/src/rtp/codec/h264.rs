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
    let (keyframe, start) = match unit {
        // A keyframe begins with its parameter sets: an IDR alone is no entry unless nothing
        // precedes it, which `start` of a lone IDR stands for.
        SPS | IDR => (true, true),
        STAP_A => (aggregate_has_key(bytes), true),
        FU_A => {
            let head = bytes.get(1).ok_or(Cut)?;
            (head & 0x1F == IDR, head & 0x80 != 0)
        }
        _ => (false, unit <= 23),
    };
    Ok(Peek { keyframe, start, vp8: None })
}

fn aggregate_has_key(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(1..).unwrap_or_default();
    while let [high, low, unit @ ..] = rest {
        let Some(first) = unit.first() else { return false };
        if matches!(first & 0x1F, IDR | SPS) {
            return true;
        }
        rest = unit.get(usize::from(u16::from_be_bytes([*high, *low]))..).unwrap_or_default();
    }
    false
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
}
