//! The hub and its lesson: what the rules want done.

use std::sync::Arc;

use belfry_classroom::{Audience, ChatTo, Effect, Event, Grants, Message, Notice, Source, record};
use belfry_model::{Identity, LessonRole, Timestamp};
use belfry_signalling::{Permissions, RoomControl, SourceKey};

use super::Hub;
use crate::class::{ClassEvent, Farewell};

impl Hub {
    /// An event that nobody waits for an answer to.
    pub(super) fn lesson_event(&mut self, event: Event, now: Timestamp) {
        // Refused: the lesson has ended meanwhile, or somebody is gone.
        if let Ok(effects) = self.lesson.apply(event, now) {
            self.carry_out(effects, now);
        }
    }

    pub(super) fn carry_out(&mut self, effects: Vec<Effect>, now: Timestamp) {
        for effect in effects {
            self.lesson_effect(effect, now);
        }
    }

    fn lesson_effect(&mut self, effect: Effect, now: Timestamp) {
        match effect {
            Effect::Send { to, notice } => self.send(&to, notice),
            Effect::Admitted { identity } => {
                self.stand(&identity, |you, media| ClassEvent::Admitted { you, media }, now);
                self.record(record::token_minted(self.of.id, &identity), now);
            }
            Effect::RoleChanged { identity } => self.role_changed(&identity, now),
            Effect::Close { identity, bye } => {
                self.clients.close(&identity, bye.map(Farewell::Lesson));
                self.clients.forget(&identity);
            }
            Effect::SetGrants { identity, grants } => {
                let permissions = permissions(grants);
                self.room.control(RoomControl::SetPermissions { identity, permissions }, now);
            }
            Effect::MuteSource { identity, source } => self.mute(&identity, source, now),
            Effect::RemoveFromMedia { identity } => {
                self.room.control(RoomControl::Remove { identity }, now);
            }
            Effect::EndMedia => self.room.control(RoomControl::End, now),
            Effect::Audit(record) => self.record(record::event(self.of.id, record), now),
            Effect::Persist => self.keeper.changed(now),
            Effect::PersistMessage(message) => self.chat(message, now),
            Effect::PersistDeletion(message) => self.keeper.deletion(message, now),
        }
    }

    fn send(&mut self, to: &Audience, notice: Notice) {
        let link = match &notice {
            Notice::Link { identity, link } => Some((identity.clone(), *link)),
            _ => None,
        };
        let event = Arc::new(ClassEvent::Notice(notice));
        for identity in self.clients.identities() {
            let role = self.lesson.role(&identity);
            let leads = role.is_some_and(LessonRole::leads);
            let hears = match to {
                Audience::One(one) => *one == identity,
                Audience::Leads => leads,
                Audience::Led => role.is_some() && !leads,
                Audience::Admitted => role.is_some(),
                Audience::All => true,
            };
            match &link {
                _ if !hears => {}
                Some((of, link)) => self.show_link(&identity, of, *link),
                None => self.clients.event(&identity, &event),
            }
        }
    }

    fn role_changed(&mut self, identity: &Identity, now: Timestamp) {
        if let Some(role) = self.lesson.role(identity) {
            self.room.control(RoomControl::SetRole { identity: identity.clone(), role }, now);
        }
        self.stand(identity, |you, media| ClassEvent::Role { you, media }, now);
    }

    fn mute(&mut self, identity: &Identity, source: Source, now: Timestamp) {
        for source in media_sources(source) {
            let identity = identity.clone();
            self.room.control(RoomControl::Mute { identity, source: (*source).into() }, now);
        }
    }

    /// Keeps a message, and shows it to those who have the media socket only.
    fn chat(&mut self, message: Message, now: Timestamp) {
        self.keeper.message(&message, now);
        let to = match message.to {
            ChatTo::Everyone => None,
            ChatTo::Teachers => Some(self.lesson.leads()),
        };
        let Message { from, text, at, .. } = message;
        self.room.control(RoomControl::Chat { from, text, at, to }, now);
    }

    pub(super) fn record(
        &self,
        (actor, detail): (belfry_audit::Actor, belfry_audit::Detail),
        now: Timestamp,
    ) {
        let scope = belfry_audit::Scope::school(self.of.district.0, self.of.school.0);
        self.shared.ledger.enqueue(belfry_audit::Event { at_ms: now.0, scope, actor, detail });
    }
}

pub(super) fn permissions(grants: Grants) -> Permissions {
    let allowed = |source: &Source| match source {
        Source::Microphone => grants.microphone,
        Source::Camera => grants.camera,
        Source::ScreenShare => grants.screen_share,
    };
    let sources = Source::ALL.iter().filter(|source| allowed(source));
    let sources = sources.flat_map(|source| media_sources(*source)).copied().collect();
    Permissions { sources, ..Permissions::all() }
}

fn media_sources(source: Source) -> &'static [SourceKey] {
    match source {
        Source::Microphone => &[SourceKey::Microphone],
        Source::Camera => &[SourceKey::Camera],
        Source::ScreenShare => &[SourceKey::ScreenShare, SourceKey::ScreenShareAudio],
    }
}
