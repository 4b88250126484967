//! Bits, most significant first, as AV1 and its dependency descriptor write their fields.

use super::Cut;

#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn flag(&mut self) -> Result<bool, Cut> {
        let byte = self.bytes.get(self.at / 8).ok_or(Cut)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    /// An unsigned number of `count` bits, 32 at most.
    pub(super) fn number(&mut self, count: u32) -> Result<u32, Cut> {
        (0..count).try_fold(0, |number, _| Ok(number << 1 | u32::from(self.flag()?)))
    }

    /// A number below `limit`, in as few bits as that takes (AV1 specification, 4.10.7).
    pub(super) fn below(&mut self, limit: u32) -> Result<u32, Cut> {
        let width = 32 - limit.leading_zeros();
        let short = (1 << width) - limit;
        let value = self.number(width.saturating_sub(1))?;
        if value < short {
            return Ok(value);
        }
        Ok((value << 1 | u32::from(self.flag()?)) - short)
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn numbers_are_read_across_bytes_and_end_with_them() {
        let mut bits = Bits::new(&[0b1010_0000, 0b0001_1000]);
        assert!(bits.flag().expect("there"));
        assert_eq!(bits.number(11).expect("there"), 0b010_0000_0001);
        assert_eq!(bits.number(4).expect("there"), 0b1000);
        assert!(bits.flag().is_err());
    }

    #[test]
    fn a_bounded_number_takes_as_few_bits_as_its_bound_allows() {
        // Below 5: 0, 1 and 2 take two bits, 3 and 4 take three.
        let mut bits = Bits::new(&[0b0001_1011, 0b1000_0000]);
        let numbers: Vec<u32> = (0..4).map(|_| bits.below(5).expect("there")).collect();
        assert_eq!(numbers, [0, 1, 2, 4]);
        assert_eq!(Bits::new(&[]).below(1).expect("needs no bit"), 0);
    }
}
