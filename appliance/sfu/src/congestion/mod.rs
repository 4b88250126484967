//! What a subscriber's path carries, how fast packets leave for it, and what is sent to find out
//! more. Fed with every packet that leaves and every feedback that comes; knows nothing of tracks.
//!
//! Growing queues bring the estimate down before they do harm ([`delay`], [`rate`]); loss does where
//! it depends on what is sent ([`loss`]); probes bring it up ([`probe`]).

mod acked;
mod delay;
mod history;
#[cfg(test)]
mod link;
mod loss;
mod pacer;
mod probe;
mod rate;
#[cfg(test)]
mod scenarios;
mod sending;

use std::time::{Duration, Instant};

use belfry_media_api::Cause;

pub(crate) use self::pacer::{Class, Pacer};
use self::{
    acked::Acked,
    delay::{Delay, Usage},
    history::{Fate, History},
    loss::{Around, Loss, Verdict},
    probe::{ENOUGH, Found, Prober},
    rate::{Rate, Seen},
    sending::Sending,
};

/// Microseconds, of this connection's or the receiver's clock.
type Micros = i64;
/// Bits per second, of IP packets.
type Bps = f64;

/// What IP, UDP and the SRTP tag add to an RTP packet, in bytes: paths are slow in whole packets.
pub(crate) const OVERHEAD_BYTES: usize = 20 + 8 + 16;
/// Until the first probe. What a receiver without transport-wide feedback starts with cannot be
/// corrected by a probe, and school networks are local.
const START_BPS: Bps = 1e6;
const START_BLIND_BPS: Bps = 4e6;
const BPS_MIN: Bps = 5e4;
const BPS_MAX: Bps = 4e7;
/// Less than this part of the estimate is sent: nothing that happens says that more would fit.
const LIMITED: f64 = 0.85;
/// Without transport-wide feedback, receiver reports are judged this often.
const REPORTED_WINDOW: Micros = 1_000_000;
const REPORTED_LOSS_HIGH: f64 = 0.10;
const REPORTED_LOSS_LOW: f64 = 0.02;
const REPORTED_GROWTH: f64 = 1.03;
/// A queue shorter than this and two packets of full size is no reason to send less; where ways
/// differ much anyway, nor is one that is within what they do.
const QUEUE_MIN: Micros = 25_000;
const QUEUE_MIN_BITS: f64 = 2.0 * 9_600.0;
const UNRESTS: i64 = 2;
const UNREST_MAX: Micros = 100_000;
/// After a decrease, a queue of this length is drained by sending only this part of the rate, until
/// it is short or so much time is over (the way itself may have become longer).
const DRAIN_FROM: Micros = 60_000;
const DRAIN_TO: Micros = 30_000;
const DRAIN: f64 = 0.7;
const DRAIN_MAX: Micros = 2_500_000;
/// More loss than this, while queues are short, is what a pupil suffers from.
const LOSSY: f64 = 0.06;
const QUEUE_SHORT: Micros = 100_000;
const RTT_INITIAL: Duration = Duration::from_millis(100);

/// Parts that tests switch off to show what they are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    pub(crate) probes: bool,
    pub(crate) paces: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { probes: true, paces: true }
    }
}

/// One subscriber's path. `T` is what the pacer keeps of a packet that waits.
#[derive(Debug)]
pub(crate) struct Congestion<T> {
    epoch: Instant,
    tuning: Tuning,
    history: History,
    fates: Vec<Fate>,
    acked: Acked,
    delay: Delay,
    rate: Rate,
    loss: Loss,
    prober: Prober,
    pacer: Pacer<T>,
    sending: Sending,
    /// What would be sent if the path carried everything.
    wanted_bps: Bps,
    rtt: Option<Duration>,
    /// The receiver sends transport-wide feedback; else its receiver reports have to do.
    has_feedback: bool,
    expects_feedback: bool,
    reported_at: Option<Micros>,
    /// Smoothed, of receiver reports.
    reported_loss: f64,
    /// The estimate moved so much that the allocation is out of date.
    moved: bool,
    allocated_bps: Bps,
    /// Less leaves the pacer than the path carries, until its queue is gone.
    drains_since: Option<Micros>,
}

