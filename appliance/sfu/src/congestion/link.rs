//! A link in memory: rate, queue, delay, jitter, loss, by a seed. Test code.

use super::Micros;

/// What happens to packets on their way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) bps: f64,
    /// Packets that would wait longer are dropped.
    pub(super) queue: Micros,
    /// One way.
    pub(super) delay: Micros,
    /// Up to so much more, at random. Packets stay in order.
    pub(super) jitter: Micros,
    /// How much of a packet's jitter the next one has, 0 to below 1.
    pub(super) memory: f64,
    /// 0 to 1; drawn after the queue, as on the air.
    pub(super) loss: f64,
    /// Losses come in runs of so many on average; 1: each for itself.
    pub(super) run: f64,
    /// The receiver is busy for so long at most, again and again, and sees what came meanwhile
    /// only afterwards.
    pub(super) busy: Micros,
}

impl Settings {
    pub(super) fn of(bps: f64) -> Self {
        Self {
            bps,
            queue: 300_000,
            delay: 20_000,
            jitter: 0,
            memory: 0.0,
            loss: 0.0,
            run: 1.0,
            busy: 0,
        }
    }
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) settings: Settings,
    free: Micros,
    last: Micros,
    /// 0 to 1, of the last packet.
    jitter: f64,
    losing: bool,
    /// From when to when the receiver is busy.
    busy: (Micros, Micros),
    seed: u64,
}

impl Link {
    pub(super) fn new(settings: Settings, seed: u64) -> Self {
        Self { settings, free: 0, last: 0, jitter: 0.5, losing: false, busy: (0, 0), seed }
    }

    /// 0 to 1.
    fn random(&mut self) -> f64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        (self.seed >> 33) as f64 / f64::from(1u32 << 31)
    }

    /// When a packet arrives that is put on the link now.
    pub(super) fn carry(&mut self, bytes: usize, now: Micros) -> Option<Micros> {
        if self.queue(now) > self.settings.queue {
            return None;
        }
        self.free = self.free.max(now) + (bytes as f64 * 8e6 / self.settings.bps) as Micros;
        if self.loses() {
            return None;
        }
        let memory = self.settings.memory;
        // As wide whatever is remembered.
        let fresh = (self.random() - 0.5) * (1.0 - memory * memory).sqrt();
        self.jitter = (0.5 + memory * (self.jitter - 0.5) + fresh).clamp(0.0, 1.0);
        let jitter = (self.jitter * self.settings.jitter as f64) as Micros;
        self.last = self.last.max(self.free + self.settings.delay + jitter);
        let arrival = self.last;
        Some(self.seen(arrival))
    }

    /// When a receiver that is busy now and then sees what came at `arrival`.
    fn seen(&mut self, arrival: Micros) -> Micros {
        let longest = self.settings.busy as f64;
        while longest > 0.0 && self.busy.1 < arrival {
            // As often idle as busy.
            let from = self.busy.1 + (self.random() * longest) as Micros;
            self.busy = (from, from + (self.random() * longest) as Micros);
        }
        if arrival >= self.busy.0 { arrival.max(self.busy.1) } else { arrival }
    }

    fn loses(&mut self) -> bool {
        let Settings { loss, run, .. } = self.settings;
        if run <= 1.0 {
            return self.random() < loss;
        }
        let change = if self.losing { 1.0 / run } else { loss / (1.0 - loss).max(0.01) / run };
        if self.random() < change {
            self.losing = !self.losing;
        }
        self.losing
    }

    /// How long a packet would wait.
    pub(super) fn queue(&self, now: Micros) -> Micros {
        (self.free - now).max(0)
    }
}

#[test]
fn the_link_keeps_to_its_settings() {
    for run in [1.0, 4.0] {
        let mut settings = Settings { loss: 0.1, run, jitter: 10_000, ..Settings::of(1e6) };
        let mut link = Link::new(settings, 3);
        let arrivals: Vec<_> = (0..100_000).map(|n| link.carry(1_000, n * 8_000)).collect();
        let lost = arrivals.iter().filter(|arrival| arrival.is_none()).count();
        assert!((9_000..11_000).contains(&lost), "{lost}");
        let arrived: Vec<_> = arrivals.iter().flatten().collect();
        assert!(arrived.windows(2).all(|pair| pair[0] <= pair[1]));
        settings.loss = 0.0;
        let mut link = Link::new(settings, 3);
        // Twice what it carries: half is dropped at the full queue.
        let through = (0..10_000).filter_map(|n| link.carry(1_000, n * 4_000)).count();
        assert!((4_900..5_100).contains(&through), "{through}");
        assert!(link.queue(10_000 * 4_000) <= settings.queue + 8_000);
    }
}
