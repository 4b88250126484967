//! Makes one continuous stream out of the layers of a track: sequence numbers, timestamps and
//! VP8's picture ids go on without a jump, whichever layer a packet comes from.
//!
//! **Invariant:** two different source packets never get the same outgoing sequence number.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::ring::Info;
use super::sequence::is_later;

/// Stretches of the stream that late packets may still belong to.
const STRETCHES_MAX: usize = 16;
/// A timestamp that sender reports suggest may run ahead of our clock by this much.
const AHEAD_MAX: Duration = Duration::from_secs(2);

/// The numbers of an outgoing packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Extended.
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) picture_id: u16,
    pub(crate) tl0: u8,
}

/// Packets of one layer from `first` on, with what is added to their numbers.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    layer: usize,
    /// Begins a turn of the layer; packets from before it have no number any more.
    turn: bool,
    first: u64,
    sequence: i64,
    timestamp: u32,
    picture_id: u16,
    tl0: u8,
}

#[derive(Debug)]
pub(crate) struct Munger {
    clock_hz: u32,
    /// Newest last.
    stretches: VecDeque<Stretch>,
    /// The source's number of the newest packet of the newest stretch.
    newest: u64,
    last: Option<(Numbers, Instant)>,
    start: u16,
}

impl Munger {
    /// `start`: the first outgoing sequence number, random (RFC 3550, 5.1).
    pub(crate) fn new(clock_hz: u32, start: u16) -> Self {
        Self {
            clock_hz,
            stretches: VecDeque::with_capacity(STRETCHES_MAX + 1),
            newest: 0,
            last: None,
            start,
        }
    }

    /// Goes on with `layer` from this packet, which begins a keyframe. `same_time`: what sender
    /// reports say has to be added to the layer's timestamps to stay on the outgoing time line.
    pub(crate) fn switch(&mut self, layer: usize, info: &Info, same_time: Option<u32>) {
        let vp8 = info.peek.vp8.unwrap_or_default();
        let (picture_id, tl0) = (vp8.picture_id.unwrap_or(0), vp8.tl0.unwrap_or(0));
        let stretch = match self.last {
            None => Stretch {
                layer,
                turn: true,
                first: info.sequence,
                sequence: (1 << 17) + i64::from(self.start) - info.sequence.cast_signed(),
                timestamp: 0,
                picture_id: 0,
                tl0: 0,
            },
            Some((last, then)) => Stretch {
                layer,
                turn: true,
                first: info.sequence,
                sequence: last.sequence.cast_signed() + 1 - info.sequence.cast_signed(),
                timestamp: self.time_offset(info, last.timestamp, then, same_time),
                picture_id: last.picture_id.wrapping_add(1).wrapping_sub(picture_id),
                tl0: last.tl0.wrapping_add(1).wrapping_sub(tl0),
            },
        };
        self.begin(stretch);
        self.newest = info.sequence;
    }

    fn time_offset(&self, info: &Info, last: u32, then: Instant, same_time: Option<u32>) -> u32 {
        let ticks = |time: Duration| (time.as_secs_f64() * f64::from(self.clock_hz)) as u32;
        let elapsed = ticks(info.arrival.duration_since(then));
        let plausible = same_time.filter(|offset| {
            let ahead = info.timestamp.wrapping_add(*offset).wrapping_sub(last);
            ahead != 0 && ahead <= elapsed.saturating_add(ticks(AHEAD_MAX))
        });
        plausible.unwrap_or_else(|| last.wrapping_add(elapsed.max(1)).wrapping_sub(info.timestamp))
    }

    fn begin(&mut self, stretch: Stretch) {
        if self.stretches.len() == STRETCHES_MAX {
            self.stretches.pop_front();
        }
        self.stretches.push_back(stretch);
    }

    /// The outgoing numbers of a packet of `layer`; `None` if it is from before the layer's turn.
    pub(crate) fn map(&mut self, layer: usize, info: &Info) -> Option<Numbers> {
        let newest = self.stretches.back()?;
        if newest.layer != layer {
            return None;
        }
        let stretch = self.stretch_of(info.sequence)?;
        let vp8 = info.peek.vp8.unwrap_or_default();
        let numbers = Numbers {
            sequence: info.sequence.saturating_add_signed(stretch.sequence),
            timestamp: info.timestamp.wrapping_add(stretch.timestamp),
            picture_id: vp8.picture_id.unwrap_or(0).wrapping_add(stretch.picture_id),
            tl0: vp8.tl0.unwrap_or(0).wrapping_add(stretch.tl0),
        };
        self.newest = self.newest.max(info.sequence);
        if self.last.is_none_or(|(last, _)| last.sequence < numbers.sequence) {
            // A late frame (of another temporal layer) must not turn the time line back.
            let timestamp = match self.last {
                Some((last, _)) if is_later(last.timestamp, numbers.timestamp) => last.timestamp,
                _ => numbers.timestamp,
            };
            self.last = Some((Numbers { timestamp, ..numbers }, info.arrival));
        }
        Some(numbers)
    }

    fn stretch_of(&self, sequence: u64) -> Option<Stretch> {
        let turn = self.stretches.iter().rposition(|stretch| stretch.turn).unwrap_or(0);
        let turn = self.stretches.range(turn..);
        turn.rev().find(|stretch| stretch.first <= sequence).copied()
    }

