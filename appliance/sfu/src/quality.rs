//! How good a participant's connection is, in the three words that clients show.

use std::time::Duration;

use belfry_media_api::ConnectionQuality;

/// How often it is judged.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// What was measured since the last judgement, the worse of both directions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// 0 to 1.
    pub(crate) loss: f64,
    pub(crate) jitter: Duration,
    pub(crate) rtt: Duration,
}

/// Loss counts most; jitter and delay as a loss that would disturb as much. Never `Lost`: whoever
/// is measured is there.
pub(crate) fn judge(measured: &Measured) -> ConnectionQuality {
    let excess = |time: Duration, free_ms: f64, full_ms: f64| {
        ((time.as_secs_f64() * 1_000.0 - free_ms) / full_ms).max(0.0)
    };
    let trouble = measured.loss
        + 0.05 * excess(measured.jitter, 30.0, 70.0)
        + 0.05 * excess(measured.rtt, 150.0, 350.0);
    match trouble {
        trouble if trouble < 0.02 => ConnectionQuality::Excellent,
        trouble if trouble < 0.06 => ConnectionQuality::Good,
        _ => ConnectionQuality::Poor,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use belfry_media_api::ConnectionQuality::{Excellent, Good, Poor};

    use super::{Measured, judge};

    #[test]
    fn loss_jitter_and_delay_each_make_a_connection_worse() {
        let check = |loss, jitter_ms, rtt_ms, quality| {
            let measured = Measured {
                loss,
                jitter: Duration::from_millis(jitter_ms),
                rtt: Duration::from_millis(rtt_ms),
            };
            assert_eq!(judge(&measured), quality, "{measured:?}");
        };
        check(0.0, 5, 20, Excellent);
        check(0.01, 30, 150, Excellent);
        check(0.04, 5, 20, Good);
        check(0.0, 80, 20, Good);
        check(0.0, 5, 400, Good);
        check(0.07, 5, 20, Poor);
        check(0.0, 5, 900, Poor);
        check(0.03, 60, 300, Poor);
    }
}
