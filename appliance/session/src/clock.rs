//! The one place of this crate that reads the clock; everything below is told the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use belfry_model::Timestamp;

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Sleeps until `at`. The wall clock may be set meanwhile, so whoever waits looks again at least
/// once a minute.
pub(crate) async fn until(at: Timestamp) {
    let ms = at.since_ms(now()).clamp(0, 60_000);
    tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await;
}
