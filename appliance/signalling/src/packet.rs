//! Data packets: read for the policy, and written on with the sender that we know.
//!
//! The protobuf library forgets what it does not know, so a packet is not decoded and encoded
//! again: its fields are cut apart on the wire, the sender's are replaced, the content is kept as
//! it came.
//! **Invariant:** what is passed on holds exactly one content, the one that was judged.

use belfry_model::outside::Parser;
use belfry_model::{Identity, ParticipantSid, limits};
use livekit_protocol as proto;
use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

use crate::declared::PacketKind;

/// Field numbers of `DataPacket`.
mod field {
    pub(super) const KIND: u32 = 1;
    pub(super) const USER: u32 = 2;
    pub(super) const IDENTITY: u32 = 4;
    pub(super) const DESTINATIONS: u32 = 5;
    pub(super) const SEQUENCE: u32 = 16;
    pub(super) const SID: u32 = 17;
}
/// Field numbers of `UserPacket`.
mod user_field {
    pub(super) const SID: u32 = 1;
    pub(super) const DESTINATION_SIDS: u32 = 3;
    pub(super) const IDENTITY: u32 = 5;
    pub(super) const DESTINATIONS: u32 = 6;
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PacketError {
    #[error("the message is no protobuf")]
    Wire,
    #[error("the packet carries nothing")]
    Empty,
    #[error("the packet's kind {0} is not declared")]
    Undeclared(u32),
    #[error("the packet's content is malformed")]
    Content(#[source] prost::DecodeError),
}

/// What a packet carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    User {
        topic: String,
    },
    Chat(proto::ChatMessage),
    Header(proto::data_stream::Header),
    Chunk(proto::data_stream::Chunk),
    Trailer(proto::data_stream::Trailer),
    /// What is judged by its kind alone.
    Unread,
}

/// A participant's data packet. Whom it says it is from is not read at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    pub kind: PacketKind,
    pub content: Content,
    pub destinations: Vec<Identity>,
    pub destination_sids: Vec<ParticipantSid>,
    /// Counts a sender's reliable packets; 0: not counted.
    pub sequence: u32,
    /// Number and bytes of the content's field.
    number: u32,
    body: Vec<u8>,
}

/// A message of the data channels.
pub static PACKETS: Parser<Packet, PacketError> = Parser::new(
    "data packet",
    limits::DATA_MESSAGE_BYTES_MAX,
    &[0x12, 0x03, 0x12, 0x01, b'x'],
    read,
);

/// One field of a message: its number and wire type, and where its value lies.
struct Field<'a> {
    number: u32,
    wire_type: WireType,
    /// The value; of a length-delimited one without the length.
    value: &'a [u8],
}

fn fields(mut rest: &[u8]) -> Result<Vec<Field<'_>>, PacketError> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (number, wire_type) = decode_key(&mut rest).map_err(|_| PacketError::Wire)?;
        let before = rest;
        let length = match wire_type {
            WireType::Varint => {
                decode_varint(&mut rest).map_err(|_| PacketError::Wire)?;
                let length = before.len() - rest.len();
                rest = before;
                length
            }
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => {
                let length = decode_varint(&mut rest).map_err(|_| PacketError::Wire)?;
                usize::try_from(length).map_err(|_| PacketError::Wire)?
            }
            WireType::StartGroup | WireType::EndGroup => return Err(PacketError::Wire),
        };
        let (value, after) = rest.split_at_checked(length).ok_or(PacketError::Wire)?;
        fields.push(Field { number, wire_type, value });
        rest = after;
    }
    Ok(fields)
}

fn text(value: &[u8]) -> Result<String, PacketError> {
    String::from_utf8(value.to_vec()).map_err(|_| PacketError::Wire)
}

