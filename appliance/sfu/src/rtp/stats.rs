//! What a receiver reports of a source (RFC 3550, 6.4.1 and appendix A).

use std::time::{Duration, Instant};

/// Loss and jitter of one SSRC.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stats {
    first: Option<u64>,
    highest: u64,
    received: u64,
    /// RFC 3550, A.8, in clock ticks.
    jitter: f64,
    last: Option<(Instant, u32)>,
    prior: (u64, u64),
    window: (u64, u64),
    sender_report: Option<SenderReport>,
}

/// The last report of the source's sender: which of its media times is which of its wall times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SenderReport {
    /// 64-bit NTP time of the sender's clock.
    pub(crate) ntp: u64,
    pub(crate) timestamp: u32,
    pub(crate) arrival: Instant,
}

/// One report block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) fraction_lost: u8,
    pub(crate) total_lost: u32,
    pub(crate) highest: u32,
    pub(crate) jitter: u32,
    pub(crate) last_sr: u32,
    pub(crate) delay: u32,
}

impl Stats {
    /// A packet with this extended sequence number arrived for the first time.
    pub(crate) fn arrived(&mut self, sequence: u64, timestamp: u32, clock_hz: u32, now: Instant) {
        self.first = Some(self.first.map_or(sequence, |first| first.min(sequence)));
        self.highest = self.highest.max(sequence);
        self.received += 1;
        if let Some((then, before)) = self.last {
            let elapsed = now.duration_since(then).as_secs_f64() * f64::from(clock_hz);
            let media = f64::from(timestamp.wrapping_sub(before).cast_signed());
            self.jitter += ((elapsed - media).abs() - self.jitter) / 16.0;
        }
        self.last = Some((now, timestamp));
    }

    pub(crate) fn sender_report(&mut self, report: SenderReport) {
        self.sender_report = Some(report);
    }

    pub(crate) fn last_sender_report(&self) -> Option<SenderReport> {
        self.sender_report
    }

    fn expected(&self) -> u64 {
        self.first.map_or(0, |first| self.highest - first + 1)
    }

    /// The block for the next receiver report; `None` before the first packet.
    pub(crate) fn report(&mut self, now: Instant) -> Option<Block> {
        self.first?;
        let (expected, received) = (self.expected(), self.received);
        let since = (expected - self.prior.0, received - self.prior.1);
        self.prior = (expected, received);
        let lost = since.0.saturating_sub(since.1);
        let sender = self.sender_report.map(|report| {
            let delay = now.duration_since(report.arrival).as_secs_f64() * 65_536.0;
            ((report.ntp >> 16) as u32, delay as u32)
        });
        let (last_sr, delay) = sender.unwrap_or_default();
        Some(Block {
            fraction_lost: (lost * 256).checked_div(since.0).map_or(0, |part| part.min(255) as u8),
            total_lost: expected.saturating_sub(received).min(0x7F_FFFF) as u32,
            highest: self.highest as u32,
            jitter: self.jitter as u32,
            last_sr,
            delay,
        })
    }

    /// Expected and received packets since the last call.
    pub(crate) fn take_window(&mut self) -> (u64, u64) {
        let (expected, received) = (self.expected(), self.received);
        let window = (expected - self.window.0, received - self.window.1);
        self.window = (expected, received);
        window
    }

    pub(crate) fn jitter(&self, clock_hz: u32) -> Duration {
        Duration::from_secs_f64(self.jitter / f64::from(clock_hz.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Stats;

    #[test]
    fn one_of_four_lost_is_a_fraction_of_64() {
        let (mut stats, now) = (Stats::default(), Instant::now());
        for sequence in (0..100u64).filter(|sequence| sequence % 4 != 1) {
            let at = now + Duration::from_millis(20) * sequence as u32;
            stats.arrived(70_000 + sequence, 960 * sequence as u32, 48_000, at);
        }
        let block = stats.report(now).expect("packets arrived");
        assert_eq!((block.fraction_lost, block.total_lost), (64, 25));
        assert_eq!(block.highest, 70_099);
        assert_eq!(block.jitter, 0);
        assert_eq!(stats.take_window(), (100, 75));
        assert_eq!(stats.take_window(), (0, 0));
    }
}
