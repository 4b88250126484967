//! The hub's end of a signalling socket.

use std::fmt;

use belfry_signalling::{JoinRefusal, SocketId};
use tokio::sync::mpsc;

use crate::class::send_surely;
use crate::hub::Input;

/// Frames that wait for a signalling socket. One is a description of some 100 KiB at most.
pub(crate) const QUEUE_MAX: usize = 512;

/// What a signalling socket is to do, in order.
#[derive(Debug)]
pub enum SignalOut {
    /// One binary message.
    Frame(Vec<u8>),
    /// Close normally.
    Close,
}

/// Why a signalling socket is not let in; decided before its upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignalRefusal {
    #[error("there is no such lesson now")]
    NoLesson,
    /// The token is good, but its bearer waits, was removed, or has left.
    #[error("not admitted to the lesson")]
    NotAdmitted,
    #[error("the room does not take this participant")]
    Room(#[source] JoinRefusal),
    #[error("the lesson cannot be looked up at the moment")]
    Unavailable,
}

/// One signalling socket. Dropping it tells the hub that the socket is gone.
pub struct SignalSocket {
    pub(crate) hub: mpsc::Sender<Input>,
    pub(crate) socket: SocketId,
    pub(crate) outgoing: mpsc::Receiver<SignalOut>,
}

impl SignalSocket {
    /// The next thing to do; `None`: close.
    pub async fn next(&mut self) -> Option<SignalOut> {
        self.outgoing.recv().await
    }

    /// A binary message from the client, unread.
    pub async fn frame(&self, bytes: Vec<u8>) {
        let _ = self.hub.send(Input::SignalFrame { socket: self.socket, bytes }).await;
    }
}

impl fmt::Debug for SignalSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalSocket").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Drop for SignalSocket {
    fn drop(&mut self) {
        send_surely(&self.hub, Input::SignalClosed { socket: self.socket });
    }
}
