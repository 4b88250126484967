//! The hub and its signalling room.

use std::sync::Arc;

use belfry_classroom::{Carried, Cause, ChatTo, Command, Event, Link, Quality, record};
use belfry_media_api::{self as media, ConnectionQuality};
use belfry_model::{Identity, ParticipantSid, Pii, Timestamp};
use belfry_signalling::policy::Rule;
use belfry_signalling::{self as signalling, Join, SocketId, query, token};
use tokio::sync::mpsc;

use super::lesson::permissions;
use super::{Hub, TOKEN_REFRESH_MS};
use crate::class::ClassEvent;
use crate::links::{LinkEvent, LinkReport};
use crate::signal::{self, SignalOut, SignalRefusal, SignalSocket};

/// The same trick of the same participant is recorded once in this time.
const REFUSED_AGAIN_MS: i64 = 60_000;

impl Hub {
    pub(super) fn signal_opened(
        &mut self,
        identity: &Identity,
        query: query::Query,
        now: Timestamp,
    ) -> Result<SignalSocket, SignalRefusal> {
        let grants = self.may_signal(identity)?;
        self.socket_last += 1;
        let socket = SocketId(self.socket_last);
        let (sender, outgoing) = mpsc::channel(signal::QUEUE_MAX);
        self.signals.insert(socket, sender);
        self.room.join(Join { socket, grants, query }, now).map_err(SignalRefusal::Room)?;
        Ok(SignalSocket { hub: self.inputs.clone(), socket, outgoing })
    }

    /// The token says who; what they may do is what the lesson says now.
    pub(super) fn may_signal(&self, identity: &Identity) -> Result<token::Grants, SignalRefusal> {
        let grants = self.grants(identity).ok_or(SignalRefusal::NotAdmitted)?;
        self.room.check(&grants).map_err(SignalRefusal::Room)?;
        Ok(grants)
    }

    fn grants(&self, identity: &Identity) -> Option<token::Grants> {
        let grants = self.lesson.grants(identity)?;
        let role = self.lesson.role(identity)?;
        let name = self.lesson.name_of(identity)?.reveal();
        let room = self.of.id.to_string();
        let permissions = permissions(grants);
        Some(token::Grants {
            permissions,
            ..token::Grants::new(identity.clone(), name, &room, role)
        })
    }

    pub(super) fn token(&self, identity: &Identity, now: Timestamp) -> Option<Pii<String>> {
        let grants = self.grants(identity)?;
        Some(Pii::new(token::mint(&self.shared.signer, &grants, now)))
    }

    pub(super) fn refresh_tokens(&mut self, now: Timestamp) {
        self.tokens_due = now.plus_ms(TOKEN_REFRESH_MS);
        self.refused.retain(|_, at| at.plus_ms(REFUSED_AGAIN_MS) > now);
        for identity in self.clients.identities() {
            if let Some(token) = self.token(&identity, now) {
                self.clients.event(&identity, &Arc::new(ClassEvent::Token(token)));
            }
        }
    }

    pub(super) fn room_effect(&mut self, effect: signalling::Effect, now: Timestamp) {
        match effect {
            signalling::Effect::Send { socket, frame } => {
                self.signal(socket, SignalOut::Frame(frame));
            }
            signalling::Effect::Close { socket } => {
                self.signal(socket, SignalOut::Close);
                self.signals.remove(&socket);
            }
            signalling::Effect::Media(command) => self.shared.command(self.of.id, command),
            signalling::Effect::Notice(notice) => self.room_notice(notice, now),
        }
    }

    /// A socket that does not keep up is closed: dropping its queue ends it, and it says so.
    fn signal(&mut self, socket: SocketId, out: SignalOut) {
        let full = self.signals.get(&socket).is_some_and(|sender| sender.try_send(out).is_err());
        if full {
            self.signals.remove(&socket);
        }
    }

