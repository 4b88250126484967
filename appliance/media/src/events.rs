//! Events on their way to the parent. Shards must not wait for it, so the queue has an end: a
//! parent that does not read for so long has lost us, and the process starts anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use belfry_media_api::{Event, encode};

/// Events that wait.
const EVENTS_MAX: usize = 16 * 1024;
/// Bytes that wait; data messages are the large ones.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// The shards' end.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    frames: SyncSender<Vec<u8>>,
    state: Arc<State>,
}

/// The writing thread's end.
#[derive(Debug)]
pub(crate) struct Queued {
    frames: Receiver<Vec<u8>>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: AtomicUsize,
    overrun: AtomicBool,
}

pub(crate) fn queue() -> (Queue, Queued) {
    let (sender, receiver) = sync_channel(EVENTS_MAX);
    let state = Arc::new(State::default());
    (Queue { frames: sender, state: Arc::clone(&state) }, Queued { frames: receiver, state })
}

impl Queue {
    /// Never waits. What does not fit is lost, and [`Queue::is_overrun`] says so from then on.
    pub(crate) fn push(&self, event: &Event) {
        if let Event::Downlink { participant, downlink } = event {
            let (estimate_bps, sent_bps) = (downlink.estimate_bps, downlink.sent_bps);
            tracing::debug!(target: "belfry_media::downlink", %participant, estimate_bps, sent_bps);
        }
        let frame = encode(event);
        let length = frame.len();
        let waiting = self.state.bytes.fetch_add(length, Ordering::Relaxed);
        if waiting + length > BYTES_MAX || self.frames.try_send(frame).is_err() {
            self.state.bytes.fetch_sub(length, Ordering::Relaxed);
            self.state.overrun.store(true, Ordering::Relaxed);
        }
    }

    /// An event was lost: the parent's picture is not ours any more.
    pub(crate) fn is_overrun(&self) -> bool {
        self.state.overrun.load(Ordering::Relaxed)
    }
}

impl Queued {
    /// Waits for the next frame; `None` when no shard is left.
    pub(crate) fn pop(&self) -> Option<Vec<u8>> {
        let frame = self.frames.recv().ok()?;
        self.state.bytes.fetch_sub(frame.len(), Ordering::Relaxed);
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use belfry_media_api::{DataKind, Event};
    use belfry_model::{ParticipantSid, RoomSid};

    use super::{BYTES_MAX, EVENTS_MAX, queue};

    #[test]
    fn an_event_beyond_the_count_is_lost_and_said_to_be() {
        let (queue, queued) = queue();
        let event = Event::RoomFailed { room: RoomSid::new("RM_1") };
        for _ in 0..EVENTS_MAX {
            queue.push(&event);
        }
        assert!(!queue.is_overrun());
        assert!(queued.pop().is_some());
        queue.push(&event);
        assert!(!queue.is_overrun());
        queue.push(&event);
        assert!(queue.is_overrun());
    }

    #[test]
    fn so_is_one_beyond_the_bytes() {
        let (queue, queued) = queue();
        let message = |length| Event::Data {
            participant: ParticipantSid::new("PA_1"),
            kind: DataKind::Reliable,
            bytes: vec![0; length],
        };
        let half = message(BYTES_MAX / 2);
        queue.push(&half);
        queue.push(&message(1));
        assert!(!queue.is_overrun());
        assert!(queued.pop().is_some(), "what is taken makes room");
        queue.push(&message(BYTES_MAX / 4));
        assert!(!queue.is_overrun());
        queue.push(&half);
        queue.push(&half);
        assert!(queue.is_overrun());
    }
}