    /// The source's packet `sequence` of `layer` is not sent on (padding): later ones close the
    /// gap. One that comes late leaves its gap.
    pub(crate) fn skip(&mut self, layer: usize, sequence: u64) {
        let Some(newest) = self.stretches.back().copied() else { return };
        if newest.layer != layer || sequence <= self.newest {
            return;
        }
        self.newest = sequence;
        let sequence_offset = newest.sequence - 1;
        self.begin(Stretch {
            turn: false,
            first: sequence + 1,
            sequence: sequence_offset,
            ..newest
        });
    }

    /// The layer whose turn it is, or was last.
    pub(crate) fn layer(&self) -> Option<usize> {
        self.stretches.back().map(|stretch| stretch.layer)
    }

    /// What is added to timestamps now.
    pub(crate) fn timestamp_offset(&self) -> Option<u32> {
        self.stretches.back().map(|stretch| stretch.timestamp)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::Munger;
    use crate::rtp::codec::{Peek, Vp8};
    use crate::rtp::ring::Info;
    use crate::sdp::CodecKind;

    fn info(sequence: u64, timestamp: u32, picture_id: u16, arrival: Instant) -> Info {
        let vp8 = Vp8 {
            picture_id: Some(picture_id & 0x7FFF),
            picture_id_long: true,
            tl0: Some(picture_id as u8),
            ..Vp8::default()
        };
        let peek = Peek { keyframe: true, start: true, vp8: Some(vp8) };
        Info {
            sequence,
            timestamp,
            marker: false,
            codec: CodecKind::Vp8,
            arrival,
            peek,
            level: None,
            orientation: None,
        }
    }

    #[test]
    fn sender_reports_keep_the_time_line_when_they_are_plausible() {
        let now = Instant::now();
        let mut munger = Munger::new(90_000, 7);
        munger.switch(0, &info(100, 5_000, 1, now), None);
        munger.map(0, &info(100, 5_000, 1, now)).expect("its own packet");
        let later = now + Duration::from_millis(40);
        let key = info(900, 70_000, 50, later);
        munger.switch(1, &key, Some(5_000u32.wrapping_sub(70_000) + 3_000));
        assert_eq!(munger.map(1, &key).expect("its own packet").timestamp, 8_000);
        munger.switch(0, &info(105, 80_000_000, 60, later), Some(0));
        let fallback = munger.map(0, &info(105, 80_000_000, 60, later)).expect("its own packet");
        assert_eq!(fallback.timestamp, 8_001);
        assert!(munger.map(1, &info(901, 73_000, 51, later)).is_none());
        assert!(munger.map(0, &info(101, 5_000, 2, later)).is_none());
    }

    #[test]
    fn skipped_packets_leave_no_hole_and_lost_ones_do() {
        let now = Instant::now();
        let mut munger = Munger::new(90_000, 0);
        munger.switch(0, &info(10, 0, 0, now), None);
        let first = munger.map(0, &info(10, 0, 0, now)).expect("mapped").sequence;
        munger.skip(0, 12);
        assert_eq!(munger.map(0, &info(13, 0, 0, now)).expect("mapped").sequence, first + 2);
        assert_eq!(munger.map(0, &info(11, 0, 0, now)).expect("mapped").sequence, first + 1);
        munger.skip(0, 14);
        munger.skip(0, 15);
        assert_eq!(munger.map(0, &info(16, 0, 0, now)).expect("mapped").sequence, first + 3);
    }

    /// One step of a source: which layer, how far it jumps, what happens to the packet.
    fn steps() -> impl Strategy<Value = Vec<(usize, u64, bool, bool)>> {
        prop::collection::vec(
            (0usize..3, 1u64..4, prop::bool::weighted(0.1), any::<bool>()),
            1..300,
        )
    }

    proptest! {
        #[test]
        fn numbers_go_on_over_any_switches_losses_and_skips(steps in steps(), start: u16) {
            let begin = Instant::now();
            let mut munger = Munger::new(90_000, start);
            let mut sources = [(40_000u64, 1_000u32, 100u16), (1 << 33, u32::MAX - 9_000, 32_700), (70_000, 77, 5)];
            let (mut current, mut now) = (None, begin);
            let mut sent: HashMap<u64, (usize, u64)> = HashMap::new();
            let mut last = None;
            for (layer, jump, skip, switch) in steps {
                now += Duration::from_millis(33);
                for source in &mut sources {
                    source.1 = source.1.wrapping_add(2_970);
                    source.2 = (source.2 + 1) & 0x7FFF;
                }
                sources[layer].0 += jump;
                let (sequence, timestamp, picture_id) = sources[layer];
                let packet = info(sequence, timestamp, picture_id, now);
                if current != Some(layer) {
                    if !switch {
                        continue;
                    }
                    munger.switch(layer, &packet, None);
                } else if skip {
                    munger.skip(layer, sequence);
                    continue;
                }
                let numbers = munger.map(layer, &packet).expect("the current layer");
                prop_assert!(sent.insert(numbers.sequence, (layer, sequence)).is_none());
                if let Some((before, sequence_before, time_before)) = last {
                    let _: Option<usize> = before;
                    let step = numbers.sequence - sequence_before;
                    if current == Some(layer) {
                        prop_assert!(step >= 1);
                    } else {
                        prop_assert_eq!(step, 1);
                    }
                    let ahead: u32 = numbers.timestamp.wrapping_sub(time_before);
                    prop_assert!((1..90_000 * 20).contains(&ahead));
                }
                last = Some((current, numbers.sequence, numbers.timestamp));
                current = Some(layer);
            }
        }
    }
}
