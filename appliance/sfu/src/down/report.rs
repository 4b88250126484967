//! The time line of what is sent, and sender reports.

use std::time::{Duration, Instant};

use super::Down;
use crate::layer::Layer;
use crate::rtp::rtcp::Writer;
use crate::rtp::stats::SenderReport;

/// Sender reports whose echo is awaited.
pub(super) const REPORTS_KEPT: usize = 4;

impl Down {
    /// What has to be added to the timestamps of `layer` to stay on the time line of what is sent
    /// now, by the sender reports of both.
    pub(super) fn same_time(&self, layer: usize, layers: &[Layer]) -> Option<u32> {
        let report = |layer: usize| layers.get(layer)?.stats.last_sender_report();
        let (old, new) = (report(self.munger.layer()?)?, report(layer)?);
        let ticks = ntp_seconds(new.ntp, old.ntp) * f64::from(self.clock_hz);
        let old_timestamp = old.timestamp.wrapping_add((ticks as i64) as u32);
        Some(
            self.munger.timestamp_offset()?.wrapping_add(old_timestamp).wrapping_sub(new.timestamp),
        )
    }

    /// Writes a sender report: the publisher's own wall clock, so that audio and video of one
    /// publisher stay in step.
    pub(crate) fn report(&mut self, layers: &[Layer], now: Instant, writer: &mut Writer) {
        let Some(current) = self.current else { return };
        let source = layers.get(current).and_then(|layer| layer.stats.last_sender_report());
        let Some((SenderReport { ntp, timestamp, arrival }, offset)) =
            source.zip(self.munger.timestamp_offset())
        else {
            return;
        };
        let elapsed = now.duration_since(arrival).as_secs_f64();
        let ntp = ntp.wrapping_add((elapsed * 4_294_967_296.0) as u64);
        let ticks = (elapsed * f64::from(self.clock_hz)) as u32;
        let timestamp = timestamp.wrapping_add(ticks).wrapping_add(offset);
        writer.sender_report(self.ssrc, ntp, timestamp, self.packets, self.bytes);
        if self.reports.len() == REPORTS_KEPT {
            self.reports.pop_front();
        }
        self.reports.push_back(((ntp >> 16) as u32, now));
    }

    /// The subscriber reported on this SSRC: the round trip, if it names one of our reports.
    pub(crate) fn reported(&mut self, last_sr: u32, delay: u32, now: Instant) -> Option<Duration> {
        self.confirmed = true;
        let (_, left) = self.reports.iter().find(|(ntp, _)| *ntp == last_sr && last_sr != 0)?;
        let delay = Duration::from_secs_f64(f64::from(delay) / 65_536.0);
        now.duration_since(*left).checked_sub(delay)
    }
}

/// `a - b` of two 64-bit NTP times, in seconds.
fn ntp_seconds(a: u64, b: u64) -> f64 {
    a.wrapping_sub(b).cast_signed() as f64 / 4_294_967_296.0
}
