//! Randomness by number: what happens to packet n depends on the seed and n alone, not on when it came.

/// One direction's source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source(u64);

/// The decisions about one packet, each uniform in 0..1 unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Draws {
    pub(crate) loss: f64,
    pub(crate) burst: f64,
    pub(crate) reorder: f64,
    pub(crate) duplicate: f64,
    /// Standard normal.
    pub(crate) jitter: f64,
}

/// Numbers that one packet uses.
const DRAWS: u64 = 8;

impl Source {
    pub(crate) fn new(seed: u64, direction: u64) -> Self {
        Self(mixed(seed ^ mixed(direction.wrapping_add(1))))
    }

    pub(crate) fn packet(self, index: u64) -> Draws {
        let uniform = |which: u64| {
            let bits =
                mixed(self.0.wrapping_add(
                    index.wrapping_mul(DRAWS).wrapping_add(which).wrapping_mul(GOLDEN),
                ));
            (bits >> 11) as f64 / (1_u64 << 53) as f64
        };
        // Box and Muller; 1 - u is never 0.
        let radius = (-2.0 * (1.0 - uniform(4)).ln()).sqrt();
        Draws {
            loss: uniform(0),
            burst: uniform(1),
            reorder: uniform(2),
            duplicate: uniform(3),
            jitter: radius * (std::f64::consts::TAU * uniform(5)).cos(),
        }
    }
}

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64.
fn mixed(number: u64) -> u64 {
    let z = number.wrapping_add(GOLDEN);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_decides_the_same_and_another_does_not() {
        let (one, same, other) = (Source::new(7, 0), Source::new(7, 0), Source::new(8, 0));
        assert!((0..100).all(|index| one.packet(index) == same.packet(index)));
        assert!((0..100).any(|index| one.packet(index) != other.packet(index)));
        assert_ne!(one.packet(0), Source::new(7, 1).packet(0), "the directions differ");
    }

    #[test]
    fn uniform_and_normal_numbers_have_their_means_and_deviations() {
        let count = 100_000_u32;
        let draws: Vec<Draws> =
            (0..count.into()).map(|index| Source::new(1, 0).packet(index)).collect();
        let mean = |of: fn(&Draws) -> f64| draws.iter().map(of).sum::<f64>() / f64::from(count);
        assert!((mean(|d| d.loss) - 0.5).abs() < 0.005);
        assert!((mean(|d| d.loss * d.burst) - 0.25).abs() < 0.005, "they are independent");
        assert!(mean(|d| d.jitter).abs() < 0.01);
        assert!((mean(|d| d.jitter * d.jitter) - 1.0).abs() < 0.02);
    }
}
