//! Redundant audio (RFC 2198): finding the primary block for those who do not take redundancy.

use std::ops::Range;

use belfry_model::Outside;
use belfry_model::outside::Parser;

use super::Cut;
use crate::rtp::PACKET_BYTES_MAX;

/// RED payloads: where the primary block lies.
pub(crate) static RED: Parser<Range<usize>, Cut> = Parser::new(
    "sfu red",
    PACKET_BYTES_MAX,
    &[0xEF, 0x0F, 0x00, 0x02, 0x6F, 1, 2, 3, 4],
    primary_range,
);

fn primary_range(bytes: &[u8]) -> Result<Range<usize>, Cut> {
    let mut at = 0;
    let mut redundant = 0;
    loop {
        let head = bytes.get(at..).ok_or(Cut)?;
        match head {
            [first, _, high, low, ..] if first & 0x80 != 0 => {
                redundant += usize::from(u16::from_be_bytes([high & 0x03, *low]));
                at += 4;
            }
            [first, ..] if first & 0x80 == 0 => break,
            _ => return Err(Cut),
        }
    }
    let start = at + 1 + redundant;
    if start > bytes.len() { Err(Cut) } else { Ok(start..bytes.len()) }
}

/// The primary block of a RED payload.
pub(crate) fn primary(payload: &[u8]) -> Option<&[u8]> {
    payload.get(RED.parse(Outside::new(payload)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::primary;

    #[test]
    fn the_primary_block_is_the_last() {
        assert_eq!(primary(&[0xEF, 0x0F, 0x00, 0x02, 0x6F, 1, 2, 3, 4]), Some([3, 4].as_slice()));
        assert_eq!(primary(&[0x6F, 3, 4]), Some([3, 4].as_slice()));
        assert_eq!(primary(&[0xEF, 0, 0, 9, 0x6F, 1]), None);
        assert_eq!(primary(&[]), None);
    }
}
