//! VP8 payload descriptors (RFC 7741, 4.2).

use belfry_model::outside::Parser;

use super::Cut;
use crate::rtp::PACKET_BYTES_MAX;

/// VP8 payloads.
pub(crate) static VP8: Parser<Vp8, Cut> =
    Parser::new("sfu vp8", PACKET_BYTES_MAX, &[0x90, 0xE0, 0x81, 0x02, 0x03, 0x20, 0, 0, 0], parse);

/// The numbers of one payload descriptor, and where they lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vp8 {
    pub(crate) keyframe: bool,
    /// The packet begins a frame.
    pub(crate) start: bool,
    /// 7 or 15 bits.
    pub(crate) picture_id: Option<u16>,
    pub(crate) picture_id_long: bool,
    pub(crate) tl0: Option<u8>,
    pub(crate) picture_id_at: u8,
    pub(crate) tl0_at: u8,
}

fn parse(bytes: &[u8]) -> Result<Vp8, Cut> {
    let byte = |at: usize| bytes.get(at).copied().ok_or(Cut);
    let first = byte(0)?;
    let mut vp8 = Vp8 { start: first & 0x17 == 0x10, ..Vp8::default() };
    let mut at = 1;
    if first & 0x80 != 0 {
        let flags = byte(at)?;
        at += 1;
        if flags & 0x80 != 0 {
            vp8.picture_id_at = at as u8;
            let head = byte(at)?;
            vp8.picture_id_long = head & 0x80 != 0;
            if vp8.picture_id_long {
                vp8.picture_id = Some(u16::from_be_bytes([head & 0x7F, byte(at + 1)?]));
                at += 2;
            } else {
                vp8.picture_id = Some(u16::from(head));
                at += 1;
            }
        }
        if flags & 0x40 != 0 {
            vp8.tl0_at = at as u8;
            vp8.tl0 = Some(byte(at)?);
            at += 1;
        }
        if flags & 0x30 != 0 {
            byte(at)?;
            at += 1;
        }
    }
    // The P bit of the frame tag is inverse: 0 is a keyframe (RFC 6386, 9.1).
    vp8.keyframe = vp8.start && byte(at)? & 0x01 == 0;
    Ok(vp8)
}

/// Writes new numbers over those that `vp8` found; `payload` is the whole payload. A 7-bit picture
/// id stays one.
pub(crate) fn rewrite(payload: &mut [u8], vp8: &Vp8, picture_id: u16, tl0: u8) {
    let at = usize::from(vp8.picture_id_at);
    if vp8.picture_id.is_some() {
        if vp8.picture_id_long {
            if let Some(slot) = payload.get_mut(at..at + 2) {
                slot.copy_from_slice(&(picture_id | 0x8000).to_be_bytes());
            }
        } else if let Some(slot) = payload.get_mut(at) {
            *slot = (picture_id & 0x7F) as u8;
        }
    }
    if vp8.tl0.is_some()
        && let Some(slot) = payload.get_mut(usize::from(vp8.tl0_at))
    {
        *slot = tl0;
    }
}

#[cfg(test)]
mod tests {
    use super::{Vp8, parse, rewrite};

    #[test]
    fn numbers_are_found_and_written_back_in_place() {
        let mut payload = vec![0x90, 0xE0, 0x81, 0x02, 0x03, 0x20, 0x10, 0, 0];
        let vp8 = parse(&payload).expect("a sound descriptor");
        assert_eq!((vp8.picture_id, vp8.tl0), (Some(0x0102), Some(3)));
        assert!(vp8.start && vp8.keyframe);
        rewrite(&mut payload, &vp8, 0x7FFF, 9);
        let again = parse(&payload).expect("still sound");
        assert_eq!(again, Vp8 { picture_id: Some(0x7FFF), tl0: Some(9), ..vp8 });
    }

    #[test]
    fn only_the_first_packet_of_a_frame_says_keyframe() {
        assert!(!parse(&[0x00, 0x00]).expect("sound").keyframe);
        assert!(!parse(&[0x10, 0x01]).expect("sound").keyframe);
        assert!(parse(&[0x10, 0x00]).expect("sound").keyframe);
        assert!(parse(&[0x90, 0x80]).is_err());
    }
}
