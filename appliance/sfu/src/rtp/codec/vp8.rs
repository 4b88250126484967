//! VP8 payload descriptors (RFC 7741, 4.2).

use belfry_model::outside::Parser;

use super::{Cut, Numbering, Opens, Peek};
use crate::rtp::PACKET_BYTES_MAX;

/// VP8 payloads.
pub(crate) static VP8: Parser<Peek, Cut> =
    Parser::new("sfu vp8", PACKET_BYTES_MAX, &[0x90, 0xE0, 0x81, 0x02, 0x03, 0x20, 0, 0, 0], parse);

fn parse(bytes: &[u8]) -> Result<Peek, Cut> {
    let byte = |at: usize| bytes.get(at).copied().ok_or(Cut);
    let first = byte(0)?;
    let mut numbering = Numbering::default();
    let mut peek = Peek { start: first & 0x17 == 0x10, ..Peek::default() };
    let mut at = 1;
    if first & 0x80 != 0 {
        let flags = byte(at)?;
        at += 1;
        if flags & 0x80 != 0 {
            at = numbering.read_picture_id(bytes, at).ok_or(Cut)?;
        }
        if flags & 0x40 != 0 {
            numbering.tl0_at = at as u8;
            numbering.tl0 = Some(byte(at)?);
            at += 1;
        }
        if flags & 0x30 != 0 {
            let layers = byte(at)?;
            if flags & 0x20 != 0 {
                peek.temporal = layers >> 6;
                // Y: refers to nothing but the base layer.
                peek.opens = if layers & 0x20 != 0 { Opens::Itself } else { Opens::Nothing };
            }
            at += 1;
        }
    }
    // The P bit of the frame tag is inverse: 0 is a keyframe (RFC 6386, 9.1).
    peek.keyframe = peek.start && byte(at)? & 0x01 == 0;
    peek.numbering = (numbering != Numbering::default()).then_some(numbering);
    Ok(peek)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::rtp::codec::{Numbering, Opens};

    #[test]
    fn numbers_are_found_and_written_back_in_place() {
        let mut payload = vec![0x90, 0xE0, 0x81, 0x02, 0x03, 0x20, 0x10, 0, 0];
        let peek = parse(&payload).expect("a sound descriptor");
        let numbering = peek.numbering.expect("has numbers");
        assert_eq!((numbering.picture_id, numbering.tl0), (Some(0x0102), Some(3)));
        assert!(peek.is_entry());
        numbering.write(&mut payload, 0x7FFF, 9);
        let again = parse(&payload).expect("still sound").numbering;
        assert_eq!(again, Some(Numbering { picture_id: Some(0x7FFF), tl0: Some(9), ..numbering }));
    }

    #[test]
    fn only_the_first_packet_of_a_frame_says_keyframe() {
        assert!(!parse(&[0x00, 0x00]).expect("sound").keyframe);
        assert!(!parse(&[0x10, 0x01]).expect("sound").keyframe);
        assert!(parse(&[0x10, 0x00]).expect("sound").keyframe);
        assert!(parse(&[0x90, 0x80]).is_err());
    }

    #[test]
    fn the_temporal_layer_and_whether_one_can_begin_with_it_are_found() {
        let upper = parse(&[0x90, 0xE0, 0x05, 0x03, 0xA0, 0x01]).expect("sound");
        assert_eq!((upper.temporal, upper.opens), (2, Opens::Itself));
        let unsynced = parse(&[0x90, 0xE0, 0x05, 0x03, 0x40, 0x01]).expect("sound");
        assert_eq!((unsynced.temporal, unsynced.opens), (1, Opens::Nothing));
        // With a key index only there is no temporal layer.
        assert_eq!(parse(&[0x90, 0x10, 0xFF, 0x01]).expect("sound").temporal, 0);
    }
}
