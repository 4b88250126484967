//! Probes: a short cluster of packets, faster than the estimate. How fast it arrives says what the
//! path carries, without waiting for media that would fill it.

use super::{BPS_MAX, Bps, Micros};

/// A cluster has at least so many packets and takes at least this long at its rate.
pub(super) const PACKETS_MIN: u32 = 5;
const TIME: Micros = 15_000;
/// Clusters on a path whose jitter drowned the last ones are so much longer at most.
const STRETCH_MAX: i64 = 8;
/// A cluster takes this many times the jitter of the path at least.
const JITTERS: i64 = 4;
/// Packets of a cluster, whatever its rate.
const PACKETS_MAX: u32 = 160;
/// A cluster that cannot be filled in this time ends as it is.
const FILL_MAX: Micros = 250_000;
/// Its fate is known after this long, or never.
const FATE_MAX: Micros = 1_500_000;
/// Of the estimate: the first cluster, whose start value is a guess, and those after it.
const FIRST: f64 = 3.0;
const NEXT: f64 = 2.0;
/// No use to know more than this part of what is wanted, and no use to ask for less than this of
/// what is known.
const WANTED: f64 = 2.2;
/// More than this part of what is wanted need not be known: when a screen is shared or a picture
/// enlarged, what it takes is there.
pub(super) const ENOUGH: f64 = 2.0;
const KNOWN: f64 = 1.3;
/// A cluster that arrived at this part of its rate is followed by a faster one at once.
const FURTHER: f64 = 0.7;
/// Below this part of the rate it left at, a cluster was slowed down by the path itself, and a
/// little less than it arrived at can be sent without a queue.
const SLOWED: f64 = 0.9;
const BELOW: f64 = 0.95;
/// Arriving this much faster than it left, a cluster says that something bundled it up.
const BUNDLED: f64 = 2.0;
/// A single gap this long, as a part of the time in which a cluster arrived, is none of the path:
/// the receiver was busy.
const GAP_MAX: f64 = 0.5;
/// So much of a cluster has to be heard of and, floor of loss aside, to arrive.
const HEARD: f64 = 0.8;
/// Between clusters, while more is wanted: first, and after those that found nothing.
const PAUSE: Micros = 2_000_000;
const PAUSE_MAX: Micros = 6_000_000;
const PAUSE_BACKOFF: f64 = 1.5;
/// After an overuse, and after a cluster that could not be read.
const PAUSE_OVERUSE: Micros = 3_000_000;
const PAUSE_UNREAD: Micros = 800_000;
/// An overuse this soon after a cluster raised the estimate shows that it said too much.
const REGRET: Micros = 2_000_000;
/// A path that was seen to drop what is too much is taken to do so for this long.
const POLICED: Micros = 30_000_000;
/// Clusters whose fate is awaited.
const AWAITED: usize = 4;
/// The queue that a cluster made is gone this long after it was heard of.
const SHADOW: Micros = 200_000;

/// A cluster's number; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cluster(u16);

impl Cluster {
    pub(super) fn is_some(self) -> bool {
        self.0 != 0
    }
}

/// What left and what arrived of a cluster.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    cluster: Cluster,
    bps: Bps,
    begun: Micros,
    sent_packets: u32,
    sent_bytes: u64,
    /// Of the first and the last packet that arrived: when they left, and when they came.
    sent: Option<(Micros, Micros)>,
    arrival: Option<(Micros, Micros)>,
    /// The longest time between two of them.
    gap: Micros,
    heard_packets: u32,
    missing_packets: u32,
    heard_bytes: u64,
    first_bytes: u64,
    last_bytes: u64,
}

/// The cluster that is being sent.
#[derive(Clone, Copy, Debug)]
struct Active {
    cluster: Cluster,
    bps: Bps,
    begun: Micros,
    packets: u32,
    bytes: u64,
    bytes_min: u64,
}

/// What a cluster is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    pub(super) estimate: Bps,
    pub(super) wanted: Bps,
    /// What the path loses anyway, 0 to 1.
    pub(super) floor: f64,
    /// The arrival of a packet is known only so well.
    pub(super) jitter: Micros,
    pub(super) now: Micros,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found {
    /// What the path carries. `first`: it was slower than the first cluster, and what was believed
    /// before was a guess.
    Carries {
        bps: Bps,
        first: bool,
    },
    Nothing,
}

