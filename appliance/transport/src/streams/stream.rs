//! One stream, from its first byte to its last.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use belfry_media_api::Path;
use belfry_model::Outside;
use belfry_relay::{
    CHANNELS, Client, FRAME_BYTES_MAX, FRAMES, Place, Relayed, SENDS, STREAM_BYTES_MAX,
    is_channel_data,
};
use tokio::io::Interest;
use tokio::sync::mpsc::Receiver;
use tokio::time::MissedTickBehavior;

use super::framing::DATAGRAMS;
use super::{Shared, Socket, now};
use crate::carrier::{Carrier, Kind, Queue};
use crate::ring::{Strayed, owner_by_check};

/// By when a stream has shown that it belongs here: an allocation, or a check that the media
/// answered.
const PROOF_MAX: Duration = Duration::from_secs(10);
/// An ICE-TCP stream without a byte for so long is over; clients check every few seconds.
const SILENCE_MAX: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_secs(1);
/// What one read takes.
const READ_BYTES: usize = 16 * 1024;
const _: () = assert!(
    FRAME_BYTES_MAX + READ_BYTES <= STREAM_BYTES_MAX,
    "a read never is too long for its parser"
);
/// Reads before other streams get their turn.
const READS_IN_A_ROW_MAX: usize = 4;
/// Batches that one write takes.
const WRITE_BATCHES_MAX: usize = 16;
/// A client that does not read its answers is not read either.
const PENDING_BYTES_MAX: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    IceTcp,
    Turn(Path),
}

/// Why a stream is closed.
#[derive(Debug)]
enum End {
    /// By the client, or by the network.
    Gone,
    /// It said what it may not.
    Refused,
}

struct Stream {
    socket: Socket,
    protocol: Protocol,
    client: SocketAddr,
    place: Place,
    shared: Arc<Shared>,
    carrier: Option<Arc<Carrier>>,
    /// The shard that has the client's connection.
    owner: Option<u8>,
    queue: Arc<Queue>,
    batches: Receiver<Vec<u8>>,
    read: Vec<u8>,
    pending: VecDeque<Vec<u8>>,
    pending_bytes: usize,
    /// Of the first in `pending`, what is written.
    written: usize,
    prove_until: Instant,
    heard: Instant,
}

/// What reads brought for the media.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    datagrams: Vec<(u16, Range<usize>)>,
}

impl Batch {
    fn push(&mut self, local: u16, datagram: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(datagram);
        self.datagrams.push((local, start..self.bytes.len()));
    }
}

pub(super) async fn serve(
    socket: Socket,
    protocol: Protocol,
    client: SocketAddr,
    place: Place,
    shared: Arc<Shared>,
) {
    let (queue, batches) = Queue::new();
    // Where there is one shard alone, all is its.
    let owner = (shared.inlets.len() == 1).then_some(0);
    let mut stream = Stream {
        socket,
        protocol,
        client,
        place,
        shared,
        carrier: None,
        owner,
        queue,
        batches,
        read: Vec::with_capacity(READ_BYTES),
        pending: VecDeque::new(),
        pending_bytes: 0,
        written: 0,
        prove_until: Instant::now() + PROOF_MAX,
        heard: Instant::now(),
    };
    if matches!(stream.run().await, End::Refused) {
        stream.shared.refuse();
    }
    stream.close().await;
}

