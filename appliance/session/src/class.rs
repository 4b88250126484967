//! The class sockets of a lesson: what each was told, so that it can resume.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use belfry_classroom::{Bye, Command, Link, Notice, Refusal, State, You};
use belfry_model::{Identity, Pii, Timestamp};
use belfry_settings::VideoCodec;
use tokio::sync::mpsc;

use crate::hub::Input;

/// Messages that wait for a class socket; one that lets more wait is closed and resumes.
const QUEUE_MAX: usize = 512;
/// Events that a socket may have missed and still resume.
const LOG_MAX: usize = 256;

/// Where a class socket that was lost wants to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    pub epoch: String,
    pub seq: u64,
}

/// What an admitted participant needs to connect its media.
#[derive(Clone, Debug)]
pub struct Media {
    pub token: Pii<String>,
    /// What the district wants browsers to send.
    pub video_codec: VideoCodec,
}

/// What a class socket is to send, in order.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// Everything: at first, when a resume is too old, and when what one may see has changed.
    Welcome {
        epoch: String,
        seq: u64,
        now: Timestamp,
        you: You,
        media: Option<Media>,
        state: Box<State>,
        /// For those who lead, while guest links are on.
        guest_code: Option<Pii<String>>,
    },
    /// The missed events follow.
    Resumed {
        seq: u64,
    },
    Event {
        seq: u64,
        event: Arc<ClassEvent>,
    },
    /// The state of the way down to this participant, or to another one. Not an event: it is in
    /// no log.
    Link {
        other: Option<Identity>,
        link: Link,
    },
    Done {
        id: u64,
    },
    Refused {
        id: u64,
        refusal: Refusal,
    },
    /// The last message.
    Bye(Farewell),
}

#[derive(Clone, Debug)]
pub enum ClassEvent {
    Notice(Notice),
    Admitted {
        you: You,
        media: Option<Media>,
    },
    Role {
        you: You,
        media: Option<Media>,
    },
    /// A fresh media token, well before the last one ends.
    Token(Pii<String>),
}

/// Why a class socket is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Farewell {
    Lesson(Bye),
    /// The same participant is here in another window.
    Elsewhere,
    /// The appliance restarts; come back.
    Restarting,
}

/// The hub's end of one class socket. Dropping it tells the hub that the socket is gone.
pub struct ClassSocket {
    pub(crate) hub: mpsc::Sender<Input>,
    pub(crate) identity: Identity,
    pub(crate) socket: u64,
    pub(crate) outgoing: mpsc::Receiver<Outgoing>,
}

impl ClassSocket {
    /// The next message to send; `None`: close.
    pub async fn next(&mut self) -> Option<Outgoing> {
        self.outgoing.recv().await
    }

    /// Hands a command to the lesson; `id` comes back in its answer.
    pub async fn command(&self, id: u64, command: Command) {
        let (identity, socket) = (self.identity.clone(), self.socket);
        // A hub that is gone has closed our queue, too.
        let _ = self.hub.send(Input::ClassCommand { identity, socket, id, command }).await;
    }
}

impl fmt::Debug for ClassSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClassSocket").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Drop for ClassSocket {
    fn drop(&mut self) {
        let input = Input::ClassClosed { identity: self.identity.clone(), socket: self.socket };
        send_surely(&self.hub, input);
    }
}

/// Delivers an input from where nothing can be awaited.
pub(crate) fn send_surely(hub: &mpsc::Sender<Input>, input: Input) {
    if let Err(mpsc::error::TrySendError::Full(input)) = hub.try_send(input) {
        let hub = hub.clone();
        tokio::spawn(async move {
            let _ = hub.send(input).await;
        });
    }
}

/// Everybody who has, or lately had, a class socket.
#[derive(Debug)]
pub(crate) struct Clients {
    /// Differs from process to process and from hub to hub.
    epoch: String,
    epoch_count: u64,
    by_identity: HashMap<Identity, Client>,
}

#[derive(Debug)]
struct Client {
    epoch: String,
    seq: u64,
    log: VecDeque<(u64, Arc<ClassEvent>)>,
    open: Option<(u64, mpsc::Sender<Outgoing>)>,
}

impl Clients {
    pub(crate) fn new(epoch: String) -> Self {
        Self { epoch, epoch_count: 0, by_identity: HashMap::new() }
    }

