//! The task of one live lesson.

use std::collections::HashMap;
use std::sync::Arc;

use belfry_classroom::{
    Arrival, Audience, ChatTo, Command, Effect, Event, Grants, Lesson, Message, Notice, Phase,
    Quality, Refusal, Source, You, record,
};
use belfry_media_api::{self as media, ConnectionQuality};
use belfry_model::limits::TOKEN_VALID_MS;
use belfry_model::{Identity, LessonRole, Outside, Pii, Timestamp};
use belfry_signalling::policy::Rule;
use belfry_signalling::{
    self as signalling, Join, Permissions, Room, RoomControl, SocketId, SourceKey, query, token,
};
use belfry_store as store;
use tokio::sync::{mpsc, oneshot, watch};

use crate::class::{ClassEvent, ClassSocket, Clients, Farewell, Outgoing, Resume};
use crate::clock;
use crate::keep::Keeper;
use crate::sessions::{Shared, Summary};
use crate::signal::{self, SignalOut, SignalRefusal, SignalSocket};

/// Inputs that wait for one hub; whoever sends more waits.
pub(crate) const INPUTS_MAX: usize = 1_024;
/// A fresh token comes when half of the last one's time is over.
const TOKEN_REFRESH_MS: i64 = TOKEN_VALID_MS / 2;
/// The same trick of the same participant is recorded once in this time.
const REFUSED_AGAIN_MS: i64 = 60_000;

/// Everything that can happen to a live lesson, besides time.
#[derive(Debug)]
pub(crate) enum Input {
    ClassOpened {
        arrival: Arrival,
        resume: Option<Resume>,
        answer: oneshot::Sender<Result<ClassSocket, Refusal>>,
    },
    ClassCommand {
        identity: Identity,
        socket: u64,
        id: u64,
        command: Command,
    },
    ClassClosed {
        identity: Identity,
        socket: u64,
    },
    SignalOpened {
        identity: Identity,
        query: Box<query::Query>,
        answer: oneshot::Sender<Result<SignalSocket, SignalRefusal>>,
    },
    SignalFrame {
        socket: SocketId,
        bytes: Vec<u8>,
    },
    SignalClosed {
        socket: SocketId,
    },
    Media(media::Event),
    /// The media process is new; nothing of the old one is left.
    MediaRestarted,
    /// An administrator ends the lesson.
    End,
    /// The control process stops; the lesson goes on in the next one.
    Stop,
}

pub(crate) struct Hub {
    shared: Arc<Shared>,
    inputs: mpsc::Sender<Input>,
    of: store::Lesson,
    lesson: Lesson,
    room: Room,
    clients: Clients,
    signals: HashMap<SocketId, mpsc::Sender<SignalOut>>,
    keeper: Keeper,
    summary: watch::Sender<Summary>,
    socket_last: u64,
    tokens_due: Timestamp,
    refused: HashMap<(Identity, Rule), Timestamp>,
    stopping: bool,
}

impl Hub {
    pub(crate) fn new(
        shared: Arc<Shared>,
        inputs: mpsc::Sender<Input>,
        of: store::Lesson,
        lesson: Lesson,
        summary: watch::Sender<Summary>,
    ) -> Self {
        let now = clock::now();
        let epoch = format!("{:08x}", rand::random::<u32>());
        Self {
            room: Room::new(shared.room_config(of.id), now),
            keeper: Keeper::start(shared.store.clone(), of.id),
            clients: Clients::new(epoch),
            signals: HashMap::new(),
            socket_last: 0,
            tokens_due: now.plus_ms(TOKEN_REFRESH_MS),
            refused: HashMap::new(),
            stopping: false,
            shared,
            inputs,
            of,
            lesson,
            summary,
        }
    }

