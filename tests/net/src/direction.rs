//! One direction of a link: a queue before a bottleneck, then a path that delays, loses, doubles and reorders.
//!
//! No clock and no sockets: times are nanoseconds that the caller gives. A caller that comes late changes nothing about the
//! rate, since each packet leaves when the one before it has left, not when somebody looks.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Sub;

use serde::Serialize;

use crate::random::{Draws, Source};
use crate::settings::Way;

const NS_PER_S: f64 = 1e9;
const NS_PER_MS: f64 = 1e6;

/// What has happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Counts {
    pub(crate) offered: u64,
    pub(crate) offered_bytes: u64,
    pub(crate) delivered: u64,
    pub(crate) delivered_bytes: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    /// Dropped, by cause.
    pub(crate) queue_full: u64,
    pub(crate) lost: u64,
    pub(crate) lost_in_burst: u64,
    pub(crate) cut: u64,
    pub(crate) refused: u64,
}

impl Sub for Counts {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self {
            offered: self.offered - before.offered,
            offered_bytes: self.offered_bytes - before.offered_bytes,
            delivered: self.delivered - before.delivered,
            delivered_bytes: self.delivered_bytes - before.delivered_bytes,
            duplicated: self.duplicated - before.duplicated,
            reordered: self.reordered - before.reordered,
            queue_full: self.queue_full - before.queue_full,
            lost: self.lost - before.lost,
            lost_in_burst: self.lost_in_burst - before.lost_in_burst,
            cut: self.cut - before.cut,
            refused: self.refused - before.refused,
        }
    }
}

#[derive(Debug)]
struct Packet {
    bytes: Vec<u8>,
    fate: Fate,
}

/// What will happen to a packet after the bottleneck, decided when it comes.
#[derive(Clone, Copy, Debug)]
struct Fate {
    lost: Option<Loss>,
    /// Change of the delay, in deviations.
    jitter: f64,
    held_back: bool,
    twice: bool,
}

#[derive(Clone, Copy, Debug)]
enum Loss {
    Alone,
    InBurst,
}

/// On its way after the bottleneck; compared by arrival, then by the order of sending.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flying {
    arrives_ns: u64,
    order: u64,
    bytes: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Direction {
    way: Way,
    cut: bool,
    source: Source,
    /// Number of the next packet.
    index: u64,
    /// State of the Gilbert-Elliott model.
    in_burst: bool,
    /// The last packet's change of delay, in deviations.
    jitter: f64,
    queue: VecDeque<Packet>,
    queue_bytes: usize,
    /// When the head of the queue will have been sent.
    sent_ns: u64,
    air: BinaryHeap<Reverse<Flying>>,
    order: u64,
    /// Nothing that is not reordered arrives before this.
    newest_ns: u64,
    counts: Counts,
}

