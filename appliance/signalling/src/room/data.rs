//! Data packets: who said it, whether it may be said, who gets it.

use belfry_media_api::{Command, DataKind};
use belfry_model::outside::Refusal;
use belfry_model::{Identity, Outside, ParticipantSid, Pii, Timestamp, limits};
use livekit_protocol as proto;
use livekit_protocol::data_packet::Value;
use livekit_protocol::data_stream::header::ContentHeader;
use livekit_protocol::data_stream::{
    Chunk, CompressionType, Header, OperationType, TextHeader, Trailer,
};
use prost::Message as _;

use super::Room;
use super::replay::Said;
use super::types::{ChatTo, Notice};
use crate::declared::PacketKind;
use crate::packet::{Content, PACKETS, Packet, PacketError};
use crate::policy::{self, Address, CHAT_TOPIC, Kind, Rule, Verdict};

/// Data streams that one participant has open at the same time.
const STREAMS_MAX: usize = 16;
/// The text of one chat message, bytes of UTF-8.
const CHAT_BYTES_MAX: usize = limits::CHAT_CHARS_MAX * 4;
/// Content of one chunk that we send; clients cut alike.
const CHUNK_BYTES_MAX: usize = 15_000;

/// A data stream between its header and its trailer. The header decides for all of it.
#[derive(Debug)]
pub(super) enum OpenStream {
    /// `None`: everybody.
    Forward {
        to: Option<Vec<ParticipantSid>>,
    },
    Chat {
        to: ChatTo,
        text: Vec<u8>,
    },
}