    pub(crate) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        // Within the grace time of a restart this may already be over.
        self.time(clock::now());
        while self.lesson.phase() != Phase::Ended && !self.stopping {
            let deadline = self.deadline();
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(input) => self.step(input, clock::now()),
                    None => break,
                },
                () = clock::until(deadline) => self.time(clock::now()),
            }
        }
        let ended = self.lesson.phase() == Phase::Ended;
        self.keeper.finish(&self.lesson.snapshot(), ended).await;
    }

    fn deadline(&self) -> Timestamp {
        let due = [self.lesson.deadline(), self.room.deadline(), self.keeper.deadline()];
        due.into_iter().flatten().fold(self.tokens_due, Timestamp::min)
    }

    /// One input and all that follows from it.
    fn step(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::ClassOpened { arrival, resume, answer } => {
                let _ = answer.send(self.class_opened(arrival, resume.as_ref(), now));
            }
            Input::ClassCommand { identity, socket, id, command } => {
                self.class_command(&identity, socket, id, command, now);
            }
            Input::ClassClosed { identity, socket } => self.class_closed(identity, socket, now),
            Input::SignalOpened { identity, query, answer } => {
                let _ = answer.send(self.signal_opened(&identity, *query, now));
            }
            Input::SignalFrame { socket, bytes } => {
                self.room.frame(socket, Outside::new(&bytes), now);
            }
            Input::SignalClosed { socket } => {
                self.signals.remove(&socket);
                self.room.socket_closed(socket, now);
            }
            Input::Media(event) => self.room.media_event(event, now),
            Input::MediaRestarted => self.room.control(RoomControl::MediaRestarted, now),
            Input::End => self.lesson_event(Event::Stop, now),
            Input::Stop => self.stop(now),
        }
        self.settle(now);
    }

    fn time(&mut self, now: Timestamp) {
        self.lesson_event(Event::Tick, now);
        self.clients.keep(|identity| self.lesson.you(identity).is_some());
        self.room.tick(now);
        if self.tokens_due <= now {
            self.refresh_tokens(now);
        }
        self.keeper.hand_over(now, || self.lesson.snapshot());
        self.settle(now);
    }

    /// Carries out what the room wants until it wants nothing more.
    fn settle(&mut self, now: Timestamp) {
        while let Some(effect) = self.room.poll_effect() {
            self.room_effect(effect, now);
        }
        let summary =
            Summary { phase: self.lesson.phase(), present_count: self.lesson.present_count() };
        self.summary.send_if_modified(|last| std::mem::replace(last, summary) != summary);
    }

    // The class sockets.

    fn class_opened(
        &mut self,
        arrival: Arrival,
        resume: Option<&Resume>,
        now: Timestamp,
    ) -> Result<ClassSocket, Refusal> {
        let identity = arrival.identity.clone();
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
        if !resumed {
            let minted = self.welcome(&identity, now);
            if minted && !stayed {
                self.record(record::token_minted(self.of.id, &identity), now);
            }
        }
        Ok(ClassSocket { hub: self.inputs.clone(), identity, socket, outgoing })
    }

    fn class_command(
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

    fn class_closed(&mut self, identity: Identity, socket: u64, now: Timestamp) {
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
    fn welcome(&mut self, identity: &Identity, now: Timestamp) -> bool {
        let Some(you) = self.lesson.you(identity) else { return false };
        let Some((epoch, seq)) = self.clients.position(identity) else { return false };
        let state = Box::new(self.lesson.state(identity));
        let guest_code = state.leads.then(|| self.of.guest_code.clone());
        let token = self.token(identity, now);
        let minted = token.is_some();
        let welcome = Outgoing::Welcome { epoch, seq, now, you, token, state, guest_code };
        self.clients.put(identity, welcome);
        minted
    }

    /// Tells somebody how they stand now, and then everything.
    fn stand(
        &mut self,
        identity: &Identity,
        event: fn(You, Option<Pii<String>>) -> ClassEvent,
        now: Timestamp,
    ) {
        if let Some(you) = self.lesson.you(identity) {
            let event = event(you, self.token(identity, now));
            self.clients.event(identity, &Arc::new(event));
            self.welcome(identity, now);
        }
    }

    // The lesson.

    /// An event that nobody waits for an answer to.
    fn lesson_event(&mut self, event: Event, now: Timestamp) {
        // Refused: the lesson has ended meanwhile, or somebody is gone.
        if let Ok(effects) = self.lesson.apply(event, now) {
            self.carry_out(effects, now);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>, now: Timestamp) {
        for effect in effects {
            self.lesson_effect(effect, now);
        }
    }

    fn lesson_effect(&mut self, effect: Effect, now: Timestamp) {
        match effect {
            Effect::Send { to, notice } => self.send(&to, notice),
            Effect::Admitted { identity } => {
                self.stand(&identity, |you, token| ClassEvent::Admitted { you, token }, now);
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
            if hears {
                self.clients.event(&identity, &event);
            }
        }
    }

    fn role_changed(&mut self, identity: &Identity, now: Timestamp) {
        if let Some(role) = self.lesson.role(identity) {
            self.room.control(RoomControl::SetRole { identity: identity.clone(), role }, now);
        }
        self.stand(identity, |you, token| ClassEvent::Role { you, token }, now);
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

    fn record(&self, (actor, detail): (belfry_audit::Actor, belfry_audit::Detail), now: Timestamp) {
        let scope = belfry_audit::Scope::school(self.of.district.0, self.of.school.0);
        self.shared.ledger.enqueue(belfry_audit::Event { at_ms: now.0, scope, actor, detail });
    }

    // The media side.

    fn signal_opened(
        &mut self,
        identity: &Identity,
        query: query::Query,
        now: Timestamp,
    ) -> Result<SignalSocket, SignalRefusal> {
        // The token says who; what they may do is what the lesson says now.
        let grants = self.grants(identity).ok_or(SignalRefusal::NotAdmitted)?;
        self.room.check(&grants).map_err(SignalRefusal::Room)?;
        self.socket_last += 1;
        let socket = SocketId(self.socket_last);
        let (sender, outgoing) = mpsc::channel(signal::QUEUE_MAX);
        self.signals.insert(socket, sender);
        self.room.join(Join { socket, grants, query }, now).map_err(SignalRefusal::Room)?;
        Ok(SignalSocket { hub: self.inputs.clone(), socket, outgoing })
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

    fn token(&self, identity: &Identity, now: Timestamp) -> Option<Pii<String>> {
        let grants = self.grants(identity)?;
        Some(Pii::new(token::mint(&self.shared.signer, &grants, now)))
    }

    fn refresh_tokens(&mut self, now: Timestamp) {
        self.tokens_due = now.plus_ms(TOKEN_REFRESH_MS);
        self.refused.retain(|_, at| at.plus_ms(REFUSED_AGAIN_MS) > now);
        for identity in self.clients.identities() {
            if let Some(token) = self.token(&identity, now) {
                self.clients.event(&identity, &Arc::new(ClassEvent::Token(token)));
            }
        }
    }

    fn room_effect(&mut self, effect: signalling::Effect, now: Timestamp) {
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
            Notice::Left { identity, .. } => {
                self.lesson_event(Event::Media { identity, connected: false }, now);
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
            // Resumes and tracks are the room's own matter.
            Notice::Active { .. }
            | Notice::Disconnected { .. }
            | Notice::Resumed { .. }
            | Notice::TrackPublished { .. }
            | Notice::TrackUnpublished { .. }
            | Notice::TrackMuted { .. }
            | Notice::Speakers { .. } => {}
        }
    }

    fn rule_refused(&mut self, identity: Identity, rule: Rule, now: Timestamp) {
        let last = self.refused.get(&(identity.clone(), rule));
        if last.is_none_or(|at| at.plus_ms(REFUSED_AGAIN_MS) <= now) {
            self.record(record::rule_refused(self.of.id, &identity, rule), now);
            self.refused.insert((identity, rule), now);
        }
    }

    fn stop(&mut self, now: Timestamp) {
        self.stopping = true;
        self.room.control(RoomControl::Restarting, now);
        self.clients.close_all(&Farewell::Restarting);
    }
}

fn permissions(grants: Grants) -> Permissions {
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