    /// Makes room for a socket that is about to be greeted; an older one of the same participant
    /// is told that it goes on elsewhere. From here on its events are logged.
    pub(crate) fn expect(&mut self, identity: &Identity) {
        self.close(identity, Some(Farewell::Elsewhere));
        if !self.by_identity.contains_key(identity) {
            self.epoch_count += 1;
            let epoch = format!("{}-{}", self.epoch, self.epoch_count);
            let client = Client { epoch, seq: 0, log: VecDeque::new(), open: None };
            self.by_identity.insert(identity.clone(), client);
        }
    }

    /// Opens the expected socket. `true`: it has resumed and needs no welcome.
    pub(crate) fn open(
        &mut self,
        identity: &Identity,
        socket: u64,
        resume: Option<&Resume>,
    ) -> (mpsc::Receiver<Outgoing>, bool) {
        let (sender, outgoing) = mpsc::channel(QUEUE_MAX);
        let Some(client) = self.by_identity.get_mut(identity) else { return (outgoing, false) };
        client.open = Some((socket, sender));
        let resumed = resume.filter(|resume| client.can_resume(resume));
        if let Some(Resume { seq, .. }) = resumed {
            client.put(Outgoing::Resumed { seq: *seq });
            let missed: Vec<_> = client.log.iter().filter(|(at, _)| at > seq).cloned().collect();
            for (seq, event) in missed {
                client.put(Outgoing::Event { seq, event });
            }
        }
        (outgoing, resumed.is_some())
    }

    /// Whether this socket is still the one of its participant.
    pub(crate) fn is_open(&self, identity: &Identity, socket: u64) -> bool {
        let client = self.by_identity.get(identity);
        client.and_then(|client| client.open.as_ref()).is_some_and(|(open, _)| *open == socket)
    }

    pub(crate) fn has_open(&self, identity: &Identity) -> bool {
        self.by_identity.get(identity).is_some_and(|client| client.open.is_some())
    }

    /// The epoch and the number of the last event.
    pub(crate) fn position(&self, identity: &Identity) -> Option<(String, u64)> {
        self.by_identity.get(identity).map(|client| (client.epoch.clone(), client.seq))
    }

    pub(crate) fn event(&mut self, identity: &Identity, event: &Arc<ClassEvent>) {
        let Some(client) = self.by_identity.get_mut(identity) else { return };
        client.seq += 1;
        if client.log.len() >= LOG_MAX {
            client.log.pop_front();
        }
        client.log.push_back((client.seq, Arc::clone(event)));
        client.put(Outgoing::Event { seq: client.seq, event: Arc::clone(event) });
    }

    pub(crate) fn put(&mut self, identity: &Identity, message: Outgoing) {
        if let Some(client) = self.by_identity.get_mut(identity) {
            client.put(message);
        }
    }

    pub(crate) fn close(&mut self, identity: &Identity, farewell: Option<Farewell>) {
        if let Some(client) = self.by_identity.get_mut(identity) {
            if let Some(farewell) = farewell {
                client.put(Outgoing::Bye(farewell));
            }
            client.open = None;
        }
    }

    /// Forgets somebody who has no place in the lesson any more.
    pub(crate) fn forget(&mut self, identity: &Identity) {
        self.by_identity.remove(identity);
    }

    /// Forgets everybody else.
    pub(crate) fn keep(&mut self, keep: impl Fn(&Identity) -> bool) {
        self.by_identity.retain(|identity, _| keep(identity));
    }

    pub(crate) fn close_all(&mut self, farewell: &Farewell) {
        let all: Vec<_> = self.by_identity.keys().cloned().collect();
        for identity in &all {
            self.close(identity, Some(farewell.clone()));
        }
    }

    pub(crate) fn identities(&self) -> Vec<Identity> {
        self.by_identity.keys().cloned().collect()
    }
}

impl Client {
    fn can_resume(&self, resume: &Resume) -> bool {
        let oldest = self.seq - self.log.len() as u64;
        resume.epoch == self.epoch && (oldest..=self.seq).contains(&resume.seq)
    }

    /// A socket that does not keep up is closed: dropping its queue ends it.
    fn put(&mut self, message: Outgoing) {
        let Some((_, sender)) = &self.open else { return };
        if sender.try_send(message).is_err() {
            self.open = None;
        }
    }
}
