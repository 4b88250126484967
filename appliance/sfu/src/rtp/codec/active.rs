//! Which decode targets a receiver gets, in its dependency descriptors (AV1 RTP payload format,
//! section A.8): whoever is sent fewer layers than the encoder makes must not wait for the others.

use super::Cut;
use super::bits::Bits;
use super::descriptor::{Flags, HEAD_BYTES, Structure};

/// A bit for each decode target, that of the first one lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Active {
    pub(super) mask: u32,
    pub(super) count: u8,
}

impl Active {
    pub(super) fn all(count: u8) -> Self {
        Self { mask: u32::MAX >> (32 - u32::from(count.clamp(1, 32))), count }
    }

    pub(crate) fn is_all(self) -> bool {
        self == Self::all(self.count)
    }

    /// Writes the descriptor with this in it; says how long it is then.
    fn write(self, descriptor: &[u8], place: &mut [u8]) -> Result<usize, Cut> {
        let (head, rest) = descriptor.split_at_checked(HEAD_BYTES).ok_or(Cut)?;
        let mut from = Bits::new(rest);
        let flags = if rest.is_empty() { Flags::default() } else { Flags::read(&mut from)? };
        if flags.structure {
            Structure::read(&mut from)?;
        }
        place.get_mut(..HEAD_BYTES).ok_or(Cut)?.copy_from_slice(head);
        let mut to = Writer { bytes: place.get_mut(HEAD_BYTES..).ok_or(Cut)?, at: 0 };
        flags.with_active().bits().into_iter().try_for_each(|flag| to.flag(flag))?;
        let mut copied = Bits::new(rest);
        if !rest.is_empty() {
            copied.number(Flags::COUNT)?;
        }
        while copied.at() < from.at() {
            to.flag(copied.flag()?)?;
        }
        for target in (0..self.count).rev() {
            to.flag(self.mask >> target & 1 == 1)?;
        }
        if flags.active {
            copied.number(u32::from(self.count))?;
        }
        while let Ok(flag) = copied.flag() {
            to.flag(flag)?;
        }
        Ok(HEAD_BYTES + to.at.div_ceil(8))
    }
}

/// Writes a descriptor into `place` under another frame number and, if given, with these decode
/// targets. One that cannot be read, or would become too long, keeps its own.
pub(crate) fn rewrite<'a>(
    descriptor: &[u8],
    number: u16,
    active: Option<Active>,
    place: &'a mut [u8],
) -> Option<&'a [u8]> {
    let written = active.and_then(|active| active.write(descriptor, place).ok());
    let len = if let Some(len) = written {
        len
    } else {
        place.get_mut(..descriptor.len())?.copy_from_slice(descriptor);
        descriptor.len()
    };
    if let Some(slot) = place.get_mut(1..HEAD_BYTES).filter(|_| len >= HEAD_BYTES) {
        slot.copy_from_slice(&number.to_be_bytes());
    }
    place.get(..len)
}