fn read(bytes: &[u8]) -> Result<Packet, PacketError> {
    let mut destinations = Vec::new();
    let mut sequence = 0;
    let mut content = None;
    for field in fields(bytes)? {
        match (field.number, field.wire_type) {
            (field::KIND | field::IDENTITY | field::SID, _) => {}
            (field::DESTINATIONS, WireType::LengthDelimited) => {
                destinations.push(Identity::new(text(field.value)?));
            }
            (field::SEQUENCE, WireType::Varint) => {
                let mut value = field.value;
                sequence = decode_varint(&mut value).map_err(|_| PacketError::Wire)? as u32;
            }
            // Of several contents the last one counts, for us as for every decoder.
            (number, WireType::LengthDelimited) => content = Some((number, field.value)),
            _ => return Err(PacketError::Wire),
        }
    }
    let (number, body) = content.ok_or(PacketError::Empty)?;
    let kind = PacketKind::numbered(number).ok_or(PacketError::Undeclared(number))?;
    let mut destination_sids = Vec::new();
    if number == field::USER {
        for field in fields(body)? {
            match field.number {
                user_field::DESTINATION_SIDS => {
                    destination_sids.push(ParticipantSid::new(text(field.value)?));
                }
                user_field::DESTINATIONS => destinations.push(Identity::new(text(field.value)?)),
                _ => {}
            }
        }
    }
    Ok(Packet {
        kind,
        content: content_of(kind, body).map_err(PacketError::Content)?,
        destinations,
        destination_sids,
        sequence,
        number,
        body: body.to_vec(),
    })
}

fn content_of(kind: PacketKind, body: &[u8]) -> Result<Content, prost::DecodeError> {
    use proto::data_stream::{Chunk, Header, Trailer};
    Ok(match kind {
        PacketKind::User => {
            Content::User { topic: proto::UserPacket::decode(body)?.topic.unwrap_or_default() }
        }
        PacketKind::ChatMessage => Content::Chat(proto::ChatMessage::decode(body)?),
        PacketKind::StreamHeader => Content::Header(Header::decode(body)?),
        PacketKind::StreamChunk => Content::Chunk(Chunk::decode(body)?),
        PacketKind::StreamTrailer => Content::Trailer(Trailer::decode(body)?),
        _ => Content::Unread,
    })
}

