//! The hub and its class sockets.

use std::sync::Arc;

use belfry_classroom::{Arrival, Command, Event, Link, Refusal, Standing, You, record};
use belfry_model::{Identity, Timestamp};

use super::Hub;
use crate::class::{ClassEvent, ClassSocket, Farewell, Media, Outgoing, Resume};

impl Hub {
    pub(super) fn class_opened(
        &mut self,
        arrival: Arrival,
        resume: Option<&Resume>,
        now: Timestamp,
    ) -> Result<ClassSocket, Refusal> {
        let identity = arrival.identity.clone();
        let policy = self.shared.policy();
        if arrival.standing == Standing::Guest
            && !policy.guest_links
            && self.lesson.role(&identity).is_none()
        {
            return Err(Refusal::GuestLinksOff);
        }
        let stayed = self.lesson.role(&identity).is_some();
        let effects = self.lesson.apply(Event::Arrive(arrival), now)?;
        if !stayed {
            // A new presence: what an earlier one was told is of no use to it.
            self.clients.close(&identity, Some(Farewell::Elsewhere));
            self.clients.forget(&identity);
        }
        self.clients.expect(&identity);
        self.carry_out(effects, now);
        self.socket_last += 1;
        let socket = self.socket_last;
        let (outgoing, resumed) = self.clients.open(&identity, socket, resume);
        if resumed {
            self.show_links(&identity);
        } else {
            let minted = self.welcome(&identity, now);
            if minted && !stayed {
                self.record(record::token_minted(self.of.id, &identity), now);
            }
        }
        Ok(ClassSocket { hub: self.inputs.clone(), identity, socket, outgoing })
    }

    pub(super) fn class_command(
        &mut self,
        identity: &Identity,
        socket: u64,
        id: u64,
        command: Command,
        now: Timestamp,
    ) {
        if !self.clients.is_open(identity, socket) {
            return;
        }
        match self.lesson.apply(Event::Command { by: identity.clone(), command }, now) {
            Ok(effects) => {
                self.clients.put(identity, Outgoing::Done { id });
                self.carry_out(effects, now);
            }
            Err(refusal) => self.clients.put(identity, Outgoing::Refused { id, refusal }),
        }
    }

    pub(super) fn class_closed(&mut self, identity: Identity, socket: u64, now: Timestamp) {
        if self.clients.is_open(&identity, socket) {
            self.clients.close(&identity, None);
        }
        // A socket that was dropped for not keeping up is not open any more, but its participant
        // has no other either.
        if !self.clients.has_open(&identity) {
            self.lesson_event(Event::Lost { identity }, now);
            self.clients.keep(|identity| self.lesson.you(identity).is_some());
        }
    }

    /// Sends everything that `identity` may see; `true`: with a media token.
    pub(super) fn welcome(&mut self, identity: &Identity, now: Timestamp) -> bool {
        let Some(you) = self.lesson.you(identity) else { return false };
        let Some((epoch, seq)) = self.clients.position(identity) else { return false };
        let state = Box::new(self.lesson.state(identity));
        let policy = self.shared.policy();
        let shown = state.leads && policy.guest_links;
        let guest_code = shown.then(|| self.of.guest_code.clone());
        let video_codec = policy.video_codec;
        let token = self.token(identity, now);
        let minted = token.is_some();
        let media = token.map(|token| Media { token, video_codec });
        let welcome = Outgoing::Welcome { epoch, seq, now, you, media, state, guest_code };
        self.clients.put(identity, welcome);
        self.show_links(identity);
        minted
    }

    /// The states of ways that are not as they should be; they are in no log.
    fn show_links(&mut self, viewer: &Identity) {
        for (identity, link) in self.lesson.links(viewer) {
            self.show_link(viewer, &identity, link);
        }
    }

    pub(super) fn show_link(&mut self, viewer: &Identity, of: &Identity, link: Link) {
        let other = (of != viewer).then(|| of.clone());
        self.clients.put(viewer, Outgoing::Link { other, link });
    }

    /// Tells somebody how they stand now, and then everything.
    pub(super) fn stand(
        &mut self,
        identity: &Identity,
        event: fn(You, Option<Media>) -> ClassEvent,
        now: Timestamp,
    ) {
        if let Some(you) = self.lesson.you(identity) {
            let video_codec = self.shared.policy().video_codec;
            let token = self.token(identity, now);
            let event = event(you, token.map(|token| Media { token, video_codec }));
            self.clients.event(identity, &Arc::new(event));
            self.welcome(identity, now);
        }
    }
}