#[derive(Debug)]
pub(super) struct Prober {
    active: Option<Active>,
    awaited: [Tally; AWAITED],
    last: Cluster,
    /// The next cluster may begin.
    next_at: Micros,
    pause: Micros,
    stretch: i64,
    /// The first cluster has not been read yet.
    is_first: bool,
    raised_at: Option<Micros>,
    shadow_until: Micros,
    policed_until: Micros,
}

impl Default for Prober {
    fn default() -> Self {
        Self {
            active: None,
            awaited: [Tally::default(); AWAITED],
            last: Cluster::default(),
            next_at: 0,
            pause: PAUSE,
            stretch: 1,
            is_first: true,
            raised_at: None,
            shadow_until: 0,
            policed_until: 0,
        }
    }
}

impl Prober {
    /// When a cluster may begin; the caller knows whether one is wanted.
    pub(super) fn next_at(&self) -> Option<Micros> {
        self.active.is_none().then_some(self.next_at)
    }

    /// Begins a cluster, if it is time.
    pub(super) fn begin(&mut self, estimate: Bps, wanted: Bps, jitter: Micros, now: Micros) {
        if self.active.is_some() || now < self.next_at {
            return;
        }
        let factor = if self.is_first { FIRST } else { NEXT };
        let bps = (estimate * factor).min((wanted * WANTED).max(estimate * KNOWN)).min(BPS_MAX);
        self.last = Cluster(self.last.0.checked_add(1).unwrap_or(1));
        let time = (TIME * self.stretch).max(JITTERS * jitter).min(TIME * STRETCH_MAX);
        let bytes_min = (bps * time as f64 / 8e6) as u64;
        let cluster = self.last;
        self.active = Some(Active { cluster, bps, begun: now, packets: 0, bytes: 0, bytes_min });
        let oldest = self.awaited.iter_mut().min_by_key(|tally| tally.begun);
        if let Some(slot) = oldest {
            *slot = Tally { cluster, bps, begun: now, ..Tally::default() };
        }
        self.next_at = now + self.pause;
    }

    /// The cluster that packets belong to now.
    pub(super) fn cluster(&self) -> Cluster {
        self.active.map_or(Cluster::default(), |active| active.cluster)
    }

    /// A packet of the active cluster left.
    pub(super) fn sent(&mut self, bytes: usize, now: Micros) {
        let Some(active) = &mut self.active else { return };
        if active.packets == 0 {
            active.begun = now;
        }
        active.packets += 1;
        active.bytes += bytes as u64;
        let cluster = active.cluster;
        let done = (active.packets >= PACKETS_MIN && active.bytes >= active.bytes_min)
            || active.packets >= PACKETS_MAX;
        if let Some(tally) = self.awaited.iter_mut().find(|tally| tally.cluster == cluster) {
            tally.sent_packets += 1;
            tally.sent_bytes += bytes as u64;
        }
        if done {
            self.active = None;
        }
    }

    /// When the next packet of the active cluster has to leave.
    pub(super) fn packet_at(&self) -> Option<Micros> {
        let active = self.active?;
        Some(active.begun + (active.bytes as f64 * 8e6 / active.bps) as Micros)
    }

    /// Gives a cluster up that cannot be filled.
    pub(super) fn expire(&mut self, now: Micros) {
        if self.active.is_some_and(|active| now - active.begun > FILL_MAX) {
            self.active = None;
        }
    }

    /// Not now, but soon.
    pub(super) fn postpone(&mut self, now: Micros) {
        self.next_at = now + SHADOW;
    }

    /// Gives the active cluster up: there is nothing to make packets of yet.
    pub(super) fn give_up(&mut self, now: Micros) {
        let given_up = self.cluster();
        self.active = None;
        let unsent = |tally: &&mut Tally| tally.cluster == given_up && tally.sent_packets == 0;
        if let Some(tally) = self.awaited.iter_mut().find(unsent) {
            *tally = Tally::default();
        }
        self.postpone(now);
    }