impl Direction {
    pub(crate) fn new(way: Way, source: Source) -> Self {
        Self {
            way,
            cut: false,
            source,
            index: 0,
            in_burst: false,
            jitter: 0.0,
            queue: VecDeque::new(),
            queue_bytes: 0,
            sent_ns: 0,
            air: BinaryHeap::new(),
            order: 0,
            newest_ns: 0,
            counts: Counts::default(),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn way(&self) -> &Way {
        &self.way
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// How long a packet that came now would wait for the bottleneck.
    pub(crate) fn queue_ms(&self, now_ns: u64) -> f64 {
        let head = self.queue.front().map_or(0, |packet| packet.bytes.len());
        let waiting = self.sending_ns(self.queue_bytes - head);
        if self.queue.is_empty() {
            0.0
        } else {
            (self.sent_ns.saturating_sub(now_ns) + waiting) as f64 / NS_PER_MS
        }
    }

    /// Takes a packet from the sender.
    pub(crate) fn offer(&mut self, now_ns: u64, bytes: Vec<u8>) {
        self.advance(now_ns);
        self.counts.offered += 1;
        self.counts.offered_bytes += bytes.len() as u64;
        let fate = self.decide();
        if self.cut {
            self.counts.cut += 1;
            return;
        }
        if self.way.rate_bps.is_none() {
            return self.fly(now_ns, Packet { bytes, fate });
        }
        if !self.queue.is_empty() && self.queue_bytes + bytes.len() > self.room_bytes() {
            self.counts.queue_full += 1;
            return;
        }
        if self.queue.is_empty() {
            self.sent_ns = now_ns + self.sending_ns(bytes.len());
        }
        self.queue_bytes += bytes.len();
        self.queue.push_back(Packet { bytes, fate });
    }

    /// Counts a packet that a middlebox does not let through.
    pub(crate) fn refuse(&mut self, bytes: usize) {
        self.counts.offered += 1;
        self.counts.offered_bytes += bytes as u64;
        self.counts.refused += 1;
    }

    /// The next packet that has arrived by now.
    pub(crate) fn arrived(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        self.advance(now_ns);
        if self.air.peek()?.0.arrives_ns > now_ns {
            return None;
        }
        let Reverse(flying) = self.air.pop()?;
        self.counts.delivered += 1;
        self.counts.delivered_bytes += flying.bytes.len() as u64;
        Some(flying.bytes)
    }

    /// When something happens next.
    pub(crate) fn deadline_ns(&self) -> Option<u64> {
        let sent = (!self.queue.is_empty()).then_some(self.sent_ns);
        let arrives = self.air.peek().map(|flying| flying.0.arrives_ns);
        sent.into_iter().chain(arrives).min()
    }

    /// From now on the link is like this. What is being sent goes on at the new rate.
    pub(crate) fn change(&mut self, now_ns: u64, way: Way) {
        self.advance(now_ns);
        let left = self.sent_ns.saturating_sub(now_ns) as f64;
        let ratio = match (self.way.rate_bps, way.rate_bps) {
            (Some(old), Some(new)) => old as f64 / new as f64,
            _ => 0.0,
        };
        self.way = way;
        if !self.queue.is_empty() {
            self.sent_ns = now_ns + (left * ratio) as u64;
            self.advance(now_ns);
        }
    }

    /// A link that is cut drops what is queued and what comes; what is in flight still arrives.
    pub(crate) fn set_cut(&mut self, now_ns: u64, cut: bool) {
        self.advance(now_ns);
        self.cut = cut;
        if cut {
            self.counts.cut += self.queue.len() as u64;
            self.queue.clear();
            self.queue_bytes = 0;
        }
    }

    fn room_bytes(&self) -> usize {
        let by_time =
            self.way.rate_bps.map_or(0.0, |rate| rate as f64 / 8.0 * self.way.queue_ms / 1e3);
        self.way.queue_bytes.unwrap_or(by_time as usize)
    }

    fn sending_ns(&self, bytes: usize) -> u64 {
        self.way.rate_bps.map_or(0, |rate| (bytes as f64 * 8.0 * NS_PER_S / rate as f64) as u64)
    }

    /// Sends what the bottleneck has sent by now.
    fn advance(&mut self, now_ns: u64) {
        while self.sent_ns <= now_ns
            && let Some(packet) = self.queue.pop_front()
        {
            self.queue_bytes -= packet.bytes.len();
            let sent_ns = self.sent_ns;
            if let Some(next) = self.queue.front() {
                self.sent_ns += self.sending_ns(next.bytes.len());
            }
            self.fly(sent_ns, packet);
        }
    }

    fn decide(&mut self) -> Fate {
        let Draws { loss, burst, reorder, duplicate, jitter } = self.source.packet(self.index);
        self.index += 1;
        let memory = self.way.jitter_memory;
        self.jitter = memory.mul_add(self.jitter, (1.0 - memory.powi(2)).sqrt() * jitter);
        self.in_burst = self.way.burst.is_some_and(|wanted| {
            let share = wanted.percent / 100.0;
            let leave = 1.0 / wanted.length;
            let enter = share / (1.0 - share) * leave;
            if self.in_burst { burst >= leave } else { burst < enter }
        });
        let alone = (loss * 100.0 < self.way.loss_percent).then_some(Loss::Alone);
        Fate {
            lost: self.in_burst.then_some(Loss::InBurst).or(alone),
            jitter: self.jitter,
            held_back: reorder * 100.0 < self.way.reorder_percent,
            twice: duplicate * 100.0 < self.way.duplicate_percent,
        }
    }

    fn fly(&mut self, sent_ns: u64, Packet { bytes, fate }: Packet) {
        match fate.lost {
            Some(Loss::Alone) => return self.counts.lost += 1,
            Some(Loss::InBurst) => return self.counts.lost_in_burst += 1,
            None => {}
        }
        let change_ms =
            (fate.jitter * self.way.jitter_ms / 2.0).clamp(-self.way.jitter_ms, self.way.jitter_ms);
        let mut arrives_ns =
            sent_ns + ((self.way.delay_ms + change_ms).max(0.0) * NS_PER_MS) as u64;
        if fate.held_back {
            self.counts.reordered += 1;
            arrives_ns += (self.way.reorder_ms * NS_PER_MS) as u64;
        } else {
            arrives_ns = arrives_ns.max(self.newest_ns);
            self.newest_ns = arrives_ns;
        }
        if fate.twice {
            self.counts.duplicated += 1;
            self.push(arrives_ns, bytes.clone());
        }
        self.push(arrives_ns, bytes);
    }

    fn push(&mut self, arrives_ns: u64, bytes: Vec<u8>) {
        self.order += 1;
        self.air.push(Reverse(Flying { arrives_ns, order: self.order, bytes }));
    }
}

#[cfg(test)]
#[path = "direction_tests.rs"]
mod tests;
