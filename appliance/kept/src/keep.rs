//! Writes what changed in a lesson, off the hub's path.

use std::time::Duration;

use belfry_classroom::{Message, MessageId, Snapshot};
use belfry_model::{LessonId, Timestamp};
use belfry_store::{ChatMessage, LessonChanges, Store};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Changes within this time of a write are written together; the first after a quiet time at once.
const COALESCE_MS: i64 = 100;
/// How long to wait before trying a failed write again.
const RETRY: Duration = Duration::from_secs(2);
/// How often the last write of a lesson is tried.
const LAST_TRIES_MAX: u32 = 5;
/// Batches that wait for the writer; while it is full, changes gather in the hub.
const QUEUE_MAX: usize = 4;

/// The changes that are not written yet.
#[derive(Debug)]
pub struct Keeper {
    dirty: bool,
    due: Option<Timestamp>,
    handed_over: Timestamp,
    changes: LessonChanges,
    writer: mpsc::Sender<LessonChanges>,
}

impl Keeper {
    /// The task ends when everything is written that a keeper, gone by now, has handed over.
    pub fn start(
        store: Store,
        lesson: LessonId,
        clock: fn() -> Timestamp,
    ) -> (Self, JoinHandle<()>) {
        let (writer, batches) = mpsc::channel(QUEUE_MAX);
        let task = tokio::spawn(write(store, lesson, clock, batches));
        let keeper = Self {
            dirty: false,
            due: None,
            handed_over: Timestamp::default(),
            changes: LessonChanges::default(),
            writer,
        };
        (keeper, task)
    }

    /// The snapshot is not what it was.
    pub fn changed(&mut self, now: Timestamp) {
        self.dirty = true;
        self.due.get_or_insert(now.max(self.handed_over.plus_ms(COALESCE_MS)));
    }

    /// A chat message is to be kept.
    pub fn message(&mut self, message: &Message, now: Timestamp) {
        self.changes.messages.push(ChatMessage {
            number: message.id.0,
            identity: message.from.clone(),
            name: message.name.clone(),
            text: message.text.clone(),
            sent_to: message.to.as_str(),
            sent_at: message.at,
        });
        self.changed(now);
    }

    /// A chat message was deleted.
    pub fn deletion(&mut self, message: MessageId, now: Timestamp) {
        self.changes.deleted.push(message.0);
        self.changed(now);
    }

    /// When [`Keeper::hand_over`] is due.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.due
    }

    /// Hands what has gathered to the writer, if it is time and the writer keeps up.
    pub fn hand_over(&mut self, now: Timestamp, snapshot: impl FnOnce() -> Snapshot) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = Some(now.plus_ms(COALESCE_MS));
        if let Ok(place) = self.writer.try_reserve() {
            let mut batch = std::mem::take(&mut self.changes);
            batch.snapshot = self.dirty.then(|| encode(&snapshot()));
            (self.dirty, self.due, self.handed_over) = (false, None, now);
            place.send(batch);
        }
    }

    /// Hands over everything that is left.
    pub async fn finish(self, snapshot: &Snapshot, ended: bool) {
        let Self { changes, writer, .. } = self;
        let batch = LessonChanges { snapshot: Some(encode(snapshot)), ended, ..changes };
        let _ = writer.send(batch).await;
    }
}

fn encode(snapshot: &Snapshot) -> String {
    serde_json::to_string(snapshot).expect("a snapshot holds only what JSON can")
}

async fn write(
    store: Store,
    lesson: LessonId,
    clock: fn() -> Timestamp,
    mut batches: mpsc::Receiver<LessonChanges>,
) {
    let mut tries_left = LAST_TRIES_MAX;
    while let Some(batch) = batches.recv().await {
        while let Err(error) = store.keep_lesson(lesson, batch.clone(), clock()).await {
            let last = batches.is_closed();
            tracing::warn!(%lesson, %error, last, "a lesson's state could not be written");
            if last {
                tries_left -= 1;
                if tries_left == 0 {
                    return;
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}