    fn room_notice(&mut self, notice: signalling::Notice, now: Timestamp) {
        use signalling::Notice;
        match notice {
            Notice::Joined { identity, .. } => {
                self.lesson_event(Event::Media { identity, connected: true }, now);
            }
            Notice::Left { identity, participant, .. } => {
                self.report(&identity, participant, LinkEvent::Left, now);
                self.lesson_event(Event::Media { identity, connected: false }, now);
            }
            Notice::Disconnected { identity, participant } => {
                self.report(&identity, participant, LinkEvent::Broken, now);
            }
            Notice::Resumed { identity, participant } => {
                self.report(&identity, participant, LinkEvent::Resumed, now);
            }
            Notice::Downlink { identity, participant, downlink } => {
                self.report(&identity, participant, LinkEvent::Downlink(downlink), now);
                let link = link(downlink);
                self.lesson_event(Event::Link { identity, link }, now);
            }
            Notice::Path { identity, participant, role, path, address } => {
                let event = LinkEvent::Path { role, path, address };
                self.report(&identity, participant, event, now);
            }
            Notice::Quality { identity, quality, loss_percent, .. } => {
                let quality = quality_word(quality);
                self.lesson_event(Event::Quality { identity, quality, loss_percent }, now);
            }
            Notice::Chat { identity, text, to } => {
                let command = Command::Chat { text, to: chat_to(to) };
                self.lesson_event(Event::Command { by: identity, command }, now);
            }
            Notice::Refused { identity, rule } => self.rule_refused(identity, rule, now),
            // Tracks are the room's own matter.
            Notice::Active { .. }
            | Notice::TrackPublished { .. }
            | Notice::TrackUnpublished { .. }
            | Notice::TrackMuted { .. }
            | Notice::Speakers { .. } => {}
        }
    }

    /// Never waits: whoever reads the reports may be slow, a lesson is not.
    fn report(&self, of: &Identity, sid: ParticipantSid, event: LinkEvent, at: Timestamp) {
        let Some(links) = &self.shared.links else { return };
        let report = LinkReport { lesson: self.of.id, identity: of.clone(), sid, at, event };
        if links.try_send(report).is_err() {
            tracing::debug!(lesson = %self.of.id, "a report on a link is lost");
        }
    }

    fn rule_refused(&mut self, identity: Identity, rule: Rule, now: Timestamp) {
        let last = self.refused.get(&(identity.clone(), rule));
        if last.is_none_or(|at| at.plus_ms(REFUSED_AGAIN_MS) <= now) {
            self.record(record::rule_refused(self.of.id, &identity, rule), now);
            self.refused.insert((identity, rule), now);
        }
    }
}

fn quality_word(quality: ConnectionQuality) -> Quality {
    match quality {
        ConnectionQuality::Poor => Quality::Poor,
        ConnectionQuality::Good => Quality::Good,
        ConnectionQuality::Excellent => Quality::Excellent,
        ConnectionQuality::Lost => Quality::Lost,
    }
}

fn chat_to(to: signalling::ChatTo) -> ChatTo {
    match to {
        signalling::ChatTo::Everyone => ChatTo::Everyone,
        signalling::ChatTo::Leads => ChatTo::Teachers,
    }
}

fn link(downlink: media::Downlink) -> Link {
    let carried = match downlink.carried {
        media::Carried::All => Carried::All,
        media::Carried::Softer => Carried::Softer,
        media::Carried::FewerPictures => Carried::FewerPictures,
        media::Carried::TeacherPicture => Carried::TeacherPicture,
        media::Carried::Voices => Carried::Voices,
        media::Carried::TeacherVoice => Carried::TeacherVoice,
    };
    let cause = match downlink.cause {
        media::Cause::None => Cause::None,
        media::Cause::Loss => Cause::Loss,
        media::Cause::Bandwidth => Cause::Bandwidth,
    };
    Link { carried, cause, loss_percent: downlink.loss_percent }
}