fn put(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

impl Packet {
    /// The packet as others receive it: from this sender, without its destinations.
    pub fn forwarded(&self, identity: &Identity, sid: &ParticipantSid) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 96);
        put(&mut out, field::IDENTITY, identity.as_str().as_bytes());
        put(&mut out, field::SID, sid.as_str().as_bytes());
        if self.sequence != 0 {
            encode_key(field::SEQUENCE, WireType::Varint, &mut out);
            encode_varint(u64::from(self.sequence), &mut out);
        }
        if self.number == field::USER {
            put(&mut out, field::USER, &self.user_body(identity, sid));
        } else {
            put(&mut out, self.number, &self.body);
        }
        out
    }

    /// The user packet with the deprecated copies of sender and destinations replaced.
    fn user_body(&self, identity: &Identity, sid: &ParticipantSid) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 64);
        let fields = fields(&self.body).expect("the body was cut apart when it was read");
        for field in fields {
            match field.number {
                user_field::SID
                | user_field::IDENTITY
                | user_field::DESTINATION_SIDS
                | user_field::DESTINATIONS => {}
                _ if field.wire_type == WireType::LengthDelimited => {
                    put(&mut out, field.number, field.value);
                }
                _ => {
                    encode_key(field.number, field.wire_type, &mut out);
                    out.extend_from_slice(field.value);
                }
            }
        }
        put(&mut out, user_field::SID, sid.as_str().as_bytes());
        put(&mut out, user_field::IDENTITY, identity.as_str().as_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use belfry_model::Outside;
    use belfry_model::outside::{Refusal, Target as _};
    use livekit_protocol as proto;
    use livekit_protocol::data_packet::Value;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::{Content, PACKETS, Packet, PacketError, PacketKind};

    fn parse(bytes: &[u8]) -> Packet {
        PACKETS.parse(Outside::new(bytes)).expect("a packet")
    }

    #[test]
    #[allow(deprecated, reason = "the deprecated copies are what the test is about")]
    fn a_forged_sender_is_overwritten_in_every_place() {
        let forged = proto::DataPacket {
            participant_identity: "p1".to_owned(),
            participant_sid: "PA_forged".to_owned(),
            destination_identities: vec!["p2".to_owned()],
            sequence: 7,
            value: Some(Value::User(proto::UserPacket {
                participant_sid: "PA_forged".to_owned(),
                participant_identity: "p1".to_owned(),
                destination_sids: vec!["PA_x".to_owned()],
                destination_identities: vec!["p3".to_owned()],
                payload: b"hello".to_vec(),
                topic: Some("t".to_owned()),
                start_time: Some(5),
                ..Default::default()
            })),
            ..Default::default()
        };
        let packet = parse(&forged.encode_to_vec());
        assert_eq!(packet.content, Content::User { topic: "t".to_owned() });
        assert_eq!(packet.destinations, ["p2".into(), "p3".into()]);
        assert_eq!(packet.destination_sids, ["PA_x".into()]);
        let out = packet.forwarded(&"p9".into(), &"PA_9".into());
        let out = proto::DataPacket::decode(out.as_slice()).expect("own bytes");
        assert_eq!(
            (out.participant_identity.as_str(), out.participant_sid.as_str()),
            ("p9", "PA_9")
        );
        assert!(out.destination_identities.is_empty());
        assert_eq!(out.sequence, 7);
        let Some(Value::User(user)) = out.value else { panic!("a user packet") };
        assert_eq!(
            (user.participant_identity.as_str(), user.participant_sid.as_str()),
            ("p9", "PA_9")
        );
        assert!(user.destination_identities.is_empty() && user.destination_sids.is_empty());
        assert_eq!(
            (user.payload.as_slice(), user.topic.as_deref(), user.start_time),
            (&b"hello"[..], Some("t"), Some(5))
        );
    }

    #[test]
    fn content_that_this_version_does_not_know_in_full_is_kept_as_it_came() {
        // An RPC request with a field 99 of a later version.
        let body = [0x0a, 1, b'i', 0x9a, 0x06, 2, b'n', b'w'];
        let mut bytes = vec![0x52, body.len() as u8];
        bytes.extend_from_slice(&body);
        let packet = parse(&bytes);
        assert_eq!(packet.kind, PacketKind::RpcRequest);
        let out = packet.forwarded(&"p9".into(), &"PA_9".into());
        assert!(out.ends_with(&body));
    }

    #[test]
    fn of_two_contents_only_the_judged_one_is_passed_on() {
        let mut bytes = proto::DataPacket {
            value: Some(Value::RpcAck(proto::RpcAck::default())),
            ..Default::default()
        }
        .encode_to_vec();
        bytes.extend_from_slice(
            &proto::DataPacket {
                value: Some(Value::ChatMessage(proto::ChatMessage {
                    message: "hi".to_owned(),
                    ..Default::default()
                })),
                ..Default::default()
            }
            .encode_to_vec(),
        );
        let packet = parse(&bytes);
        assert!(matches!(packet.content, Content::Chat(_)));
        let out = packet.forwarded(&"p9".into(), &"PA_9".into());
        assert_eq!(super::fields(&out).expect("own bytes").len(), 3, "identity, sid, content");
    }

    #[test]
    fn a_kind_that_is_not_declared_is_refused_and_counted() {
        let before = PACKETS.refused_count();
        // Field 99 of a later version.
        let refused = PACKETS.parse(Outside::new(&[0x9a, 0x06, 1, b'x']));
        let Err(Refusal::Malformed { source, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(source, PacketError::Undeclared(99));
        assert!(PACKETS.refused_count() > before);
    }

    #[test]
    fn a_packet_above_the_limit_is_refused() {
        let bytes = vec![0; belfry_model::limits::DATA_MESSAGE_BYTES_MAX + 1];
        assert!(PACKETS.parse(Outside::new(&bytes)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_passed_on_is_always_readable_and_from_the_sender(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Ok(packet) = PACKETS.parse(Outside::new(&bytes)) {
                let out = packet.forwarded(&"p9".into(), &"PA_9".into());
                let again = parse(&out);
                prop_assert_eq!(again.content, packet.content);
                prop_assert!(again.destinations.is_empty() && again.destination_sids.is_empty());
            }
        }
    }
}
