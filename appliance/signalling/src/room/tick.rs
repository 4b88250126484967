//! What happens by the passing of time.

use belfry_media_api::ConnectionQuality;
use belfry_model::{ParticipantSid, Timestamp, TrackSid, limits};
use livekit_protocol as proto;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_response::Message;

use super::Room;
use super::participant::Participant;
use super::publish::MATCH_AFTER_MS;
use super::types::{Effect, LeaveReason};
use crate::token;

/// How often connection qualities are told.
pub(super) const QUALITY_EVERY_MS: i64 = 5_000;
/// How often connected participants get a fresh token.
const REFRESH_EVERY_MS: i64 = limits::TOKEN_VALID_MS / 2;
/// A socket on which nothing comes for this long is taken for gone. Hidden browser tabs run their
/// timers once a minute.
const SILENCE_MAX_MS: i64 = 75_000;
/// How long media may take to connect, and how long it may be lost while the socket is well.
const MEDIA_WAIT_MAX_MS: i64 = 60_000;

impl Room {
    /// When [`Room::tick`] has something to do next.
    pub fn deadline(&self) -> Option<Timestamp> {
        let participants = self
            .participants
            .values()
            .flat_map(|participant| participant_deadlines(participant).into_iter().flatten());
        let tracks = self.tracks.values().filter_map(|track| track.lower_due);
        let quality = self.participants.values().any(|participant| participant.quality_changed);
        let departed = self.departed.iter().map(|departed| departed.at);
        participants
            .chain(tracks)
            .chain(quality.then_some(self.quality_due))
            .chain(departed.map(|at| at.plus_ms(limits::PARTICIPANT_RESUME_MS)))
            .min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Timestamp) {
        self.departed.retain(|gone| now.since_ms(gone.at) < limits::PARTICIPANT_RESUME_MS);
        let everybody: Vec<_> = self.participants.keys().cloned().collect();
        for sid in everybody {
            self.tick_participant(&sid, now);
        }
        let lower = self.tracks.iter().filter(|(_, track)| due(track.lower_due, now));
        let lower: Vec<(TrackSid, [bool; 3])> =
            lower.map(|(sid, track)| (sid.clone(), track.wanted)).collect();
        for (track, wanted) in lower {
            self.tell_wanted(&track, wanted);
            if let Some(track) = self.tracks.get_mut(&track) {
                track.lower_due = None;
            }
        }
        if now >= self.quality_due {
            self.tell_qualities();
            self.quality_due = now.plus_ms(QUALITY_EVERY_MS);
        }
    }

    fn tick_participant(&mut self, sid: &ParticipantSid, now: Timestamp) {
        let participant = &self.participants[sid];
        let [resume, silence, media, refresh, matching] = participant_deadlines(participant);
        if due(resume, now) {
            self.leave(sid, LeaveReason::SignalClosed, now);
        } else if due(silence, now) {
            let socket = participant.socket.expect("only a socket can be silent");
            self.effects.push_back(Effect::Close { socket });
            self.socket_closed(socket, now);
        } else if due(media, now) {
            self.leave(sid, LeaveReason::MediaFailure, now);
        } else {
            if due(refresh, now) {
                self.refresh(sid, now);
            }
            if due(matching, now) {
                self.match_sections(sid, now);
            }
        }
    }

    /// A fresh token, so that a client that has to come back can.
    pub(super) fn refresh(&mut self, sid: &ParticipantSid, now: Timestamp) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        participant.refreshed_at = now;
        let token = token::mint(&self.config.signer, &participant.grants, now);
        self.send(sid, Message::RefreshToken(token));
    }

    /// Each hears of itself and of those from whom it receives something.
    fn tell_qualities(&mut self) {
        let mut changed = Vec::new();
        for participant in self.participants.values_mut() {
            if std::mem::take(&mut participant.quality_changed) {
                changed.push((participant.sid.clone(), participant.quality));
            }
        }
        let everybody: Vec<_> = self.participants.keys().cloned().collect();
        for listener in everybody {
            let of_interest =
                changed.iter().filter(|(sid, _)| *sid == listener || self.receives(&listener, sid));
            let updates: Vec<_> = of_interest
                .map(|(sid, quality)| proto::ConnectionQualityInfo {
                    participant_sid: sid.to_string(),
                    quality: on_wire(*quality, *sid == listener).into(),
                    score: score(*quality),
                })
                .collect();
            if !updates.is_empty() {
                let update = proto::ConnectionQualityUpdate { updates };
                self.send(&listener, Message::ConnectionQuality(update));
            }
        }
    }

    fn receives(&self, listener: &ParticipantSid, publisher: &ParticipantSid) -> bool {
        let tracks = self.tracks.values();
        tracks
            .filter(|track| track.publisher == *publisher)
            .any(|track| track.subscribers.contains(listener))
    }
}

/// End of resume, end of patience with the socket, with media, token, matching of sections.
fn participant_deadlines(participant: &Participant) -> [Option<Timestamp>; 5] {
    let here = participant.socket.is_some();
    let resume = participant.disconnected_at.map(|at| at.plus_ms(limits::PARTICIPANT_RESUME_MS));
    let silence = here.then(|| participant.heard_at.plus_ms(SILENCE_MAX_MS));
    let waiting = participant.state != State::Active;
    let media = participant.lost_at.or(waiting.then_some(participant.joined_at));
    let media = media.filter(|_| here).map(|at| at.plus_ms(MEDIA_WAIT_MAX_MS));
    let refresh = here.then(|| participant.refreshed_at.plus_ms(REFRESH_EVERY_MS));
    [resume, silence, media, refresh, matching_deadline(participant)]
}

fn matching_deadline(participant: &Participant) -> Option<Timestamp> {
    let pairs = participant.pending.iter().flat_map(|pending| {
        let kind = crate::wire::kind(pending.source);
        let fitting = participant.loose.iter().filter(move |loose| loose.section.kind == kind);
        fitting.map(|loose| loose.at.max(pending.at).plus_ms(MATCH_AFTER_MS))
    });
    pairs.min()
}

fn due(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_some_and(|at| at <= now)
}

/// A browser that reads LOST of itself for ten seconds starts anew, so it never does.
fn on_wire(quality: ConnectionQuality, own: bool) -> proto::ConnectionQuality {
    match quality {
        ConnectionQuality::Lost if own => proto::ConnectionQuality::Poor,
        ConnectionQuality::Lost => proto::ConnectionQuality::Lost,
        ConnectionQuality::Poor => proto::ConnectionQuality::Poor,
        ConnectionQuality::Good => proto::ConnectionQuality::Good,
        ConnectionQuality::Excellent => proto::ConnectionQuality::Excellent,
    }
}

/// Roughly a mean opinion score, 1 to 5.
fn score(quality: ConnectionQuality) -> f32 {
    match quality {
        ConnectionQuality::Lost => 1.0,
        ConnectionQuality::Poor => 2.0,
        ConnectionQuality::Good => 3.5,
        ConnectionQuality::Excellent => 4.5,
    }
}
