//! The side that has the file.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, oneshot};

use super::wire::{self, Answer, Recorded, Reply, Request, Sent, Written};
use crate::error::Error;
use crate::queue::{GROUP_EVENTS_MAX, Origin};
use crate::writer::{Ledger, closed};
use crate::{Receipt, disk};

/// Lines at a time: one process uses one.
const LINES_MAX: usize = 16;

/// Whose processes may have something recorded; all others are sent away.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// Users of the machine, by their numbers; the ledger's own and root always may.
    pub users: BTreeSet<u32>,
}

impl Peers {
    fn may(&self, user: u32) -> bool {
        user == 0 || user == own_user() || self.users.contains(&user)
    }
}

/// The user of this process, as the kernel tells the other end of a line of its own.
fn own_user() -> u32 {
    let pair = std::os::unix::net::UnixStream::pair().and_then(|(one, _)| {
        one.set_nonblocking(true)?;
        UnixStream::from_std(one)?.peer_cred()
    });
    // Without an answer nobody but root and those named may.
    pair.map_or(0, |peer| peer.uid())
}

/// Records what comes over the socket, until the task is dropped.
pub async fn serve(ledger: Ledger, listener: UnixListener, peers: Peers) -> io::Result<()> {
    let host = Arc::new(Host { ledger, peers, turn: Arc::default() });
    let places = Arc::new(Semaphore::new(LINES_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
        let (line, _) = listener.accept().await?;
        tokio::spawn(Arc::clone(&host).run(line, place));
    }
}

struct Host {
    ledger: Ledger,
    peers: Peers,
    /// A group is answered before the next question, on whatever line: a client whose line broke asks on
    /// a new one what became of it.
    turn: Arc<Mutex<()>>,
}

impl Host {
    async fn run(self: Arc<Self>, mut line: UnixStream, _place: OwnedSemaphorePermit) {
        match line.peer_cred() {
            Ok(peer) if self.peers.may(peer.uid()) => {
                if let Err(error) = self.answer(&mut line, peer.uid()).await {
                    tracing::warn!(user = peer.uid(), %error, "a line to the record broke");
                }
            }
            Ok(peer) => {
                tracing::error!(user = peer.uid(), "a process that may not record was sent away");
            }
            Err(error) => tracing::error!(%error, "it is not known who asks: sent away"),
        }
    }

    async fn answer(&self, line: &mut UnixStream, user: u32) -> io::Result<()> {
        let mut client = None;
        while let Some(request) = wire::next(line).await? {
            let answer = match request {
                Request::Hello { client: named } => {
                    client = Some(named);
                    let _turn = self.turn.lock().await;
                    Answer::Hello(self.written(named).await)
                }
                Request::Group { first, entries } => {
                    let Some(client) = client.filter(|_| entries.len() <= GROUP_EVENTS_MAX) else {
                        return Err(io::ErrorKind::InvalidData.into());
                    };
                    let from = Origin { user, client, group: first, place: 0 };
                    // Not given up with the line: what was taken in is answered for.
                    let (ledger, turn) = (self.ledger.clone(), Arc::clone(&self.turn));
                    let group = tokio::spawn(async move {
                        let _turn = turn.lock().await;
                        record(&ledger, from, entries).await
                    });
                    Answer::Group(group.await.map_err(io::Error::other)?)
                }
                Request::Checkpoint => Answer::Checkpoint(self.checkpoint().await),
                Request::Beat => Answer::Beat,
            };
            let reply = Reply { answer, health: self.ledger.told() };
            wire::answer(line, &reply).await?;
        }
        Ok(())
    }

    async fn written(&self, client: u64) -> Option<Written> {
        let path = self.ledger.path().to_owned();
        let read = move || disk::written(&disk::open_for_reading(&path).ok()?, client).ok()?;
        tokio::task::spawn_blocking(read).await.ok()?
    }

    async fn checkpoint(&self) -> Result<Option<String>, Error> {
        let ledger = self.ledger.clone();
        let made = tokio::task::spawn_blocking(move || ledger.checkpoint_blocking()).await;
        made.map_err(|_| Error::Late)?
    }
}

/// All of a group, one result each, however long it takes: whoever waits for one has a limit of its own,
/// and a group of which nothing is known yet must not be asked about.
async fn record(ledger: &Ledger, from: Origin, entries: Vec<Sent>) -> Vec<Result<Recorded, Error>> {
    let asked: Vec<_> = entries
        .into_iter()
        .enumerate()
        .map(|(place, Sent { event, beside })| {
            ledger.send_from(event, beside, Some(Origin { place, ..from }))
        })
        .collect();
    let mut results = Vec::with_capacity(asked.len());
    for asked in asked {
        let result = match asked {
            Ok(answer) => receipt(answer).await,
            Err(error) => Err(error),
        };
        results.push(result.map(|receipt| Recorded::new(receipt.seq, receipt.leaf)));
    }
    results
}

async fn receipt(answer: oneshot::Receiver<Result<Receipt, Error>>) -> Result<Receipt, Error> {
    answer.await.map_err(|_| closed())?
}