impl<T> Congestion<T> {
    pub(crate) fn new(now: Instant, tuning: Tuning) -> Self {
        let mut congestion = Self {
            epoch: now,
            tuning,
            history: History::default(),
            fates: Vec::new(),
            acked: Acked::default(),
            delay: Delay::default(),
            rate: Rate::new(START_BPS),
            loss: Loss::default(),
            prober: Prober::default(),
            pacer: Pacer::new(tuning.paces),
            sending: Sending::default(),
            wanted_bps: 0.0,
            rtt: None,
            has_feedback: false,
            expects_feedback: false,
            reported_at: None,
            reported_loss: 0.0,
            moved: false,
            allocated_bps: START_BPS,
            drains_since: None,
        };
        congestion.follow();
        congestion
    }

    fn micros(&self, now: Instant) -> Micros {
        now.duration_since(self.epoch).as_micros() as Micros
    }

    fn instant(&self, at: Micros) -> Instant {
        self.epoch + Duration::from_micros(at.max(0).cast_unsigned())
    }

    /// The receiver said whether it sends transport-wide feedback.
    pub(crate) fn expect_feedback(&mut self, expected: bool) {
        self.expects_feedback |= expected;
        if !self.expects_feedback && self.rate.bps() < START_BLIND_BPS {
            self.rate.set(START_BLIND_BPS, 0);
        } else if expected && !self.has_feedback && self.rate.bps() > START_BPS {
            self.rate.lower(START_BPS, 0);
        }
        self.follow();
    }

    /// The transport-wide number that the next packet gets.
    pub(crate) fn next_number(&self) -> u16 {
        self.history.next() as u16
    }

    /// A packet left; `numbered`: it took the next number.
    pub(crate) fn sent(&mut self, bytes: usize, numbered: bool, now: Instant) {
        let (bytes, at) = (bytes + OVERHEAD_BYTES, self.micros(now));
        self.pacer.left(bytes, at);
        self.sending.left(bytes, at);
        if numbered {
            let cluster = self.prober.cluster();
            self.history.sent(bytes, cluster, at);
            if cluster.is_some() {
                self.prober.sent(bytes, at);
                if let Some(next) = self.prober.packet_at() {
                    self.pacer.next_at(next);
                }
            }
        }
    }

    /// A packet leaves again as it was, number included.
    pub(crate) fn sent_again(&mut self, bytes: usize, number: Option<u16>, now: Instant) {
        let (bytes, at) = (bytes + OVERHEAD_BYTES, self.micros(now));
        self.pacer.left(bytes, at);
        self.sending.left(bytes, at);
        if let Some(number) = number {
            self.history.forget(number);
        }
    }

    /// Whether a packet may leave now; else it is to be kept.
    pub(crate) fn admits(&self, class: Class, now: Instant) -> bool {
        self.pacer.admits(class, self.micros(now))
    }

    /// Keeps what could not leave; `false`: there is no room for it.
    pub(crate) fn keep(&mut self, class: Class, what: T, now: Instant) -> bool {
        let at = self.micros(now);
        self.pacer.keep(class, what, at)
    }

    /// What was kept and may leave now, and whether it is of use still.
    pub(crate) fn next_kept(&mut self, now: Instant) -> Option<(T, bool)> {
        let at = self.micros(now);
        self.pacer.next(at)
    }

    /// Forgets what was kept of those that `is` tells.
    pub(crate) fn drop_kept(&mut self, is: impl Fn(&T) -> bool) {
        if !self.pacer.is_empty() {
            self.pacer.drop_where(is);
        }
    }

    /// Whether a packet that carries nothing is to leave now, for a probe.
    pub(crate) fn wants_padding(&self, now: Instant) -> bool {
        self.pacer.is_empty() && self.prober.packet_at().is_some_and(|at| at <= self.micros(now))
    }

