//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): what arrived when
//! on a connection, for the sender's bandwidth estimation.

use std::time::{Duration, Instant};

use super::rtcp::Writer;
use super::sequence::Extender;

/// How often feedback is sent while packets arrive.
const INTERVAL: Duration = Duration::from_millis(50);
/// Packets of one feedback at most: a step in the numbers beyond it starts anew.
const SPAN_MAX: u64 = 512;
/// Ticks of the deltas.
const TICK: Duration = Duration::from_micros(250);
/// Ticks of the reference time: 64 ms.
const REFERENCE_TICKS: i64 = 256;

/// The arrivals since the last feedback.
#[derive(Debug)]
pub(crate) struct Recorder {
    extender: Extender,
    epoch: Instant,
    /// Sorted by number.
    arrivals: Vec<(u64, Instant)>,
    /// The number with which the next feedback begins.
    next: Option<u64>,
    due: Option<Instant>,
    count: u8,
}

impl Recorder {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            extender: Extender::default(),
            epoch,
            arrivals: Vec::with_capacity(SPAN_MAX as usize),
            next: None,
            due: None,
            count: 0,
        }
    }

    pub(crate) fn arrived(&mut self, number: u16, now: Instant) {
        let number = self.extender.extend(number);
        // Reported as lost before: it stays so.
        if self.next.is_some_and(|next| number < next) {
            return;
        }
        let first = self.next.or(self.arrivals.first().map(|(first, _)| *first)).unwrap_or(number);
        if number >= first + SPAN_MAX {
            self.arrivals.clear();
            self.next = None;
        }
        let at = self.arrivals.partition_point(|(other, _)| *other < number);
        if self.arrivals.get(at).is_none_or(|(other, _)| *other != number) {
            self.arrivals.insert(at, (number, now));
        }
        self.due.get_or_insert(now + INTERVAL);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Writes the feedback if it is due.
    pub(crate) fn write_due(&mut self, now: Instant, sender: u32, media: u32, writer: &mut Writer) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        let Some((first, last)) = self.arrivals.first().zip(self.arrivals.last()) else { return };
        let base = self.next.unwrap_or(first.0);
        let span = last.0 - base + 1;
        self.next = Some(last.0 + 1);
        let ticks = |at: Instant| {
            at.duration_since(self.epoch).as_micros() as i64 / TICK.as_micros() as i64
        };
        let reference = ticks(first.1).div_euclid(REFERENCE_TICKS);
        let (arrivals, count) = (&self.arrivals, self.count);
        writer.packet(15, 205, |out| {
            out.extend_from_slice(&sender.to_be_bytes());
            out.extend_from_slice(&media.to_be_bytes());
            out.extend_from_slice(&(base as u16).to_be_bytes());
            out.extend_from_slice(&(span as u16).to_be_bytes());
            let reference_and_count = ((reference as u32) << 8) | u32::from(count);
            out.extend_from_slice(&reference_and_count.to_be_bytes());
            let times = arrivals.iter().map(|(number, at)| (*number, ticks(*at)));
            write_chunks(out, base, span, times.clone(), reference * REFERENCE_TICKS);
            write_deltas(out, times, reference * REFERENCE_TICKS);
        });
        self.count = self.count.wrapping_add(1);
        self.arrivals.clear();
    }
}

/// The delta as it fits into 16 bits. A reordering by more than 8 s cannot be told.
fn delta(at: i64, before: &mut i64) -> i16 {
    let delta = (at - *before).clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16;
    *before += i64::from(delta);
    delta
}

/// Status vectors of seven two-bit symbols: 0 lost, 1 small delta, 2 large delta.
fn write_chunks(
    out: &mut Vec<u8>,
    base: u64,
    span: u64,
    times: impl Iterator<Item = (u64, i64)>,
    mut before: i64,
) {
    let mut times = times.peekable();
    let mut number = base;
    while number < base + span {
        let mut chunk = 0b11u16 << 14;
        for slot in 0..7 {
            if let Some((_, at)) = times.next_if(|(arrived, _)| *arrived == number + slot) {
                let symbol = if u8::try_from(delta(at, &mut before)).is_ok() { 1 } else { 2 };
                chunk |= symbol << (12 - 2 * slot);
            }
        }
        out.extend_from_slice(&chunk.to_be_bytes());
        number += 7;
    }
}

