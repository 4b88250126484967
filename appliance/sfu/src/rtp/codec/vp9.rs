//! VP9 payload descriptors (RFC 9628, 4.2).

use belfry_model::outside::Parser;

use super::{Cut, Peek};
use crate::rtp::PACKET_BYTES_MAX;

/// VP9 payloads.
pub(crate) static VP9: Parser<Peek, Cut> =
    Parser::new("sfu vp9", PACKET_BYTES_MAX, &[0xA8, 0x81, 0x02, 0x01, 0x00], parse);

fn parse(bytes: &[u8]) -> Result<Peek, Cut> {
    let byte = |at: usize| bytes.get(at).copied().ok_or(Cut);
    let first = byte(0)?;
    let [has_picture_id, inter_predicted, has_layers] =
        [first & 0x80 != 0, first & 0x40 != 0, first & 0x20 != 0];
    let begins = first & 0x08 != 0;
    let mut at = 1;
    if has_picture_id {
        at += if byte(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    let spatial = if has_layers { (byte(at)? >> 1) & 0x07 } else { 0 };
    // A superframe begins with its lowest spatial layer; the higher ones of a keyframe predict
    // from it, so only the lowest is an entry.
    let start = begins && spatial == 0;
    Ok(Peek { keyframe: !inter_predicted && spatial == 0, start, vp8: None })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_lowest_spatial_layer_without_prediction_is_an_entry() {
        assert!(parse(&[0xA8, 0x81, 0x02, 0x00, 0x00]).expect("sound").is_entry());
        assert!(!parse(&[0xA8, 0x81, 0x02, 0x02, 0x00]).expect("sound").is_entry());
        assert!(!parse(&[0xE8, 0x81, 0x02, 0x00, 0x00]).expect("sound").is_entry());
        assert!(parse(&[0xA0]).is_err());
    }
}
