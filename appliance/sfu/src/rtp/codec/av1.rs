//! AV1: the aggregation header of a payload, and the dependency descriptor (both from the AV1 RTP
//! payload format, sections 4.4 and A.8).

use belfry_model::outside::Parser;

use super::{Cut, Peek};
use crate::rtp::PACKET_BYTES_MAX;

/// AV1 payloads without a dependency descriptor.
pub(crate) static AV1: Parser<Peek, Cut> =
    Parser::new("sfu av1", PACKET_BYTES_MAX, &[0x18, 0x0A, 0x00], parse_payload);

/// Dependency descriptors.
pub(crate) static DESCRIPTOR: Parser<Peek, Cut> =
    Parser::new("sfu dependency descriptor", 255, &[0x80, 0x00, 0x01, 0x80], parse_descriptor);

fn parse_payload(bytes: &[u8]) -> Result<Peek, Cut> {
    let head = bytes.first().ok_or(Cut)?;
    // N: the first packet of a coded video sequence. Z: continues an element of the packet before.
    Ok(Peek { keyframe: head & 0x08 != 0, start: head & 0x80 == 0, vp8: None })
}

/// The mandatory fields, and whether a template structure follows: only keyframes carry one.
fn parse_descriptor(bytes: &[u8]) -> Result<Peek, Cut> {
    let [flags, _, _, rest @ ..] = bytes else { return Err(Cut) };
    let structure = rest.first().is_some_and(|extended| extended & 0x80 != 0);
    Ok(Peek { keyframe: structure, start: flags & 0x80 != 0, vp8: None })
}

#[cfg(test)]
mod tests {
    use super::{parse_descriptor, parse_payload};

    #[test]
    fn a_new_sequence_or_a_template_structure_is_an_entry() {
        assert!(parse_payload(&[0x18]).expect("sound").is_entry());
        assert!(!parse_payload(&[0x98]).expect("sound").is_entry());
        assert!(parse_descriptor(&[0x80, 0, 1, 0x80]).expect("sound").is_entry());
        assert!(!parse_descriptor(&[0x80, 0, 1]).expect("sound").is_entry());
        assert!(!parse_descriptor(&[0x00, 0, 1, 0x80]).expect("sound").is_entry());
        assert!(parse_descriptor(&[0x80, 0]).is_err());
    }
}