fn write_deltas(out: &mut Vec<u8>, times: impl Iterator<Item = (u64, i64)>, mut before: i64) {
    for (_, at) in times {
        let delta = delta(at, &mut before);
        match u8::try_from(delta) {
            Ok(small) => out.push(small),
            Err(_) => out.extend_from_slice(&delta.to_be_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use belfry_model::Outside;
    use proptest::prelude::*;

    use super::{INTERVAL, Recorder};
    use crate::rtp::rtcp::{Message, RTCP, Writer};

    /// The first number, and when each arrived by the reader's reckoning, in microseconds.
    fn arrivals(recorder: &mut Recorder, now: Instant) -> Option<(u16, Vec<Option<i64>>)> {
        let mut writer = Writer::default();
        recorder.write_due(now, 1, 2, &mut writer);
        if writer.bytes().is_empty() {
            return None;
        }
        let messages = RTCP.parse(Outside::new(writer.bytes())).expect("own feedback parses");
        match messages.as_slice() {
            [Message::TransportCc { base, reference, arrivals }] => {
                let from = i64::from(*reference) * 64_000;
                let at = |at: &Option<i32>| at.map(|at| from + i64::from(at));
                Some((*base, arrivals.iter().map(at).collect()))
            }
            other => panic!("{other:?}"),
        }
    }

    fn feedback(recorder: &mut Recorder, now: Instant) -> Option<(u16, Vec<bool>)> {
        let (base, arrivals) = arrivals(recorder, now)?;
        Some((base, arrivals.iter().map(Option::is_some).collect()))
    }

    #[test]
    fn feedback_comes_in_its_time_and_tells_the_holes() {
        let now = Instant::now();
        let mut recorder = Recorder::new(now);
        for number in [65_534, 65_535, 1, 2] {
            recorder.arrived(number, now);
        }
        assert!(feedback(&mut recorder, now).is_none());
        let told = feedback(&mut recorder, now + INTERVAL).expect("due");
        assert_eq!(told, (65_534, vec![true, true, false, true, true]));
        recorder.arrived(4, now + INTERVAL);
        let told = feedback(&mut recorder, now + 2 * INTERVAL).expect("due");
        assert_eq!(told, (3, vec![false, true]));
        assert!(recorder.deadline().is_none());
    }

    proptest! {
        #[test]
        fn feedback_tells_exactly_what_arrived(
            arrivals in prop::collection::btree_map(0u16..400, 0u64..40_000, 1..120), offset: u16,
        ) {
            let now = Instant::now();
            let mut recorder = Recorder::new(now);
            let mut in_time: Vec<(u16, u64)> = arrivals.iter().map(|(number, at)| (*number, *at)).collect();
            in_time.sort_by_key(|(_, at)| *at);
            for (number, at) in in_time {
                recorder.arrived(number.wrapping_add(offset), now + Duration::from_micros(at));
            }
            let (base, told) = super::tests::arrivals(&mut recorder, now + Duration::from_secs(1)).expect("due");
            let told: BTreeMap<u16, Option<i64>> = told
                .iter()
                .enumerate()
                .map(|(index, at)| (base.wrapping_add(index as u16).wrapping_sub(offset), *at))
                .collect();
            for (number, at) in &told {
                prop_assert_eq!(at.is_some(), arrivals.contains_key(number));
            }
            for (number, at) in &arrivals {
                let told = told.get(number).copied().flatten().expect("told");
                prop_assert!((0..250).contains(&(at.cast_signed() - told)), "{} for {}", told, at);
            }
        }
    }
}
