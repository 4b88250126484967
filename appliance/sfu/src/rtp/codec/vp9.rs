//! VP9 payload descriptors (RFC 9628, 4.2).

use belfry_model::outside::Parser;

use super::{Cut, Numbering, Opens, Peek, TEMPORAL_MAX};
use crate::rtp::PACKET_BYTES_MAX;

/// VP9 payloads.
pub(crate) static VP9: Parser<Peek, Cut> =
    Parser::new("sfu vp9", PACKET_BYTES_MAX, &[0xA8, 0x81, 0x02, 0x01, 0x00], parse);

fn parse(bytes: &[u8]) -> Result<Peek, Cut> {
    let byte = |at: usize| bytes.get(at).copied().ok_or(Cut);
    let first = byte(0)?;
    let flag = |mask: u8| first & mask != 0;
    let mut numbering = Numbering::default();
    let mut at = 1;
    if flag(0x80) {
        at = numbering.read_picture_id(bytes, at).ok_or(Cut)?;
    }
    let (mut spatial, mut temporal, mut switch_up) = (0, 0, false);
    if flag(0x20) {
        let layers = byte(at)?;
        (temporal, switch_up, spatial) = (layers >> 5, layers & 0x10 != 0, layers >> 1 & 0x07);
        at += 1;
        // Flexible mode names its references and has no TL0PICIDX.
        if !flag(0x10) {
            numbering.tl0_at = at as u8;
            numbering.tl0 = Some(byte(at)?);
        }
    }
    let predicted = flag(0x40);
    Ok(Peek {
        // The higher spatial layers of a keyframe are predicted from its lowest.
        keyframe: !predicted && spatial == 0,
        start: flag(0x08),
        end: flag(0x04),
        spatial,
        temporal,
        reach: if predicted { u16::MAX } else { 0 },
        opens: if switch_up || !predicted { Opens::Up(TEMPORAL_MAX) } else { Opens::Nothing },
        numbering: numbering.picture_id.is_some().then_some(numbering),
        ..Peek::default()
    })
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::rtp::codec::{Opens, TEMPORAL_MAX};

    #[test]
    fn the_lowest_spatial_layer_without_prediction_is_an_entry() {
        assert!(parse(&[0xA8, 0x81, 0x02, 0x00, 0x00]).expect("sound").is_entry());
        assert!(!parse(&[0xA8, 0x81, 0x02, 0x02, 0x00]).expect("sound").is_entry());
        assert!(!parse(&[0xE8, 0x81, 0x02, 0x00, 0x00]).expect("sound").is_entry());
        assert!(parse(&[0xA0]).is_err());
    }

    #[test]
    fn layers_and_numbers_are_found_in_both_modes() {
        // Second temporal, third spatial layer; the frame may be switched up to; TL0PICIDX 9.
        let peek = parse(&[0xEC, 0x81, 0x02, 0x35, 0x09, 0x00]).expect("sound");
        assert_eq!((peek.temporal, peek.spatial, peek.start, peek.end), (1, 2, true, true));
        assert_eq!((peek.reach, peek.opens), (u16::MAX, Opens::Up(TEMPORAL_MAX)));
        let numbering = peek.numbering.expect("has a picture id");
        assert_eq!((numbering.picture_id, numbering.tl0), (Some(0x0102), Some(9)));
        let flexible = parse(&[0xF8, 0x05, 0x20, 0x02, 0x00]).expect("sound");
        let numbering = flexible.numbering.expect("has a picture id");
        assert_eq!((numbering.picture_id, numbering.tl0), (Some(5), None));
        assert_eq!((flexible.temporal, flexible.opens), (1, Opens::Nothing));
    }
}