    /// When something kept or a probe's packet may leave, or a probe is to begin.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let probe = self.prober.packet_at().or_else(|| self.probe_at());
        let next = [self.pacer.deadline(), probe].into_iter().flatten().min();
        next.map(|at| self.instant(at))
    }

    fn probe_at(&self) -> Option<Micros> {
        let useful = self.tuning.probes
            && self.expects_feedback
            && self.loss.cap().is_none()
            && self.wanted_bps * ENOUGH > self.rate.bps();
        self.prober.next_at().filter(|_| useful)
    }

    /// Begins and ends probes.
    pub(crate) fn timeout(&mut self, now: Instant) {
        let at = self.micros(now);
        self.prober.expire(at);
        if self.probe_at().is_some_and(|due| due <= at) {
            if self.delay.usage() == Usage::Over {
                self.prober.postpone(at);
            } else {
                let (rate, jitter) = (self.rate.bps(), self.delay.jitter());
                self.prober.begin(rate, self.wanted_bps, jitter, at);
                self.pacer.next_at(at);
            }
        }
    }

    /// No packet can be made for a probe: nothing can be found out now.
    pub(crate) fn cannot_pad(&mut self, now: Instant) {
        let at = self.micros(now);
        self.prober.give_up(at);
    }

    /// What would be sent if the path carried everything, in IP packets.
    pub(crate) fn want(&mut self, bps: u64) {
        self.wanted_bps = bps as f64;
    }

    /// The receiver's feedback on the packets from `base` on: when each arrived, in microseconds
    /// after `reference`.
    pub(crate) fn feedback(
        &mut self,
        base: u16,
        reference: u32,
        arrivals: &[Option<i32>],
        now: Instant,
    ) {
        let at = self.micros(now);
        let mut fates = std::mem::take(&mut self.fates);
        fates.clear();
        self.history.resolve(base, reference, arrivals, &mut fates);
        if !fates.is_empty() {
            self.has_feedback = true;
            self.digest(&mut fates, at);
            self.judge(at);
        }
        self.fates = fates;
    }

    fn digest(&mut self, fates: &mut Vec<Fate>, now: Micros) {
        if let (None, Some(newest)) = (self.rtt, fates.last()) {
            // Until a receiver report tells better.
            self.rtt = Some(Duration::from_micros((now - newest.sent).max(0).cast_unsigned()));
        }
        for fate in fates.iter() {
            match fate.arrival {
                // A probe may ask too much of the path: what it loses is no loss of the lesson's.
                _ if fate.cluster.is_some() => {
                    if !fate.late {
                        self.prober.heard(fate.cluster, fate.sent, fate.arrival, fate.bytes);
                    }
                }
                Some(_) => self.loss.arrived(fate.number, fate.late),
                None => self.loss.missing(fate.number),
            }
        }
        fates.retain(|fate| fate.arrival.is_some() && !fate.late);
        fates.sort_unstable_by_key(|fate| (fate.arrival, fate.number));
        for fate in fates.iter() {
            let Some(arrival) = fate.arrival else { continue };
            self.acked.arrived(fate.bytes, arrival);
            self.delay.arrived(fate.sent, arrival);
        }
    }

    fn judge(&mut self, now: Micros) {
        let rate = self.rate.bps();
        let limited = self.sending.bps(now) < LIMITED * rate;
        let unrest = (UNRESTS * self.delay.unrest()).min(UNREST_MAX);
        let queue_min = QUEUE_MIN + (QUEUE_MIN_BITS * 1e6 / rate) as Micros + unrest;
        // A cluster that fills the path makes a queue of its own for a moment.
        let usage = match self.delay.usage() {
            Usage::Over if self.prober.casts_shadow(now) => Usage::Normal,
            // A wiggle, and no queue that anybody would notice.
            Usage::Over if self.delay.queue() < queue_min => Usage::Under,
            usage => usage,
        };
        let (queue, next) = (self.delay.queue(), self.history.next());
        let around = Around { acked: self.acked.bps(), queue, limited, next, now };
        let verdict = self.loss.judge(&around);
        let mut lowered = verdict != Verdict::Nothing;
        if let Verdict::Lower(bps) | Verdict::Policed(bps) = verdict {
            self.rate.lower(bps, now);
        }
        if matches!(verdict, Verdict::Policed(_)) {
            self.prober.policed(now);
        }
        let floor = self.loss.floor();
        let acked = self.acked.bps().map(|acked| acked / (1.0 - floor));
        let jitter = self.delay.jitter();
        let (estimate, wanted) = (rate, self.wanted_bps);
        match self.prober.found(&probe::Around { estimate, wanted, floor, jitter, now }) {
            // The value before the first probe was a guess.
            Found::Carries { bps, first } if bps > rate || first => self.rate.set(bps, now),
            Found::Carries { .. } | Found::Nothing => {
                let rtt = self.rtt.unwrap_or(RTT_INITIAL).as_micros() as Micros;
                lowered |= self.rate.update(&Seen { usage, acked, limited, rtt, now });
            }
        }
        if lowered {
            self.prober.overused(now);
        }
        self.drain(lowered, queue, now);
        self.follow();
    }

    /// The pacer follows the estimate; a large move is to be told.
    fn follow(&mut self) {
        let estimate = self.estimate();
        let part = if self.drains_since.is_some() { DRAIN } else { 1.0 };
        self.pacer.set(estimate * part);
        self.moved |= estimate < 0.95 * self.allocated_bps || estimate > 1.15 * self.allocated_bps;
    }

    fn estimate(&self) -> Bps {
        let bps = self.rate.bps();
        self.loss.cap().map_or(bps, |cap| bps.min(cap)).max(BPS_MIN)
    }

    /// A queue that is there already does not go away at the rate that the path carries.
    fn drain(&mut self, lowered: bool, queue: Micros, now: Micros) {
        if lowered && queue > DRAIN_FROM {
            self.drains_since = Some(now);
        }
        let over = |since: Micros| queue < DRAIN_TO || now - since > DRAIN_MAX;
        if self.drains_since.is_some_and(over) {
            self.drains_since = None;
        }
    }

    /// Whether the estimate moved so much since the last allocation that a new one cannot wait.
    pub(crate) fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// The estimate that an allocation is made from.
    pub(crate) fn allocate(&mut self) -> u64 {
        self.allocated_bps = self.estimate();
        self.moved = false;
        self.allocated_bps as u64
    }

    /// A receiver report told this loss (0 to 1) of one stream.
    pub(crate) fn reported(&mut self, loss: f64, now: Instant) {
        if self.has_feedback {
            return;
        }
        let at = self.micros(now);
        self.reported_loss += 0.3 * (loss - self.reported_loss);
        let since = *self.reported_at.get_or_insert(at);
        if at - since < REPORTED_WINDOW {
            return;
        }
        self.reported_at = Some(at);
        let bps = self.rate.bps();
        if self.reported_loss > REPORTED_LOSS_HIGH {
            self.rate.lower(bps * (1.0 - 0.5 * self.reported_loss), at);
        } else if self.reported_loss < REPORTED_LOSS_LOW {
            self.rate.set(bps * REPORTED_GROWTH, at);
        }
        self.follow();
    }

    pub(crate) fn estimate_bps(&self) -> u64 {
        self.estimate() as u64
    }

    /// 0 to 1.
    pub(crate) fn loss(&self) -> f64 {
        if self.has_feedback { self.loss.smoothed() } else { self.reported_loss }
    }

    /// What keeps the path from carrying more, if something does.
    pub(crate) fn cause(&self) -> Cause {
        let queue_is_short = self.delay.queue() < QUEUE_SHORT;
        if self.loss() > LOSSY && queue_is_short { Cause::Loss } else { Cause::Bandwidth }
    }

    /// What was sent in the last second.
    pub(crate) fn sent_bps(&self, now: Instant) -> u64 {
        self.sending.bps(self.micros(now)) as u64
    }

    pub(crate) fn rtt_sample(&mut self, sample: Duration) {
        self.rtt = Some(self.rtt.map_or(sample, |rtt| (rtt * 7 + sample) / 8));
    }

    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }
}
