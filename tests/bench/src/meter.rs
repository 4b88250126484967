//! What the subscribers saw.

use std::time::Duration;

/// The result of one measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) received_count: u64,
    pub(crate) cpu_s_per_million: f64,
    pub(crate) loss_percent: f64,
    pub(crate) latency_p50_ms: f64,
    pub(crate) latency_p99_ms: f64,
    /// Milliseconds of CPU of the forwarder per participant that joins.
    pub(crate) join_cpu_ms: f64,
    /// At the end of the measure, beyond what the empty process had.
    pub(crate) memory_kb_per_peer: u64,
}

/// One subscriber's count of the media packets that reached it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    pub(crate) received_count: u64,
    /// Extended sequence numbers.
    first: Option<u64>,
    last: u64,
    latencies_us: Vec<u32>,
}

impl Meter {
    pub(crate) fn count(&mut self, sequence: u64, latency: Duration) {
        self.received_count += 1;
        let first = self.first.get_or_insert(sequence);
        *first = sequence.min(*first);
        self.last = self.last.max(sequence);
        self.latencies_us.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    fn expected_count(&self) -> u64 {
        self.first.map_or(0, |first| self.last - first + 1)
    }
}

/// All subscribers together, with the CPU time that their packets cost.
pub(crate) fn outcome(
    meters: &[Meter],
    cpu: Duration,
    join_cpu: Duration,
    memory_kb: u64,
) -> Outcome {
    let received_count: u64 = meters.iter().map(|meter| meter.received_count).sum();
    let expected_count: u64 = meters.iter().map(Meter::expected_count).sum();
    let mut latencies: Vec<u32> =
        meters.iter().flat_map(|meter| &meter.latencies_us).copied().collect();
    latencies.sort_unstable();
    let percentile = |percent: usize| {
        let at = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies.get(at).map_or(0.0, |us| f64::from(*us) / 1000.0)
    };
    let peers = meters.len() as f64;
    Outcome {
        received_count,
        cpu_s_per_million: cpu.as_secs_f64() * 1e6 / received_count.max(1) as f64,
        loss_percent: 100.0 * (1.0 - received_count as f64 / expected_count.max(1) as f64),
        latency_p50_ms: percentile(50),
        latency_p99_ms: percentile(99),
        join_cpu_ms: join_cpu.as_secs_f64() * 1000.0 / peers,
        memory_kb_per_peer: memory_kb / meters.len().max(1) as u64,
    }
}