    /// A packet of a cluster was heard of.
    pub(super) fn heard(
        &mut self,
        cluster: Cluster,
        sent: Micros,
        arrival: Option<Micros>,
        bytes: u32,
    ) {
        let Some(tally) = self.awaited.iter_mut().find(|tally| tally.cluster == cluster) else {
            return;
        };
        let Some(arrival) = arrival else {
            tally.missing_packets += 1;
            return;
        };
        let before = tally.arrival.map_or(arrival, |(_, last)| last);
        tally.gap = tally.gap.max(arrival - before);
        tally.heard_packets += 1;
        tally.heard_bytes += u64::from(bytes);
        if tally.arrival.is_none_or(|(first, _)| arrival < first) {
            tally.first_bytes = u64::from(bytes);
        }
        if tally.sent.is_none_or(|(_, last)| sent >= last) {
            tally.last_bytes = u64::from(bytes);
        }
        let span = |span: Option<(Micros, Micros)>, at: Micros| {
            Some(span.map_or((at, at), |(first, last)| (first.min(at), last.max(at))))
        };
        (tally.sent, tally.arrival) = (span(tally.sent, sent), span(tally.arrival, arrival));
    }

    /// What a cluster found whose packets were all heard of.
    pub(super) fn found(&mut self, around: &Around) -> Found {
        let Around { estimate, wanted, floor, jitter, now } = *around;
        let active = self.cluster();
        let complete = |tally: &&mut Tally| {
            let heard = tally.heard_packets + tally.missing_packets;
            tally.cluster.is_some()
                && tally.cluster != active
                && (heard >= tally.sent_packets || now - tally.begun > FATE_MAX)
        };
        let Some(slot) = self.awaited.iter_mut().find(complete) else { return Found::Nothing };
        let tally = std::mem::take(slot);
        self.shadow_until = now + SHADOW;
        if tally.is_lossy(floor) {
            self.in_vain(now);
            return Found::Nothing;
        }
        let Some((bps, slowed)) = tally.bps(jitter) else {
            // Jitter, bundling or loss drowned it: a longer one will stand out.
            self.stretch = (self.stretch * 2).min(STRETCH_MAX);
            self.next_at = self.next_at.min(now + PAUSE_UNREAD).max(now);
            return Found::Nothing;
        };
        let first = std::mem::take(&mut self.is_first) && slowed;
        if now >= self.policed_until {
            self.stretch = (self.stretch / 2).max(1);
        }
        if bps > estimate * 1.02 {
            (self.pause, self.raised_at) = (PAUSE, Some(now));
            let further = bps >= FURTHER * tally.bps && wanted * ENOUGH > bps;
            self.next_at = if further { now } else { now + self.pause };
        } else {
            self.in_vain(now);
        }
        Found::Carries { bps, first }
    }

    fn in_vain(&mut self, now: Micros) {
        self.pause = ((self.pause as f64 * PAUSE_BACKOFF) as Micros).min(PAUSE_MAX);
        self.next_at = now + self.pause;
    }

    /// The path drops what is too much and queues nothing: a short cluster fits into what it lets
    /// pass at once, and would find more than there is.
    pub(super) fn policed(&mut self, now: Micros) {
        self.stretch = STRETCH_MAX;
        self.policed_until = now + POLICED;
    }

    /// Queues may be the work of a cluster.
    pub(super) fn casts_shadow(&self, now: Micros) -> bool {
        let awaited = self.awaited.iter().any(|tally| tally.cluster.is_some());
        awaited || now < self.shadow_until
    }

    /// The estimate came down because of an overuse.
    pub(super) fn overused(&mut self, now: Micros) {
        if self.raised_at.take().is_some_and(|at| now - at < REGRET) {
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
        self.next_at = self.next_at.max(now + PAUSE_OVERUSE.max(self.pause));
    }
}

impl Tally {
    fn is_lossy(&self, floor: f64) -> bool {
        let (packets, heard) = (f64::from(self.sent_packets), f64::from(self.heard_packets));
        heard < packets * HEARD * (1.0 - floor)
    }