/// Bits, most significant first.
struct Writer<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn flag(&mut self, flag: bool) -> Result<(), Cut> {
        let byte = self.bytes.get_mut(self.at / 8).ok_or(Cut)?;
        if self.at.is_multiple_of(8) {
            *byte = 0;
        }
        *byte |= u8::from(flag) << (7 - self.at % 8);
        self.at += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Active, rewrite};
    use crate::rtp::codec::descriptor::tests::{bytes, keyframe};
    use crate::rtp::codec::descriptor::{DESCRIPTOR, Structure};
    use crate::rtp::codec::{Opens, Peek};
    use belfry_model::Outside;
    use proptest::prelude::*;

    fn read(descriptor: &[u8], structure: &mut Option<Box<Structure>>) -> Peek {
        DESCRIPTOR.parse(Outside::new(descriptor)).expect("sound").peek(structure)
    }

    fn written(descriptor: &[u8], number: u16, active: Option<Active>) -> Vec<u8> {
        rewrite(descriptor, number, active, &mut [0xFF; 255]).expect("there is room").to_vec()
    }

    #[test]
    fn a_frame_number_is_written_in_place() {
        let mut expected = keyframe(0, 7);
        expected[1..3].copy_from_slice(&[0xAB, 0xCD]);
        assert_eq!(written(&keyframe(0, 7), 0xABCD, None), expected);
        assert_eq!(written(&[1, 2], 7, None), [1, 2]);
    }

    #[test]
    fn targets_up_to_the_layers_that_are_sent_are_active() {
        let mut structure = None;
        read(&keyframe(0, 7), &mut structure);
        let structure = structure.expect("it came with the keyframe");
        let mask = |spatial, temporal| structure.active(spatial, temporal).mask;
        // S0T0, S0T1, S1T0, S1T1.
        assert_eq!([mask(0, 0), mask(0, 1), mask(1, 0), mask(1, 1)], [1, 3, 5, 15]);
        assert!(structure.active(u8::MAX, 7).is_all());
    }

    #[test]
    fn targets_are_written_after_the_structure_and_nothing_else_changes() {
        let mut before = None;
        let peek = read(&keyframe(0, 7), &mut before);
        let low = Active { mask: 0b0001, count: 4 };
        let key = written(&keyframe(0, 7), 9, Some(low));
        let mut after = None;
        assert_eq!(read(&key, &mut after), Peek { frame: Some(9), ..peek });
        assert_eq!(after.as_ref().expect("a structure").active(u8::MAX, 7), low);
        // A frame of the template alone, and one with indications and differences of its own.
        assert_eq!(written(&[0xC1, 0, 7], 9, Some(low)), [0xC1, 0, 9, 0b0100_0000, 0b1000_0000]);
        let own =
            bytes("11 000100 0000000000001001 0 0 1 1 0  00 00 01 10  01 0010 10 00010011 00");
        let peek = read(&written(&own, 9, Some(low)), &mut after);
        assert_eq!((peek.spatial, peek.opens, peek.reach), (1, Opens::Up(1), 20));
        // What the encoder itself has left out stays out, and is written over.
        let paused = written(&keyframe(0, 7), 9, Some(Active { mask: 0b0011, count: 4 }));
        let again = written(&paused, 9, Some(low));
        assert_eq!(again, key);
    }

    #[test]
    fn what_the_encoder_leaves_out_is_not_active() {
        let mut structure = None;
        let paused = written(&keyframe(0, 7), 9, Some(Active { mask: 0b0011, count: 4 }));
        read(&paused, &mut structure);
        let active = |structure: &Option<Box<Structure>>| {
            structure.as_ref().expect("a structure").active(1, 0).mask
        };
        assert_eq!(active(&structure), 0b0001);
        // In force until the next that says so.
        read(&[0xC1, 0, 8], &mut structure);
        assert_eq!(active(&structure), 0b0001);
        read(&written(&[0xC1, 0, 9], 9, Some(Active::all(4))), &mut structure);
        assert_eq!(active(&structure), 0b0101);
    }

    proptest! {
        #[test]
        fn any_descriptor_stays_what_it_was(
            descriptor in prop::collection::vec(any::<u8>(), 0..64),
            mask: u32,
            count in 1_u8..=32,
        ) {
            let mut structure = None;
            read(&keyframe(0, 7), &mut structure);
            let active = Active { mask: mask & Active::all(count).mask, count };
            let mut place = [0; 255];
            let written = rewrite(&descriptor, 9, Some(active), &mut place).expect("room");
            if let Ok(before) = DESCRIPTOR.parse(Outside::new(&descriptor)) {
                let mut other = structure.clone();
                let before = before.peek(&mut structure);
                let count = structure.as_ref().expect("kept").active(0, 0).count;
                let after = DESCRIPTOR.parse(Outside::new(written));
                if count == active.count && let Ok(after) = after {
                    prop_assert_eq!(after.peek(&mut other), Peek { frame: Some(9), ..before });
                }
            }
        }
    }
}
