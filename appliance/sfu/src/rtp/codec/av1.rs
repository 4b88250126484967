//! AV1 payloads without a dependency descriptor: their aggregation header (AV1 RTP payload format,
//! section 4.4).

use belfry_model::outside::Parser;

use super::{Cut, Peek};
use crate::rtp::PACKET_BYTES_MAX;

/// AV1 payloads without a dependency descriptor.
pub(crate) static AV1: Parser<Peek, Cut> =
    Parser::new("sfu av1", PACKET_BYTES_MAX, &[0x18, 0x0A, 0x00], parse);

fn parse(bytes: &[u8]) -> Result<Peek, Cut> {
    let head = bytes.first().ok_or(Cut)?;
    // N: the first packet of a coded video sequence. Z: continues an element of the packet before.
    Ok(Peek { keyframe: head & 0x08 != 0, start: head & 0x80 == 0, ..Peek::default() })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_new_sequence_is_an_entry() {
        assert!(parse(&[0x18]).expect("sound").is_entry());
        assert!(!parse(&[0x98]).expect("sound").is_entry());
        assert!(!parse(&[0x10]).expect("sound").is_entry());
        assert!(parse(&[]).is_err());
    }
}
