//! Tells systemd, where it runs us, that we are ready, alive, and stopping.

use std::time::Duration;

use systemd::daemon::{STATE_READY, STATE_STOPPING, STATE_WATCHDOG, notify, watchdog_enabled};

/// Without systemd there is nobody to tell, which is no error.
fn tell(state: &'static str) {
    let _ = notify([(state, "1")].iter());
}

pub(crate) fn ready() {
    tell(STATE_READY);
}

pub(crate) fn stopping() {
    tell(STATE_STOPPING);
}

/// Signs of life at half the time that systemd waits for one.
pub(crate) async fn watchdog() {
    let Ok(micros) = watchdog_enabled() else { return };
    if micros == 0 {
        return;
    }
    let mut ticks = tokio::time::interval(Duration::from_micros(micros / 2));
    loop {
        ticks.tick().await;
        tell(STATE_WATCHDOG);
    }
}
