//! SCTP over DTLS and the two data channels of signalling (RFC 8831, RFC 8832).
//!
//! **Invariant:** what waits for a slow receiver is bounded: lossy messages are dropped early,
//! reliable ones up to a limit and then the receiver is given up.

mod dcep;
mod guard;
mod packet;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod sealing;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use belfry_media_api::DataKind;
use belfry_model::{Outside, limits::DATA_MESSAGE_BYTES_MAX};
use bytes::Bytes;
use rtc_sctp::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event,
    Payload, PayloadProtocolIdentifier, ReliabilityType, ServerConfig, StreamEvent, StreamId,
    TransportConfig,
};
use rtc_shared::TransportProtocol;

pub(crate) use self::dcep::DCEP;
use self::dcep::Dcep;
use self::guard::Guard;
pub(crate) use self::packet::PACKETS;
use self::packet::{chunks, is_init_ack};
use crate::connection::Unsent;

pub(crate) const LABEL_RELIABLE: &str = "_reliable";
pub(crate) const LABEL_LOSSY: &str = "_lossy";
/// Reliable data that may wait for one receiver: a minute of chat with pictures, a second of file
/// transfer on a bad line.
pub(crate) const RELIABLE_BUFFERED_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Lossy data that may wait for one receiver: about a second of cursors; older is worth nothing.
pub(crate) const LOSSY_BUFFERED_BYTES_MAX: usize = 64 * 1024;
/// Reliable data that is held until the channel opens.
pub(crate) const HELD_BYTES_MAX: usize = 1024 * 1024;
/// Data channels of one connection; signalling knows three.
const CHANNELS_MAX: usize = 16;
/// The library wants an address; the path may change under it (as in `dtls`).
const REMOTE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5000);
/// Un-acknowledged data that one client may have on its way to us.
const RECEIVE_BUFFER_BYTES: u32 = 512 * 1024;
/// What one message may carry on its way in; more is dropped above the library, which needs to be
/// able to take it whole.
const MESSAGE_BYTES_MAX: u32 = 256 * 1024;

#[derive(Clone, Copy, Debug)]
struct Channel {
    stream: StreamId,
    /// `None`: a channel that we accept and ignore (`_data_track`).
    kind: Option<DataKind>,
    open: bool,
}

/// The SCTP side of one connection.
#[derive(Debug)]
pub(crate) struct Sctp {
    /// Whether this side opens the channels.
    opens: bool,
    started: bool,
    over: bool,
    /// Our first stream: the DTLS client has the even ones (RFC 8832, section 6).
    first_stream: StreamId,
    endpoint: Option<Endpoint>,
    association: Option<Box<(AssociationHandle, AssociationBox)>>,
    guard: Guard,
    /// The remote's INIT and our answer.
    greeting: Option<(Bytes, Option<Bytes>)>,
    /// The answer, when it has to leave once more.
    greets_again: Option<Bytes>,
    channels: Vec<Channel>,
    held: VecDeque<Bytes>,
    held_bytes: usize,
    received: VecDeque<(DataKind, Vec<u8>)>,
}

/// The library's association, which has no `Debug`.
struct AssociationBox(Association);

impl std::fmt::Debug for AssociationBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Association")
    }
}

impl Sctp {
    /// `opens`: this side opens the channels.
    pub(crate) fn new(opens: bool) -> Self {
        Self {
            opens,
            started: false,
            over: false,
            first_stream: 1,
            endpoint: None,
            association: None,
            guard: Guard::default(),
            greeting: None,
            greets_again: None,
            channels: Vec::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            received: VecDeque::new(),
        }
    }

    /// Begins once DTLS is up. The DTLS client also begins the association; browsers do so in
    /// either role.
    pub(crate) fn start(&mut self, is_client: bool, now: Instant) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let transport = TransportConfig::default()
            .with_max_message_size(MESSAGE_BYTES_MAX)
            .with_max_receive_buffer_size(RECEIVE_BUFFER_BYTES);
        let server = ServerConfig::new(transport.clone());
        let mut endpoint = Endpoint::new(
            REMOTE,
            TransportProtocol::UDP,
            Arc::new(EndpointConfig::new()),
            Some(Arc::new(server)),
        );
        if is_client {
            self.first_stream = 0;
            if let Ok((handle, association)) =
                endpoint.connect(now, ClientConfig::new(transport), REMOTE)
            {
                self.association = Some(Box::new((handle, AssociationBox(association))));
            }
        }
        self.endpoint = Some(endpoint);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    #[cfg(feature = "fuzz")]
    #[cfg(test)]
    pub(crate) fn stands(&self) -> bool {
        self.association
            .as_ref()
            .is_some_and(|mine| !mine.1.0.is_handshaking() && !mine.1.0.is_closed())
    }

