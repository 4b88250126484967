//! What left on a connection under which transport-wide number, and what feedback says of it.

use super::{Micros, probe::Cluster};

/// Sent packets whose fate is awaited: two seconds of 10 Mbit/s.
const SENT_MAX: usize = 2_048;
/// Ticks of a feedback's reference time: 64 ms, in 24 bits.
const REFERENCE_TICK: Micros = 64_000;
const REFERENCE_BITS: u32 = 24;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Unknown,
    Awaited,
    /// Reported missing; it may have been late only.
    Missing,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    at: Micros,
    number: u32,
    bytes: u16,
    cluster: Cluster,
    state: State,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) number: u64,
    pub(super) sent: Micros,
    /// By the receiver's clock; `None`: missing.
    pub(super) arrival: Option<Micros>,
    pub(super) bytes: u32,
    pub(super) cluster: Cluster,
    /// It was reported missing before.
    pub(super) late: bool,
}

/// The last packets by their numbers.
#[derive(Debug)]
pub(super) struct History {
    sent: Vec<Sent>,
    next: u64,
    /// The reference time that came last, without wraps.
    reference: Option<i64>,
}

impl Default for History {
    fn default() -> Self {
        Self { sent: vec![Sent::default(); SENT_MAX], next: 1 << 16, reference: None }
    }
}

impl History {
    /// The number of the next packet.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn sent(&mut self, bytes: usize, cluster: Cluster, at: Micros) {
        let number = self.next;
        self.next += 1;
        if let Some(slot) = self.sent.get_mut(number as usize % SENT_MAX) {
            let (number, bytes) = (number as u32, bytes as u16);
            *slot = Sent { at, number, bytes, cluster, state: State::Awaited };
        }
    }

    /// The packet is sent once more under its old number: its arrival says nothing any more.
    pub(super) fn forget(&mut self, number: u16) {
        let number = self.extend(number);
        if let Some(slot) = self.slot(number) {
            slot.state = State::Unknown;
        }
    }

    fn extend(&self, number: u16) -> u64 {
        let newest = self.next - 1;
        newest.saturating_sub(u64::from((newest as u16).wrapping_sub(number)))
    }

    fn slot(&mut self, number: u64) -> Option<&mut Sent> {
        let slot = self.sent.get_mut(number as usize % SENT_MAX)?;
        (slot.number == number as u32 && slot.state != State::Unknown).then_some(slot)
    }

    /// Puts the news of a feedback into `fates`, in the order of sending. `arrivals` are relative to
    /// the reference time.
    pub(super) fn resolve(
        &mut self,
        base: u16,
        reference: u32,
        arrivals: &[Option<i32>],
        fates: &mut Vec<Fate>,
    ) {
        let reference = self.reference(reference) * REFERENCE_TICK;
        let (first, newest) = (self.extend(base), self.next - 1);
        for (number, arrival) in (first..=newest).zip(arrivals) {
            let Some(slot) = self.slot(number) else { continue };
            let late = slot.state == State::Missing;
            let arrival = arrival.map(|arrival| reference + Micros::from(arrival));
            match (arrival, late) {
                (Some(_), _) => slot.state = State::Unknown,
                (None, false) => slot.state = State::Missing,
                (None, true) => continue,
            }
            let Sent { at: sent, bytes, cluster, .. } = *slot;
            fates.push(Fate { number, sent, arrival, bytes: u32::from(bytes), cluster, late });
        }
    }

    fn reference(&mut self, ticks: u32) -> i64 {
        let ticks = i64::from(ticks);
        let extended = self.reference.map_or(ticks, |last| {
            let shift = 64 - REFERENCE_BITS;
            last + (((ticks - last) << shift) >> shift)
        });
        self.reference = Some(extended);
        extended
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, History};
    use crate::congestion::probe::Cluster;

    fn fates(
        history: &mut History,
        base: u16,
        reference: u32,
        arrivals: &[Option<i32>],
    ) -> Vec<Fate> {
        let mut fates = Vec::new();
        history.resolve(base, reference, arrivals, &mut fates);
        fates
    }

    #[test]
    fn a_late_packet_is_told_as_missing_and_then_as_late() {
        let mut history = History::default();
        let first = history.next() as u16;
        (0..3).for_each(|at| history.sent(100, Cluster::default(), at));
        let told = fates(&mut history, first, 2, &[Some(1_000), None, Some(2_000)]);
        let arrivals: Vec<_> = told.iter().map(|fate| fate.arrival).collect();
        assert_eq!(arrivals, [Some(129_000), None, Some(130_000)]);
        assert_eq!(fates(&mut history, first, 3, &[Some(1_000), None, None]), []);
        let told = fates(&mut history, first + 1, 3, &[Some(0), None]);
        assert_eq!(told.iter().map(|fate| fate.late).collect::<Vec<_>>(), [true]);
    }

    #[test]
    fn the_reference_time_goes_on_where_its_24_bits_wrap() {
        let mut history = History::default();
        let first = history.next() as u16;
        (0..2).for_each(|at| history.sent(100, Cluster::default(), at));
        let before = fates(&mut history, first, (1 << 24) - 1, &[Some(0)]);
        let after = fates(&mut history, first + 1, 0, &[Some(0)]);
        let at = |fates: &[Fate]| fates[0].arrival.expect("arrived");
        assert_eq!(at(&after) - at(&before), 64_000);
    }

    #[test]
    fn feedback_about_what_was_never_sent_or_is_forgotten_is_no_news() {
        let mut history = History::default();
        for base in [0, 1, 40_000, u16::MAX] {
            assert_eq!(fates(&mut history, base, 0, &vec![None; 4_000]), []);
        }
        let first = history.next() as u16;
        history.sent(100, Cluster::default(), 0);
        history.forget(first);
        assert_eq!(fates(&mut history, first, 0, &[Some(5)]), []);
    }
}