impl Room {
    pub(super) fn data(
        &mut self,
        sid: &ParticipantSid,
        kind: DataKind,
        bytes: &[u8],
        now: Timestamp,
    ) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        if !participant.data.take(now) {
            self.refused(sid, Rule::TooMany);
            return;
        }
        let packet = match PACKETS.parse(Outside::new(bytes)) {
            Ok(packet) => packet,
            Err(Refusal::Malformed { source: PacketError::Undeclared(number), .. }) => {
                tracing::debug!(participant = %sid, number, "an undeclared kind of packet");
                self.refused(sid, Rule::Undeclared);
                return;
            }
            Err(_) => {
                self.refused(sid, Rule::Malformed);
                return;
            }
        };
        if let Err(rule) = packet.kind.declaration().need.check(&participant.grants) {
            self.refused(sid, rule);
            return;
        }
        if kind == DataKind::Reliable && packet.sequence != 0 {
            if packet.sequence <= participant.last_sequence {
                return;
            }
            participant.last_sequence = packet.sequence;
        }
        if let Err(rule) = self.dispatch(sid, kind, &packet, now) {
            self.refused(sid, rule);
        }
    }

    fn dispatch(
        &mut self,
        sid: &ParticipantSid,
        channel: DataKind,
        packet: &Packet,
        now: Timestamp,
    ) -> Result<(), Rule> {
        match &packet.content {
            Content::Chunk(chunk) => return self.chunk(sid, channel, packet, chunk, now),
            Content::Trailer(trailer) => return self.trailer(sid, channel, packet, trailer, now),
            _ if packet.kind == PacketKind::Metrics => return Ok(()),
            _ => {}
        }
        let address = self.address(packet);
        let role = self.participants[sid].role();
        let topics = &self.config.student_topics;
        match policy::judge(role, address, kind_of(packet), topics) {
            Verdict::Refuse(rule) => Err(rule),
            Verdict::Chat(to) => self.chat_begins(sid, packet, to),
            Verdict::Forward => {
                let to = self.named(packet);
                if let Content::Header(header) = &packet.content {
                    self.open(sid, header, OpenStream::Forward { to: to.clone() })?;
                }
                self.pass_on(sid, channel, packet, to, now);
                Ok(())
            }
        }
    }

    /// Whom a packet names, as far as the policy cares.
    fn address(&self, packet: &Packet) -> Address {
        if packet.destinations.is_empty() && packet.destination_sids.is_empty() {
            return Address::Everyone;
        }
        let leads = |sid: Option<&ParticipantSid>| {
            sid.and_then(|sid| self.participants.get(sid)).is_some_and(|to| to.role().leads())
        };
        let named = packet.destinations.iter().map(|to| leads(self.identities.get(to)));
        let by_sid = packet.destination_sids.iter().map(|sid| leads(Some(sid)));
        if named.chain(by_sid).all(|lead| lead) { Address::Leads } else { Address::Others }
    }

    /// The participants that a packet names; `None`: everybody.
    fn named(&self, packet: &Packet) -> Option<Vec<ParticipantSid>> {
        if packet.destinations.is_empty() && packet.destination_sids.is_empty() {
            return None;
        }
        let named = packet.destinations.iter().filter_map(|to| self.identities.get(to));
        let mut to: Vec<_> = named.chain(&packet.destination_sids).cloned().collect();
        to.sort();
        to.dedup();
        Some(to)
    }

    /// Never back to its sender.
    fn pass_on(
        &mut self,
        sid: &ParticipantSid,
        kind: DataKind,
        packet: &Packet,
        to: Option<Vec<ParticipantSid>>,
        now: Timestamp,
    ) {
        let bytes = packet.forwarded(&self.participants[sid].identity, sid);
        let chosen = |other: &&ParticipantSid| {
            *other != sid && to.as_ref().is_none_or(|to| to.contains(other))
        };
        let reached: Vec<_> = self.participants.keys().filter(chosen).cloned().collect();
        if reached.is_empty() {
            return;
        }
        if kind == DataKind::Reliable && packet.sequence != 0 {
            let (from, sequence, bytes) = (sid.clone(), packet.sequence, bytes.clone());
            self.replay.keep(Said { at: now, from, sequence, to, bytes });
        }
        self.command(Command::SendData { to: reached, kind, bytes });
    }

    fn open(
        &mut self,
        sid: &ParticipantSid,
        header: &Header,
        open: OpenStream,
    ) -> Result<(), Rule> {
        // A header with its content inside is all of its stream.
        if header.inline_content.is_some() {
            return Ok(());
        }
        let participant = self.participants.get_mut(sid).ok_or(Rule::UnknownStream)?;
        if participant.streams.len() >= STREAMS_MAX {
            return Err(Rule::TooMany);
        }
        participant.streams.insert(header.stream_id.clone(), open);
        Ok(())
    }

    fn chunk(
        &mut self,
        sid: &ParticipantSid,
        channel: DataKind,
        packet: &Packet,
        chunk: &Chunk,
        now: Timestamp,
    ) -> Result<(), Rule> {
        let participant = self.participants.get_mut(sid).ok_or(Rule::UnknownStream)?;
        match participant.streams.get_mut(&chunk.stream_id).ok_or(Rule::UnknownStream)? {
            OpenStream::Forward { to } => {
                let to = to.clone();
                self.pass_on(sid, channel, packet, to, now);
                Ok(())
            }
            OpenStream::Chat { text, .. } => {
                if text.len() + chunk.content.len() > CHAT_BYTES_MAX {
                    participant.streams.remove(&chunk.stream_id);
                    return Err(Rule::TooLong);
                }
                text.extend_from_slice(&chunk.content);
                Ok(())
            }
        }
    }

    fn trailer(
        &mut self,
        sid: &ParticipantSid,
        channel: DataKind,
        packet: &Packet,
        trailer: &Trailer,
        now: Timestamp,
    ) -> Result<(), Rule> {
        let participant = self.participants.get_mut(sid).ok_or(Rule::UnknownStream)?;
        match participant.streams.remove(&trailer.stream_id).ok_or(Rule::UnknownStream)? {
            OpenStream::Forward { to } => {
                self.pass_on(sid, channel, packet, to, now);
                Ok(())
            }
            // A reason is an interrupted stream: half a message is none.
            OpenStream::Chat { .. } if !trailer.reason.is_empty() => Ok(()),
            OpenStream::Chat { to, text } => self.chat(sid, to, text),
        }
    }

    fn chat_begins(
        &mut self,
        sid: &ParticipantSid,
        packet: &Packet,
        to: ChatTo,
    ) -> Result<(), Rule> {
        match &packet.content {
            Content::Chat(message) if message.deleted || message.edit_timestamp.is_some() => {
                Err(Rule::UnknownKind)
            }
            Content::Chat(message) => self.chat(sid, to, message.message.clone().into_bytes()),
            Content::Header(header) => {
                let new = matches!(
                    &header.content_header,
                    Some(ContentHeader::TextHeader(text))
                        if text.operation_type() == OperationType::Create
                );
                if !new || header.compression() != CompressionType::None {
                    return Err(Rule::UnknownKind);
                }
                match &header.inline_content {
                    Some(text) => self.chat(sid, to, text.clone()),
                    None => self.open(sid, header, OpenStream::Chat { to, text: Vec::new() }),
                }
            }
            _ => Err(Rule::UnknownKind),
        }
    }

    fn chat(&mut self, sid: &ParticipantSid, to: ChatTo, text: Vec<u8>) -> Result<(), Rule> {
        let text = String::from_utf8(text).map_err(|_| Rule::Malformed)?;
        if text.chars().count() > limits::CHAT_CHARS_MAX {
            return Err(Rule::TooLong);
        }
        if !text.trim().is_empty() {
            let identity = self.participants[sid].identity.clone();
            self.notice(Notice::Chat { identity, text: Pii::new(text), to });
        }
        Ok(())
    }

    /// A chat message of the lesson as a text stream.
    pub(super) fn send_chat(
        &mut self,
        from: &Identity,
        text: &str,
        at: Timestamp,
        to: Option<&[Identity]>,
    ) {
        let stream_id = self.fresh_sid("ST_");
        let header = Header {
            stream_id: stream_id.clone(),
            timestamp: at.0,
            topic: CHAT_TOPIC.to_owned(),
            mime_type: "text/plain".to_owned(),
            total_length: Some(text.len() as u64),
            content_header: Some(ContentHeader::TextHeader(TextHeader::default())),
            ..Default::default()
        };
        let chunks = text.as_bytes().chunks(CHUNK_BYTES_MAX).zip(0..);
        let chunks = chunks.map(|(content, chunk_index)| {
            Value::StreamChunk(Chunk {
                stream_id: stream_id.clone(),
                chunk_index,
                content: content.to_vec(),
                ..Default::default()
            })
        });
        let trailer = Trailer { stream_id: stream_id.clone(), ..Default::default() };
        let values = std::iter::once(Value::StreamHeader(header))
            .chain(chunks)
            .chain([Value::StreamTrailer(trailer)]);
        for value in values {
            self.send_value(Some(from), value, to);
        }
    }

    /// A reliable message of the server; `from` is skipped.
    pub(super) fn send_value(
        &mut self,
        from: Option<&Identity>,
        value: Value,
        to: Option<&[Identity]>,
    ) {
        let sid = from.and_then(|from| self.identities.get(from));
        let packet = proto::DataPacket {
            participant_identity: from.map(ToString::to_string).unwrap_or_default(),
            participant_sid: sid.map(ToString::to_string).unwrap_or_default(),
            value: Some(value),
            ..Default::default()
        };
        let chosen = |(identity, _): &(&Identity, &ParticipantSid)| {
            Some(*identity) != from && to.is_none_or(|to| to.contains(identity))
        };
        let to: Vec<_> =
            self.identities.iter().filter(chosen).map(|(_, sid)| sid.clone()).collect();
        if !to.is_empty() {
            let bytes = packet.encode_to_vec();
            self.command(Command::SendData { to, kind: DataKind::Reliable, bytes });
        }
    }
}

fn kind_of(packet: &Packet) -> Kind<'_> {
    match &packet.content {
        Content::User { topic } => Kind::User { topic },
        Content::Chat(_) => Kind::Chat,
        Content::Header(header) if header.topic == CHAT_TOPIC => Kind::Chat,
        Content::Header(header) => match header.content_header {
            Some(ContentHeader::TextHeader(_)) => Kind::TextStream { topic: &header.topic },
            _ => Kind::ByteStream,
        },
        Content::Chunk(_) | Content::Trailer(_) => Kind::Other,
        Content::Unread => match packet.kind {
            PacketKind::RpcRequest => Kind::RpcRequest,
            PacketKind::RpcAck | PacketKind::RpcResponse => Kind::RpcReply,
            PacketKind::EncryptedPacket => Kind::Encrypted,
            _ => Kind::Other,
        },
    }
}
