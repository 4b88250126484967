//! The task of one live lesson.

mod lesson;
mod media_side;
mod seats;

use std::collections::HashMap;
use std::sync::Arc;

use belfry_classroom::{Arrival, Command, Event, Lesson, Phase, Refusal};
use belfry_kept::Keeper;
use belfry_media_api as media;
use belfry_model::limits::TOKEN_VALID_MS;
use belfry_model::{Identity, Outside, Timestamp};
use belfry_signalling::policy::Rule;
use belfry_signalling::{Room, RoomControl, SocketId, query};
use belfry_store as store;
use tokio::sync::{mpsc, oneshot, watch};

use crate::class::{ClassSocket, Clients, Farewell, Resume};
use crate::clock;
use crate::sessions::{Shared, Summary};
use crate::signal::{SignalOut, SignalRefusal, SignalSocket};

/// Inputs that wait for one hub; whoever sends more waits.
pub(crate) const INPUTS_MAX: usize = 1_024;
/// A fresh token comes when half of the last one's time is over.
const TOKEN_REFRESH_MS: i64 = TOKEN_VALID_MS / 2;

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
    /// Whether a signalling socket would be let in.
    SignalAsked {
        identity: Identity,
        answer: oneshot::Sender<Result<(), SignalRefusal>>,
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
    /// Something that must never happen, happens.
    #[cfg(test)]
    Fail,
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
    /// As the room was told it.
    spotlight: Vec<Identity>,
    stopping: bool,
}

impl Hub {
    pub(crate) fn new(
        shared: Arc<Shared>,
        inputs: mpsc::Sender<Input>,
        of: store::Lesson,
        lesson: Lesson,
        keeper: Keeper,
        summary: watch::Sender<Summary>,
    ) -> Self {
        let now = clock::now();
        let epoch = format!("{:08x}", rand::random::<u32>());
        Self {
            room: Room::new(shared.room_config(of.id), now),
            keeper,
            clients: Clients::new(epoch),
            signals: HashMap::new(),
            socket_last: 0,
            tokens_due: now.plus_ms(TOKEN_REFRESH_MS),
            refused: HashMap::new(),
            spotlight: Vec::new(),
            stopping: false,
            shared,
            inputs,
            of,
            lesson,
            summary,
        }
    }

    /// Until the lesson has ended (`true`) or the process stops.
    pub(crate) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) -> bool {
        let mut policy = self.shared.policy.clone();
        self.follow_policy(clock::now());
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
                Ok(()) = policy.changed() => self.policy_changed(clock::now()),
            }
        }
        let ended = self.lesson.phase() == Phase::Ended;
        self.keeper.finish(&self.lesson.snapshot(), ended).await;
        ended
    }

    fn follow_policy(&mut self, now: Timestamp) {
        let places_max = self.shared.policy().participants_max;
        self.lesson_event(Event::PlacesMax(places_max), now);
    }

    /// Who leads may see, or see no more, the guest link.
    fn policy_changed(&mut self, now: Timestamp) {
        self.follow_policy(now);
        for identity in self.lesson.leads() {
            self.welcome(&identity, now);
        }
        self.settle(now);
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
            Input::SignalAsked { identity, answer } => {
                let _ = answer.send(self.may_signal(&identity).map(drop));
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
            #[cfg(test)]
            Input::Fail => panic!("a lesson fails because a test wants it to"),
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
        let spotlight = self.lesson.spotlight();
        if spotlight != self.spotlight {
            self.spotlight.clone_from(&spotlight);
            self.room.control(RoomControl::Spotlight { identities: spotlight }, now);
        }
        while let Some(effect) = self.room.poll_effect() {
            self.room_effect(effect, now);
        }
        let summary =
            Summary { phase: self.lesson.phase(), present_count: self.lesson.present_count() };
        self.summary.send_if_modified(|last| std::mem::replace(last, summary) != summary);
    }

    fn stop(&mut self, now: Timestamp) {
        self.stopping = true;
        self.room.control(RoomControl::Restarting, now);
        self.clients.close_all(&Farewell::Restarting);
    }
}