    /// Takes one SCTP packet.
    pub(crate) fn receive(&mut self, packet: Bytes, now: Instant) {
        let Some(endpoint) = &mut self.endpoint else { return };
        let Ok(contents) = PACKETS.parse(Outside::new(&packet)) else { return };
        if !self.guard.admits(&contents) {
            return;
        }
        if contents.begins {
            if self.association.is_some() {
                // The library would begin another association with every repeat.
                let known = self.greeting.as_ref();
                let same = known.filter(|(init, _)| chunks(init) == chunks(&packet));
                self.greets_again = same.and_then(|(_, answer)| answer.clone());
                return;
            }
            self.greeting = Some((packet.clone(), None));
        }
        match (endpoint.handle(now, REMOTE, None, packet), &mut self.association) {
            (Some((handle, DatagramEvent::NewAssociation(association))), mine @ None) => {
                *mine = Some(Box::new((handle, AssociationBox(association))));
            }
            (Some((handle, DatagramEvent::AssociationEvent(event))), Some(mine))
                if mine.0 == handle =>
            {
                mine.1.0.handle_event(event);
            }
            _ => {}
        }
        self.digest(now);
    }

    /// Works off what the association has to say.
    fn digest(&mut self, now: Instant) {
        while let Some(mine) = &mut self.association {
            if let Some(event) = mine.1.0.poll() {
                self.take(&event, now);
            } else if let Some(event) = mine.1.0.poll_endpoint_event() {
                let drained = event.is_drained();
                if let Some(endpoint) = &mut self.endpoint {
                    endpoint.handle_event(mine.0, event);
                }
                if drained {
                    self.association = None;
                    self.over = true;
                }
            } else {
                break;
            }
        }
    }