impl Stream {
    async fn run(&mut self) -> End {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let reads = self.pending_bytes < PENDING_BYTES_MAX;
            let interest = match (reads, self.pending.is_empty()) {
                (true, true) => Interest::READABLE,
                (true, false) => Interest::READABLE | Interest::WRITABLE,
                (false, _) => Interest::WRITABLE,
            };
            let done = tokio::select! {
                ready = self.socket.ready(interest) => match ready {
                    Err(_) => Err(End::Gone),
                    Ok(ready) => {
                        let written = if self.pending.is_empty() { Ok(()) } else { self.write() };
                        match written {
                            Ok(()) if ready.is_readable() && reads => self.take().await,
                            other => other,
                        }
                    }
                },
                Some(batch) = self.batches.recv(), if reads => {
                    self.push(batch);
                    // More may have come meanwhile: one write for all.
                    while let Ok(batch) = self.batches.try_recv() {
                        self.push(batch);
                    }
                    self.write()
                }
                _ = tick.tick() => self.check_time(),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    fn check_time(&mut self) -> Result<(), End> {
        let proved = self.carrier.as_ref().is_some_and(|carrier| {
            !carrier.is_closed() && (carrier.allocation().is_some() || carrier.is_answered())
        });
        let now = Instant::now();
        if proved {
            self.place.prove();
            self.prove_until = now + PROOF_MAX;
        } else if now > self.prove_until {
            return Err(End::Refused);
        }
        let silent = now.duration_since(self.heard) > SILENCE_MAX;
        if self.protocol == Protocol::IceTcp && silent { Err(End::Gone) } else { Ok(()) }
    }

    fn push(&mut self, batch: Vec<u8>) {
        self.pending_bytes += batch.len();
        self.pending.push_back(batch);
    }

    /// Writes what the kernel takes.
    fn write(&mut self) -> Result<(), End> {
        while !self.pending.is_empty() {
            let first = self.pending.front().and_then(|first| first.get(self.written..));
            let rest = self.pending.iter().skip(1).take(WRITE_BATCHES_MAX - 1).map(Vec::as_slice);
            let slices: Vec<IoSlice<'_>> =
                first.into_iter().chain(rest).map(IoSlice::new).collect();
            match self.socket.try_write_vectored(&slices) {
                Ok(0) => return Err(End::Gone),
                Ok(bytes) => self.forget_written(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(End::Gone),
            }
        }
        Ok(())
    }

    fn forget_written(&mut self, bytes: usize) {
        self.written += bytes;
        while let Some(first) =
            self.pending.front().map(Vec::len).filter(|len| *len <= self.written)
        {
            self.written -= first;
            self.pending_bytes -= first;
            self.queue.written(first);
            self.pending.pop_front();
        }
    }

    /// Reads what has come and does it.
    async fn take(&mut self) -> Result<(), End> {
        for _ in 0..READS_IN_A_ROW_MAX {
            match self.socket.try_read_buf(&mut self.read) {
                Ok(0) => return Err(End::Gone),
                Ok(_) => self.heard = Instant::now(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(End::Gone),
            }
            let read = std::mem::take(&mut self.read);
            let mut batch = Batch::default();
            let taken = match self.protocol {
                Protocol::IceTcp => self.take_datagrams(&read, &mut batch),
                Protocol::Turn(path) => self.take_frames(&read, path, &mut batch).await,
            };
            self.read = read;
            self.send(batch);
            self.read.drain(..taken?);
        }
        Ok(())
    }

    /// Returns how many bytes are done with.
    fn take_datagrams(&mut self, read: &[u8], batch: &mut Batch) -> Result<usize, End> {
        let mut taken = 0;
        loop {
            let rest = read.get(taken..).unwrap_or_default();
            let found = DATAGRAMS.parse(Outside::new(rest)).map_err(|_refusal| End::Refused)?;
            let Some(place) = found else { return Ok(taken) };
            let datagram = rest.get(place.clone()).unwrap_or_default();
            taken += place.end;
            if self.carrier.is_none() {
                // The first one says whose the stream is, or it is nobody's.
                owner_by_check(datagram).ok_or(End::Refused)?;
                let kind = Kind::IceTcp { queue: Arc::clone(&self.queue) };
                self.carrier = Some(Carrier::new(kind, self.client));
            }
            self.learn_owner(datagram);
            batch.push(0, datagram);
        }
    }

    async fn take_frames(
        &mut self,
        read: &[u8],
        path: Path,
        batch: &mut Batch,
    ) -> Result<usize, End> {
        let mut taken = 0;
        loop {
            let rest = read.get(taken..).unwrap_or_default();
            let found = FRAMES.parse(Outside::new(rest)).map_err(|_refusal| End::Refused)?;
            let Some(frame) = found else { return Ok(taken) };
            let message = rest.get(..frame.length).unwrap_or_default();
            taken += frame.taken;
            if is_channel_data(message) {
                self.take_data(message, batch);
            } else if let Ok(sending) = SENDS.parse(Outside::new(message)) {
                let allocation = self.carrier.as_ref().and_then(|carrier| carrier.allocation());
                let local = allocation.and_then(|allocation| allocation.permitted(sending.peer));
                self.take_for(local, message.get(sending.data), batch);
            } else {
                self.ask(path, message).await?;
            }
        }
    }

    fn take_data(&mut self, message: &[u8], batch: &mut Batch) {
        let data = CHANNELS.parse(Outside::new(message)).ok();
        let allocation = self.carrier.as_ref().and_then(|carrier| carrier.allocation());
        let local = data
            .as_ref()
            .zip(allocation)
            .and_then(|((channel, _), allocation)| allocation.peer_of(*channel));
        self.take_for(local, data.and_then(|(_, data)| message.get(data)), batch);
    }

    /// Takes data for the address of ours with the number `local`, if there is one.
    fn take_for(&mut self, local: Option<u16>, data: Option<&[u8]>, batch: &mut Batch) {
        if let (Some(local), Some(data)) = (local, data) {
            self.learn_owner(data);
            batch.push(local, data);
        } else {
            self.shared.refuse();
        }
    }

    fn learn_owner(&mut self, datagram: &[u8]) {
        if let Some(owner) = owner_by_check(datagram) {
            self.owner = Some(owner);
        }
    }

    fn client_of_relay(&self, path: Path) -> Client {
        Client { path, socket: 0, local: None, remote: self.client }
    }

    /// Has the relay answer a request.
    async fn ask(&mut self, path: Path, message: &[u8]) -> Result<(), End> {
        let client = self.client_of_relay(path);
        let shared = Arc::clone(&self.shared);
        let Some(mut control) = shared.control().await else { return Err(End::Refused) };
        let answer = control.take(client, Outside::new(message), now()).await;
        drop(control);
        match answer.relayed {
            Some(Relayed::Made(allocation)) => {
                let queue = Arc::clone(&self.queue);
                let kind = Kind::TurnStream { queue, allocation };
                self.carrier = Some(Carrier::new(kind, self.client));
                self.place.prove();
            }
            Some(Relayed::Ended) => self.carrier = None,
            None => {}
        }
        if let Some(bytes) = answer.bytes {
            // Before media that waits, and even if that fills the queue: over a stream an answer
            // that is lost is not asked for again. Who does not read is not read, so it has an end.
            self.queue.reserve(bytes.len());
            self.push(bytes);
        }
        Ok(())
    }

    fn send(&self, batch: Batch) {
        if batch.datagrams.is_empty() {
            return;
        }
        let inlet = self.owner.and_then(|owner| self.shared.inlets.get(usize::from(owner)));
        let (Some(inlet), Some(carrier)) = (inlet, self.carrier.clone()) else {
            self.shared.refuse();
            return;
        };
        let Batch { bytes, datagrams } = batch;
        if !inlet.send(Strayed::Carried { carrier, bytes, datagrams }) {
            self.shared.refuse();
        }
    }

    async fn close(self) {
        if let Some(carrier) = &self.carrier {
            carrier.close();
        }
        if let Protocol::Turn(path) = self.protocol
            && let Some(mut control) = self.shared.control().await
        {
            control.close_client(&self.client_of_relay(path)).await;
        }
    }
}
