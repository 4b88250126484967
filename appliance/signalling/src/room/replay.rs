//! Reliable data of the last seconds, for clients whose sockets broke.
//!
//! On a resume a client says, for each publisher that it heard lately, the last sequence number that
//! it has. What it lacks is sent again; what it has after all it drops by that number.

use std::collections::{BTreeMap, VecDeque};

use belfry_media_api::{Command, DataKind};
use belfry_model::{ParticipantSid, Timestamp};
use livekit_protocol as proto;

use super::Room;
use super::participant::Participant;

/// Clients forget after 30 s what they have received of a publisher, and would take an older message
/// for a new one. Shorter than that by more than a message is on its way.
const AGE_MS_MAX: i64 = 25_000;
/// All messages of one room.
const BYTES_MAX: usize = 1024 * 1024;
const MESSAGES_MAX: usize = 2_000;
/// Publishers that a client names in one message.
const PUBLISHERS_MAX: usize = 1_000;
/// Clients of this protocol drop what they have by its number, whatever they say about themselves.
const PROTOCOL_NUMBERS: i32 = 17;

/// One reliable message as it was passed on.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) at: Timestamp,
    pub(super) from: ParticipantSid,
    /// Never 0: what is not numbered cannot be told from its repetition.
    pub(super) sequence: u32,
    /// `None`: everybody who was there.
    pub(super) to: Option<Vec<ParticipantSid>>,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Replay {
    said: VecDeque<Said>,
    bytes: usize,
}

impl Replay {
    pub(super) fn keep(&mut self, said: Said) {
        let now = said.at;
        self.bytes += said.bytes.len();
        self.said.push_back(said);
        while self.said.front().is_some_and(|oldest| {
            now.since_ms(oldest.at) > AGE_MS_MAX
                || self.bytes > BYTES_MAX
                || self.said.len() > MESSAGES_MAX
        }) {
            let oldest = self.said.pop_front().expect("it was there above");
            self.bytes -= oldest.bytes.len();
        }
    }

    /// What `participant` lacks, oldest first.
    fn missed<'a>(
        &'a self,
        participant: &'a Participant,
        has: &'a BTreeMap<&str, u32>,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Said> {
        self.said.iter().filter(move |said| {
            let reached = match &said.to {
                Some(to) => to.contains(&participant.sid),
                None => said.from != participant.sid && participant.joined_at <= said.at,
            };
            reached
                && now.since_ms(said.at) <= AGE_MS_MAX
                && has.get(said.from.as_str()).is_none_or(|last| said.sequence > *last)
        })
    }
}

impl Room {
    /// Sends again what a client lacks; once for each resume.
    pub(super) fn replay(
        &mut self,
        sid: &ParticipantSid,
        has: &[proto::DataChannelReceiveState],
        now: Timestamp,
    ) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let due = std::mem::take(&mut participant.replay_due);
        // A client that knows nothing of numbers would show everything twice.
        let numbers = !has.is_empty()
            || participant.last_sequence > 0
            || participant.protocol >= PROTOCOL_NUMBERS;
        if !due || !numbers {
            return;
        }
        let has = has.iter().take(PUBLISHERS_MAX);
        let has = has.map(|state| (state.publisher_sid.as_str(), state.last_seq)).collect();
        let missed = self.replay.missed(&self.participants[sid], &has, now);
        let missed: Vec<_> = missed.map(|said| said.bytes.clone()).collect();
        for bytes in missed {
            self.command(Command::SendData {
                to: vec![sid.clone()],
                kind: DataKind::Reliable,
                bytes,
            });
        }
    }
}
