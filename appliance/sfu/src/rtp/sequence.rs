//! Numbers that wrap on the wire, counted on without wrapping inside.

/// Extends 16-bit numbers to 64 bits by taking each as the one nearest to the highest so far. The
/// first lands well above zero, so that packets older than the first have a number, too.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extender {
    highest: Option<u64>,
}

impl Extender {
    /// The extended number; the highest moves on.
    pub(crate) fn extend(&mut self, number: u16) -> u64 {
        let extended = self.peek(number);
        self.highest = Some(self.highest.map_or(extended, |highest| highest.max(extended)));
        extended
    }

    /// The extended number; nothing moves on.
    pub(crate) fn peek(&self, number: u16) -> u64 {
        match self.highest {
            None => (1 << 16) | u64::from(number),
            Some(highest) => {
                let distance = i64::from(number.wrapping_sub(highest as u16).cast_signed());
                highest.saturating_add_signed(distance)
            }
        }
    }
}

/// Whether `a` comes after `b` among 32-bit timestamps that wrap.
pub(crate) fn is_later(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}

#[cfg(test)]
mod tests {
    use super::Extender;

    #[test]
    fn a_number_is_taken_as_the_one_nearest_to_the_highest() {
        let mut extender = Extender::default();
        let first = extender.extend(65_530);
        assert_eq!(extender.extend(3), first + 9);
        assert_eq!(extender.extend(65_529), first - 1);
        assert_eq!(extender.peek(2), first + 8);
    }
}