    fn take(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Connected if self.opens => {
                self.open(self.first_stream, DataKind::Reliable, now);
                self.open(self.first_stream + 2, DataKind::Lossy, now);
            }
            Event::Stream(StreamEvent::Opened { id } | StreamEvent::Readable { id }) => {
                // Its own list of them, which is not read here, would grow.
                while self.association().is_some_and(|mine| mine.accept_stream().is_some()) {}
                self.read(*id, now);
            }
            Event::HandshakeFailed { .. } | Event::AssociationLost { .. } => self.over = true,
            _ => {}
        }
    }

    fn association(&mut self) -> Option<&mut Association> {
        self.association.as_mut().map(|mine| &mut mine.1.0)
    }

    fn open(&mut self, stream: StreamId, kind: DataKind, now: Instant) {
        let request = Dcep::open(kind);
        let Some(association) = self.association() else { return };
        let opened = association.open_stream(stream, PayloadProtocolIdentifier::Binary);
        let Ok(mut opened) = opened else { return };
        let set = match kind {
            DataKind::Reliable => {
                opened.set_reliability_params(false, ReliabilityType::Reliable, 0)
            }
            DataKind::Lossy => opened.set_reliability_params(true, ReliabilityType::Rexmit, 0),
        };
        let asked = opened.write_chunk_with_ppi(now, &request, PayloadProtocolIdentifier::Dcep);
        if set.is_ok() && asked.is_ok() {
            self.channels.push(Channel { stream, kind: Some(kind), open: false });
        }
    }

    /// Reads all whole messages of a stream.
    fn read(&mut self, id: StreamId, now: Instant) {
        loop {
            let Some(association) = self.association() else { return };
            let Ok(mut stream) = association.stream(id) else { return };
            let Ok(Some(chunks)) = stream.read_sctp() else { return };
            let Ok(message) = chunks.to_payload(MESSAGE_BYTES_MAX as usize) else { continue };
            match chunks.ppi {
                PayloadProtocolIdentifier::Dcep => self.control(id, &message, now),
                PayloadProtocolIdentifier::Binary | PayloadProtocolIdentifier::String => {
                    let kind = self.channels.iter().find(|channel| channel.stream == id);
                    let kind = kind.and_then(|channel| channel.kind);
                    if let Some(kind) = kind
                        && message.len() <= DATA_MESSAGE_BYTES_MAX
                    {
                        self.received.push_back((kind, message.into()));
                    }
                }
                _ => {}
            }
        }
    }

    fn control(&mut self, id: StreamId, message: &[u8], now: Instant) {
        match DCEP.parse(Outside::new(message)) {
            Ok(Dcep::Open { label, unordered, reliability, reliability_value }) => {
                let known = self.channels.iter().any(|channel| channel.stream == id);
                if known || self.channels.len() >= CHANNELS_MAX {
                    return;
                }
                let Some(association) = self.association() else { return };
                let Ok(mut stream) = association.stream(id) else { return };
                let set = stream.set_reliability_params(unordered, reliability, reliability_value);
                let acknowledged = stream.write_chunk_with_ppi(
                    now,
                    &Dcep::acknowledgement(),
                    PayloadProtocolIdentifier::Dcep,
                );
                if set.is_err() || acknowledged.is_err() {
                    return;
                }
                let kind = match label.as_str() {
                    LABEL_RELIABLE => Some(DataKind::Reliable),
                    LABEL_LOSSY => Some(DataKind::Lossy),
                    _ => None,
                };
                self.channels.push(Channel { stream: id, kind, open: true });
            }
            Ok(Dcep::Acknowledge) => {
                if let Some(channel) = self.channels.iter_mut().find(|c| c.stream == id) {
                    channel.open = true;
                }
            }
            Err(_refusal) => return,
        }
        self.release(now);
    }

    /// Sends what was held for the reliable channel, once that is open.
    fn release(&mut self, now: Instant) {
        if self.open_stream_of(DataKind::Reliable).is_none() {
            return;
        }
        while let Some(message) = self.held.pop_front() {
            self.held_bytes -= message.len();
            if self.write(DataKind::Reliable, &message, now).is_err() {
                self.over = true;
                return;
            }
        }
    }

    fn open_stream_of(&self, kind: DataKind) -> Option<StreamId> {
        let open = |channel: &&Channel| channel.open && channel.kind == Some(kind);
        self.channels.iter().rev().find(open).map(|channel| channel.stream)
    }

    /// Sends a message; a reliable one is held until its channel is open.
    pub(crate) fn send(
        &mut self,
        kind: DataKind,
        message: &Bytes,
        now: Instant,
    ) -> Result<(), Unsent> {
        if message.len() > DATA_MESSAGE_BYTES_MAX || self.over {
            return Err(Unsent::Dropped);
        }
        if self.open_stream_of(kind).is_some() && self.held.is_empty() {
            return self.write(kind, message, now);
        }
        if kind == DataKind::Lossy {
            return Err(Unsent::Dropped);
        }
        if self.held_bytes + message.len() > HELD_BYTES_MAX {
            return Err(Unsent::Overflow);
        }
        self.held_bytes += message.len();
        self.held.push_back(message.clone());
        Ok(())
    }

    fn write(&mut self, kind: DataKind, message: &Bytes, now: Instant) -> Result<(), Unsent> {
        let id = self.open_stream_of(kind).ok_or(Unsent::Dropped)?;
        let association = self.association().ok_or(Unsent::Dropped)?;
        let mut stream = association.stream(id).map_err(|_gone| Unsent::Dropped)?;
        let waiting = stream.buffered_amount().map_err(|_gone| Unsent::Dropped)?;
        match kind {
            DataKind::Reliable if waiting + message.len() > RELIABLE_BUFFERED_BYTES_MAX => {
                return Err(Unsent::Overflow);
            }
            DataKind::Lossy if waiting + message.len() > LOSSY_BUFFERED_BYTES_MAX => {
                return Err(Unsent::Dropped);
            }
            _ => {}
        }
        stream
            .write_chunk_with_ppi(now, message, PayloadProtocolIdentifier::Binary)
            .map_err(|_closed| Unsent::Dropped)?;
        Ok(())
    }

    /// The next message that came in.
    pub(crate) fn poll_received(&mut self) -> Option<(DataKind, Vec<u8>)> {
        self.received.pop_front()
    }

    /// The packets that the association wants to send now.
    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<Vec<Bytes>> {
        if let Some(answer) = self.greets_again.take() {
            return Some(vec![answer]);
        }
        let Payload::RawEncode(packets) = self.association()?.poll_transmit(now)?.message else {
            return None;
        };
        for packet in &packets {
            self.guard.sent(packet);
            if let Some((_, answer @ None)) = &mut self.greeting
                && is_init_ack(packet)
            {
                *answer = Some(packet.clone());
            }
        }
        Some(packets)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.association.as_ref()?.1.0.poll_timeout()
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now) {
            if let Some(association) = self.association() {
                association.handle_timeout(now);
            }
            self.digest(now);
        }
    }
}
