//! Makes one continuous stream out of the layers of a track: sequence numbers, timestamps and
//! VP8's picture ids go on without a jump, whichever layer a packet comes from.
//!
//! **Invariant:** two different source packets never get the same outgoing sequence number.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::ring::{Info, RING_PACKETS_MAX};
use super::selection::Caps;
use super::sequence::is_later;

/// Stretches of the stream that late packets may still belong to. A new one begins after whatever
/// is left out, which is one picture of two at most, of those that a ring keeps.
const STRETCHES_MAX: usize = 64;
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
    /// Of the dependency descriptor.
    pub(crate) frame: u16,
}

/// Where a packet of the source lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// After all before.
    New,
    /// Among those before, when so much of the stream was sent.
    Late(Caps),
    /// From before the layer's turn, or too long ago.
    Gone,
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
    frame: u16,
    caps: Caps,
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
    given: Given,
}

impl Munger {
    /// `start`: the first outgoing sequence number, random (RFC 3550, 5.1).
    pub(crate) fn new(clock_hz: u32, start: u16) -> Self {
        Self {
            clock_hz,
            stretches: VecDeque::new(),
            newest: 0,
            last: None,
            start,
            given: Given::default(),
        }
    }

    /// Goes on with `layer` from this packet, which begins a keyframe. `same_time`: what sender
    /// reports say has to be added to the layer's timestamps to stay on the outgoing time line.
    pub(crate) fn switch(&mut self, layer: usize, info: &Info, same_time: Option<u32>) {
        let numbering = info.peek.numbering.unwrap_or_default();
        let (picture_id, tl0) = (numbering.picture_id.unwrap_or(0), numbering.tl0.unwrap_or(0));
        let fresh = Stretch {
            layer,
            turn: true,
            first: info.sequence,
            sequence: (1 << 17) + i64::from(self.start) - info.sequence.cast_signed(),
            timestamp: 0,
            picture_id: 0,
            tl0: 0,
            frame: 0,
            caps: Caps::ALL,
        };
        let stretch = match self.last {
            None => fresh,
            Some((last, then)) => Stretch {
                sequence: last.sequence.cast_signed() + 1 - info.sequence.cast_signed(),
                timestamp: self.time_offset(info, last.timestamp, then, same_time),
                picture_id: last.picture_id.wrapping_add(1).wrapping_sub(picture_id),
                tl0: last.tl0.wrapping_add(1).wrapping_sub(tl0),
                frame: last.frame.wrapping_add(1).wrapping_sub(info.peek.frame.unwrap_or(0)),
                ..fresh
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

    /// The outgoing numbers of a packet of `layer`; `None` if it is from before the layer's turn, or
    /// if another packet has got them.
    pub(crate) fn map(&mut self, layer: usize, info: &Info) -> Option<Numbers> {
        let newest = self.stretches.back()?;
        if newest.layer != layer {
            return None;
        }
        let stretch = self.stretch_of(info.sequence)?;
        let numbering = info.peek.numbering.unwrap_or_default();
        let numbers = Numbers {
            sequence: info.sequence.saturating_add_signed(stretch.sequence),
            timestamp: info.timestamp.wrapping_add(stretch.timestamp),
            picture_id: numbering.picture_id.unwrap_or(0).wrapping_add(stretch.picture_id),
            tl0: numbering.tl0.unwrap_or(0).wrapping_add(stretch.tl0),
            frame: info.peek.frame.unwrap_or(0).wrapping_add(stretch.frame),
        };
        if !self.given.give(numbers.sequence) {
            return None;
        }
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

    /// Where a packet of `layer` lies; those before the newest were judged by what was sent then.
    pub(crate) fn place(&self, layer: usize, sequence: u64) -> Place {
        match self.stretches.back() {
            Some(newest) if newest.layer != layer => Place::Gone,
            // A turn's first packet is its newest before it was mapped.
            Some(newest) if sequence > self.newest || (newest.turn && sequence == newest.first) => {
                Place::New
            }
            Some(_) => {
                self.stretch_of(sequence).map_or(Place::Gone, |stretch| Place::Late(stretch.caps))
            }
            None => Place::Gone,
        }
    }

    /// So much of the stream is sent from the packet `sequence` on, which is new.
    pub(crate) fn select(&mut self, sequence: u64, caps: Caps) {
        let Some(newest) = self.stretches.back_mut() else { return };
        if newest.caps == caps {
            return;
        }
        if newest.first == sequence {
            newest.caps = caps;
        } else {
            let next = Stretch { turn: false, first: sequence, caps, ..*newest };
            self.begin(next);
        }
    }

    /// The source's packet `sequence` of `layer`, a new one, is not sent on: later ones close the
    /// gap. `picture`: nor is its picture, whose id the next one gets.
    pub(crate) fn skip(&mut self, layer: usize, sequence: u64, picture: bool) {
        let Some(newest) = self.stretches.back_mut() else { return };
        if newest.layer != layer || sequence <= self.newest {
            return;
        }
        self.newest = sequence;
        let next = Stretch {
            first: sequence + 1,
            sequence: newest.sequence - 1,
            picture_id: newest.picture_id.wrapping_sub(u16::from(picture)),
            ..*newest
        };
        if newest.first == sequence {
            *newest = next;
        } else {
            self.begin(Stretch { turn: false, ..next });
        }
    }

    /// The numbers of a packet that is not sent on and came too late for its gap to be closed.
    pub(crate) fn gap(&mut self, layer: usize, sequence: u64) -> Option<Numbers> {
        let (last, _) = self.last.filter(|_| self.layer() == Some(layer))?;
        let sequence = sequence.saturating_add_signed(self.stretch_of(sequence)?.sequence);
        self.given.give(sequence).then_some(Numbers { sequence, ..last })
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

/// Which outgoing sequence numbers were given: the encryption of a packet is only as good as its
/// number is unique, whatever a publisher sends twice.
#[derive(Debug, Default)]
struct Given {
    highest: u64,
    /// Of the numbers up to the highest, by number modulo their count.
    window: [u64; GIVEN_WORDS],
}

/// As many numbers as a ring keeps packets.
const GIVEN_WORDS: usize = RING_PACKETS_MAX / 64;

impl Given {
    /// `false` if it was given before, or so long ago that nobody can tell.
    fn give(&mut self, number: u64) -> bool {
        let size = RING_PACKETS_MAX as u64;
        if number + size <= self.highest {
            return false;
        }
        for passed in (self.highest + 1).max(number.saturating_sub(size))..number {
            self.mark(passed, false);
        }
        let fresh = number > self.highest || !self.is_marked(number);
        self.highest = self.highest.max(number);
        self.mark(number, true);
        fresh
    }

    fn is_marked(&self, number: u64) -> bool {
        let word = self.window.get(number as usize / 64 % GIVEN_WORDS);
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    fn mark(&mut self, number: u64, given: bool) {
        if let Some(word) = self.window.get_mut(number as usize / 64 % GIVEN_WORDS) {
            let bit = 1 << (number % 64);
            *word = if given { *word | bit } else { *word & !bit };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::{Munger, Place};
    use crate::rtp::codec::{Numbering, Peek};
    use crate::rtp::ring::Info;
    use crate::rtp::selection::Caps;
    use crate::sdp::CodecKind;

    fn info(sequence: u64, timestamp: u32, picture_id: u16, arrival: Instant) -> Info {
        let numbering = Numbering {
            picture_id: Some(picture_id & 0x7FFF),
            picture_id_long: true,
            tl0: Some(picture_id as u8),
            ..Numbering::default()
        };
        let peek = Peek {
            keyframe: true,
            start: true,
            numbering: Some(numbering),
            frame: Some(picture_id),
            ..Peek::default()
        };
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
        munger.skip(0, 12, false);
        assert_eq!(munger.map(0, &info(13, 0, 0, now)).expect("mapped").sequence, first + 2);
        assert_eq!(munger.map(0, &info(11, 0, 0, now)).expect("mapped").sequence, first + 1);
        munger.skip(0, 14, false);
        munger.skip(0, 15, false);
        assert_eq!(munger.map(0, &info(16, 0, 0, now)).expect("mapped").sequence, first + 3);
    }

    #[test]
    fn pictures_that_are_left_out_leave_no_hole_in_their_ids() {
        let (now, low) = (Instant::now(), Caps { spatial: 0, temporal: 0 });
        let mut munger = Munger::new(90_000, 0);
        munger.switch(0, &info(10, 0, 100, now), None);
        let first = munger.map(0, &info(10, 0, 100, now)).expect("mapped");
        munger.select(11, low);
        for (sequence, picture) in [(11, true), (12, false), (13, true)] {
            assert_eq!(munger.place(0, sequence), Place::New);
            munger.skip(0, sequence, picture);
        }
        let next = munger.map(0, &info(15, 9_000, 103, now)).expect("mapped");
        // Number 14 is awaited, the two pictures before are not.
        assert_eq!((next.sequence, next.picture_id), (first.sequence + 2, 101));
        assert_eq!(munger.place(0, 14), Place::Late(low));
        assert_eq!(munger.gap(0, 14).map(|gap| gap.sequence), Some(first.sequence + 1));
        assert_eq!(munger.place(0, 9), Place::Gone);
        assert_eq!(munger.place(1, 16), Place::Gone);
    }

    #[test]
    fn a_late_packet_is_judged_by_what_was_sent_in_its_time() {
        let now = Instant::now();
        let caps = |temporal| Caps { spatial: 0, temporal };
        let mut munger = Munger::new(90_000, 0);
        munger.switch(0, &info(10, 0, 0, now), None);
        for (sequence, temporal) in [(10, 2), (12, 2), (14, 0), (16, 0), (18, 1)] {
            munger.select(sequence, caps(temporal));
            munger.map(0, &info(sequence, 0, 0, now)).expect("mapped");
        }
        let place = |sequence| munger.place(0, sequence);
        assert_eq!([place(11), place(13)], [Place::Late(caps(2)); 2]);
        assert_eq!([place(15), place(17)], [Place::Late(caps(0)); 2]);
        assert_eq!(place(19), Place::New);
    }

    #[test]
    fn a_number_is_given_once_whatever_comes_twice() {
        let now = Instant::now();
        let mut munger = Munger::new(90_000, 0);
        munger.switch(0, &info(10, 0, 0, now), None);
        assert!(munger.map(0, &info(10, 0, 0, now)).is_some());
        assert!(munger.map(0, &info(10, 0, 0, now)).is_none());
        assert!(munger.map(0, &info(12, 0, 0, now)).is_some());
        assert!(munger.gap(0, 12).is_none());
        assert!(munger.gap(0, 11).is_some());
        assert!(munger.map(0, &info(11, 0, 0, now)).is_none());
        munger.skip(0, 13, false);
        assert!(munger.map(0, &info(14, 0, 0, now)).is_some());
        assert!(munger.gap(0, 13).is_none(), "its number went to the next");
        assert!(munger.map(0, &info(2_000, 0, 0, now)).is_some());
        assert!(munger.map(0, &info(20, 0, 0, now)).is_none(), "too long ago to tell");
        assert!(munger.map(0, &info(1_500, 0, 0, now)).is_some());
    }

    #[test]
    fn frame_numbers_go_on_over_a_switch() {
        let now = Instant::now();
        let mut munger = Munger::new(90_000, 0);
        munger.switch(0, &info(10, 0, 65_535, now), None);
        assert_eq!(munger.map(0, &info(10, 0, 65_535, now)).expect("mapped").frame, 65_535);
        munger.switch(1, &info(900, 0, 400, now), None);
        assert_eq!(munger.map(1, &info(900, 0, 400, now)).expect("mapped").frame, 0);
        assert_eq!(munger.map(1, &info(901, 0, 401, now)).expect("mapped").frame, 1);
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
                    munger.skip(layer, sequence, false);
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