    /// What the path carries, as far as it shows, and whether it was the path that slowed the
    /// cluster down.
    fn bps(&self, jitter: Micros) -> Option<(Bps, bool)> {
        let (sent, arrival) = self.sent.zip(self.arrival)?;
        let (packets, heard) = (f64::from(self.sent_packets), f64::from(self.heard_packets));
        if self.heard_packets < PACKETS_MIN.div_ceil(2) {
            return None;
        }
        // What got lost on the way took its time, too.
        let whole = packets / heard;
        let rate = |bytes: u64, span: (Micros, Micros)| {
            let time = span.1 - span.0;
            (time > 0).then(|| bytes as f64 * whole * 8e6 / time as f64)
        };
        let left = rate(self.heard_bytes - self.last_bytes, sent)?;
        let came = rate(self.heard_bytes - self.first_bytes, arrival)?;
        if came > BUNDLED * left {
            return None;
        }
        // It may have come in less time than the path took for it.
        let span = (arrival.1 - arrival.0) as f64;
        let surely = came * span / (span + jitter as f64);
        let slowed = came < SLOWED * left;
        if slowed && self.gap as f64 > GAP_MAX * span {
            return None;
        }
        Some((if slowed { BELOW * came } else { left.min(surely) }, slowed))
    }
}

#[cfg(test)]
mod tests {
    use super::{Around, Cluster, Found, Micros, Prober};

    /// Sends a cluster and delivers it at `path_bps`; what was found of it.
    fn probe(
        prober: &mut Prober,
        estimate: f64,
        wanted: f64,
        path_bps: f64,
        now: &mut Micros,
    ) -> Found {
        prober.begin(estimate, wanted, 0, *now);
        let (mut free, mut sent) = (*now, Vec::new());
        while let Some(at) = prober.packet_at() {
            *now = at.max(*now);
            let cluster = prober.cluster();
            prober.sent(1_000, *now);
            free = free.max(*now) + (8e9 / path_bps) as Micros;
            sent.push((cluster, *now, free));
        }
        *now += 100_000;
        for (cluster, sent, arrival) in sent {
            prober.heard(cluster, sent, Some(arrival + 77_000_000), 1_000);
        }
        prober.found(&Around { estimate, wanted, floor: 0.0, jitter: 0, now: *now })
    }

    #[test]
    fn a_cluster_finds_what_the_path_carries_from_either_side() {
        for (path, low, high) in [(3e5, 2.7e5, 3e5), (2e6, 1.7e6, 2e6), (5e7, 2.7e6, 3.1e6)] {
            let found = probe(&mut Prober::default(), 1e6, 1e7, path, &mut 0);
            let Found::Carries { bps, first } = found else { panic!("{found:?}") };
            assert!((low..=high).contains(&bps) && first == (path < 3e6), "{path}: {bps}");
        }
    }

    #[test]
    fn clusters_follow_each_other_while_they_find_more_and_are_rare_when_they_do_not() {
        let (mut prober, mut now, mut estimate) = (Prober::default(), 0, 1e6);
        for _ in 0..3 {
            let found = probe(&mut prober, estimate, 1e7, 1e9, &mut now);
            let Found::Carries { bps, .. } = found else { panic!("{found:?}") };
            assert!(bps > estimate * 1.8);
            estimate = bps;
        }
        let (mut prober, mut now, mut clusters) = (Prober::default(), 0, 0);
        while now < 60_000_000 {
            clusters += u32::from(probe(&mut prober, 1e6, 1e7, 1e6, &mut now) != Found::Nothing);
            now += 50_000;
        }
        assert!((8..=20).contains(&clusters), "{clusters}");
    }

    #[test]
    fn what_arrives_bundled_or_not_at_all_says_nothing_and_the_next_is_longer() {
        let (mut prober, mut now) = (Prober::default(), 0);
        assert_eq!(
            probe(&mut prober, 1e6, 1e7, 1e6, &mut now),
            Found::Carries { bps: 950_000.0, first: true }
        );
        let mut prober = Prober::default();
        prober.begin(1e6, 1e7, 0, now);
        let mut packets = Vec::new();
        while let Some(at) = prober.packet_at() {
            now = at;
            packets.push((prober.cluster(), at));
            prober.sent(1_000, at);
        }
        for (cluster, sent) in &packets {
            prober.heard(*cluster, *sent, Some(now), 1_000);
        }
        assert_eq!(
            prober.found(&Around { estimate: 1e6, wanted: 1e7, floor: 0.0, jitter: 0, now }),
            Found::Nothing
        );
        assert_eq!(prober.stretch, 2);
        assert!(prober.next_at().is_some_and(|at| at <= now + 1_000_000));
        assert_eq!(prober.cluster(), Cluster::default());
    }
}
