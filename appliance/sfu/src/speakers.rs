//! Who speaks, from the audio levels that senders write into their packets (RFC 6464).

use std::collections::HashMap;
use std::time::Duration;

/// How often it is decided.
pub(crate) const INTERVAL: Duration = Duration::from_millis(400);
/// Louder than -35 dBov is voice.
const THRESHOLD: u8 = 35;
/// Packets of an interval that have to be voice: a third of those of 20 ms.
const VOICE_PACKETS_MIN: u32 = 7;
const STEPS: f32 = 8.0;

/// What was heard of a participant in this interval.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    voice_packets: u32,
    /// Sum of the voice packets' linear levels.
    sum: f32,
}

impl Heard {
    /// Takes up the level byte of a packet.
    pub(crate) fn packet(&mut self, level: u8) {
        let dbov = level & 0x7F;
        if dbov <= THRESHOLD {
            self.voice_packets += 1;
            self.sum += 10f32.powf(-f32::from(dbov) / 20.0);
        }
    }

    /// 0 (silent) to 1 in eighths, and begins a new interval.
    pub(crate) fn take_level(&mut self) -> f32 {
        let heard = std::mem::take(self);
        if heard.voice_packets < VOICE_PACKETS_MIN {
            return 0.0;
        }
        let mean = heard.sum / heard.voice_packets as f32;
        ((mean * STEPS).ceil() / STEPS).min(1.0)
    }
}

/// The levels that were told last, by the participants' keys.
#[derive(Debug, Default)]
pub(crate) struct Speakers {
    told: HashMap<usize, f32>,
}

impl Speakers {
    /// Whether `level` is news of this participant. Silence is told one interval late, so that a
    /// breath does not flicker.
    pub(crate) fn changed(&mut self, participant: usize, level: f32) -> Option<(f32, bool)> {
        let before = self.told.get(&participant).copied();
        match before {
            None if level == 0.0 => None,
            None => {
                self.told.insert(participant, level);
                Some((level, true))
            }
            // Negative: was silent once.
            Some(before) if level == 0.0 && before > 0.0 => {
                self.told.insert(participant, -before);
                None
            }
            Some(_) if level == 0.0 => {
                self.told.remove(&participant);
                Some((0.0, false))
            }
            Some(before) => {
                self.told.insert(participant, level);
                (before.abs().to_bits() != level.to_bits()).then_some((level, true))
            }
        }
    }

    pub(crate) fn is_active(&self, participant: usize) -> bool {
        self.told.contains_key(&participant)
    }

    /// 0 (silent) to 1, as it was last told.
    pub(crate) fn level(&self, participant: usize) -> f32 {
        self.told.get(&participant).map_or(0.0, |level| level.abs())
    }

    /// The participant is gone or muted; whether this ends its speaking.
    pub(crate) fn remove(&mut self, participant: usize) -> bool {
        self.told.remove(&participant).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Heard, Speakers};

    fn level(dbov: u8, packets: u32) -> f32 {
        let mut heard = Heard::default();
        (0..packets).for_each(|_| heard.packet(dbov | 0x80));
        heard.take_level()
    }

    #[test]
    fn levels_come_in_eighths_and_quiet_or_short_sounds_are_none() {
        assert!((level(0, 20) - 1.0).abs() < f32::EPSILON);
        assert!((level(10, 20) - 0.375).abs() < f32::EPSILON);
        assert!((level(35, 20) - 0.125).abs() < f32::EPSILON);
        assert!(level(36, 20).abs() < f32::EPSILON);
        assert!(level(0, 3).abs() < f32::EPSILON);
    }

    #[test]
    fn only_changes_are_told_and_silence_after_a_breath() {
        let mut speakers = Speakers::default();
        assert_eq!(speakers.changed(1, 0.0), None);
        assert_eq!(speakers.changed(1, 0.5), Some((0.5, true)));
        assert_eq!(speakers.changed(1, 0.5), None);
        assert_eq!(speakers.changed(1, 0.0), None);
        assert_eq!(speakers.changed(1, 0.5), None);
        assert!(speakers.is_active(1));
        assert_eq!(speakers.changed(1, 0.0), None);
        assert_eq!(speakers.changed(1, 0.0), Some((0.0, false)));
        assert_eq!(speakers.changed(1, 0.0), None);
    }
}
