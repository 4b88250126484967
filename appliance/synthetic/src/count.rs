//! What was received of each track, by sequence numbers: a hole counts as lost when it has been given
//! up, not while a repair may still come.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many packets behind the newest one a missing packet is given up: five seconds of sound, well
/// beyond any repair that would still be of use.
const WINDOW_PACKETS: usize = 256;

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Audio,
    Video,
}

/// What was received of one track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackStatistics {
    pub kind: Kind,
    /// Different packets, repaired ones among them.
    pub received: u64,
    /// Packets given up.
    pub lost: u64,
    /// Packets of `received` that came as a retransmission (RFC 4588).
    pub recovered: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// RTP payload of `received`.
    pub bytes: u64,
}

impl TrackStatistics {
    fn new(kind: Kind) -> Self {
        Self { kind, received: 0, lost: 0, recovered: 0, duplicates: 0, bytes: 0 }
    }
}

/// One RTP stream and its window.
#[derive(Debug)]
struct Stream {
    statistics: TrackStatistics,
    first: u64,
    /// Sequence number extended beyond 16 bits; `None` before the first packet.
    newest: Option<u64>,
    seen: [bool; WINDOW_PACKETS],
}

impl Stream {
    fn new(kind: Kind) -> Self {
        Self {
            statistics: TrackStatistics::new(kind),
            first: 0,
            newest: None,
            seen: [false; WINDOW_PACKETS],
        }
    }

    fn take(&mut self, sequence: u16, bytes: usize, repair: bool) {
        let Some(newest) = self.newest else {
            // One cycle ahead, so that what is older than the first packet has a number too.
            self.first = u64::from(sequence) + (1 << 16);
            self.newest = Some(self.first);
            self.seen[slot(self.first)] = true;
            return self.keep(bytes, repair);
        };
        let distance = sequence.wrapping_sub(newest as u16).cast_signed();
        let extended = newest.wrapping_add_signed(i64::from(distance));
        if extended < self.first || extended + WINDOW_PACKETS as u64 <= newest {
            return; // From before we listened, or already given up.
        }
        for passed in newest + 1..=extended {
            let leaving = passed.checked_sub(WINDOW_PACKETS as u64);
            if leaving.is_some_and(|old| old >= self.first) && !self.seen[slot(passed)] {
                self.statistics.lost += 1;
            }
            self.seen[slot(passed)] = false;
        }
        if std::mem::replace(&mut self.seen[slot(extended)], true) {
            self.statistics.duplicates += 1;
            return;
        }
        self.newest = Some(newest.max(extended));
        self.keep(bytes, repair);
    }

    fn keep(&mut self, bytes: usize, repair: bool) {
        self.statistics.received += 1;
        self.statistics.bytes += bytes as u64;
        self.statistics.recovered += u64::from(repair);
    }
}

fn slot(extended: u64) -> usize {
    (extended % WINDOW_PACKETS as u64) as usize
}

/// The streams of one subscriber connection, counted where packets leave SRTP.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    streams: Mutex<HashMap<u32, Stream>>,
    /// Packets that came out of the crate's channels at the application's end.
    delivered: AtomicU64,
}

impl Counters {
    fn streams(&self) -> MutexGuard<'_, HashMap<u32, Stream>> {
        // A panic while counting leaves numbers that are still numbers.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn expect(&self, ssrc: u32, kind: Kind) {
        self.streams().entry(ssrc).or_insert_with(|| Stream::new(kind));
    }

    /// A packet of a stream that was announced by [`Self::expect`]; others are not counted.
    pub(crate) fn take(&self, ssrc: u32, sequence: u16, bytes: usize, repair: bool) {
        if let Some(stream) = self.streams().get_mut(&ssrc) {
            stream.take(sequence, bytes, repair);
        }
    }

    pub(crate) fn deliver(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Tracks of which anything came.
    pub(crate) fn tracks(&self) -> Vec<TrackStatistics> {
        let streams = self.streams();
        streams.values().map(|one| one.statistics).filter(|one| one.received > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, Kind, TrackStatistics, WINDOW_PACKETS};

    fn counted(sequences: impl IntoIterator<Item = u16>) -> TrackStatistics {
        let counters = Counters::default();
        counters.expect(7, Kind::Audio);
        for sequence in sequences {
            counters.take(7, sequence, 10, false);
        }
        counters.tracks()[0]
    }

    #[test]
    fn a_whole_stream_has_no_loss_across_the_wrap() {
        let sequences = (0..70_000_u32).map(|n| (n + 65_000) as u16);
        let all = counted(sequences);
        assert_eq!((all.received, all.lost, all.duplicates), (70_000, 0, 0));
        assert_eq!(all.bytes, 700_000);
    }

    #[test]
    fn a_hole_is_lost_only_when_it_leaves_the_window() {
        let window = WINDOW_PACKETS as u16;
        assert_eq!(counted((0..5).chain(6..window + 4)).lost, 0);
        assert_eq!(counted((0..5).chain(6..window + 6)).lost, 1);
    }

    #[test]
    fn a_repair_within_the_window_fills_its_hole() {
        let late = counted((0..5).chain(6..50).chain([5]).chain(50..1_000));
        assert_eq!((late.received, late.lost), (1_000, 0));
    }

    #[test]
    fn a_repair_after_the_window_comes_too_late() {
        let late = counted((0..5).chain(6..600).chain([5]).chain(600..1_000));
        assert_eq!((late.received, late.lost, late.duplicates), (999, 1, 0));
    }

    #[test]
    fn a_gap_longer_than_the_window_is_lost_as_a_whole() {
        let gap = counted((0..10).chain(1_000..2_000));
        assert_eq!((gap.received, gap.lost), (1_010, 990));
    }

    #[test]
    fn packets_that_come_again_are_counted_once() {
        let twice = counted((0..100).flat_map(|n| [n, n]));
        assert_eq!((twice.received, twice.duplicates, twice.lost), (100, 100, 0));
    }

    #[test]
    fn packets_from_before_the_first_one_are_left_out() {
        let older = counted([10, 8, 9, 11]);
        assert_eq!((older.received, older.lost), (2, 0));
    }

    #[test]
    fn an_unknown_stream_is_not_counted() {
        let counters = Counters::default();
        counters.take(1, 1, 1, false);
        assert!(counters.tracks().is_empty());
    }
}
