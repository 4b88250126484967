//! What each message of a client needs, and what it leaves in the record.
//!
//! A kind of message that is not in these tables does not compile if the protocol's types have it,
//! and is refused and counted by its parser if they have not.

use belfry_audit::{Declared, EventKind, no_audit};
use livekit_protocol::data_packet::Value;
use livekit_protocol::signal_request::Message as Asked;

use crate::policy::Rule;
use crate::token::Grants;

/// What a message needs of its sender, who is a participant of the room in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing more. What the message asks for may be limited further by what it names.
    Participant,
    /// May publish at least one source.
    Publish,
    Subscribe,
    /// May send data. Who may say what to whom is [`policy::judge`](crate::policy::judge)'s.
    Data,
    /// Leads the lesson, and may change its own metadata.
    OwnMetadata,
    /// Nobody may: it is not offered, or it is not a client's to say.
    Nobody(Rule),
}

impl Need {
    pub fn check(self, of: &Grants) -> Result<(), Rule> {
        let permissions = &of.permissions;
        let (met, rule) = match self {
            Self::Participant => return Ok(()),
            Self::Publish => (!permissions.sources.is_empty(), Rule::NotPermitted),
            Self::Subscribe => (permissions.subscribe, Rule::NotPermitted),
            Self::Data => (permissions.data, Rule::NotPermitted),
            Self::OwnMetadata => (of.role.leads() && of.can_update_own_metadata, Rule::OwnMetadata),
            Self::Nobody(rule) => (false, rule),
        };
        if met { Ok(()) } else { Err(rule) }
    }
}

/// What a kind of message declares. Whatever is refused leaves [`EventKind::RuleRefused`] besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declaration {
    pub need: Need,
    pub audit: Declared,
}

macro_rules! declare {
    ($($(#[$doc:meta])* $name:ident of $oneof:ident {
        $($kind:ident = $number:literal $need:expr, $audit:expr;)+
    })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($kind = $number),+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// Of a message. A kind that is missing in the table does not compile.
            #[allow(deprecated, reason = "older clients send what newer ones do not")]
            pub fn of(message: &$oneof) -> Self {
                match message { $($oneof::$kind(_) => Self::$kind),+ }
            }

            /// The kind of a field number of the protocol.
            pub fn numbered(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$kind),)+ _ => None }
            }

            pub fn declaration(self) -> Declaration {
                match self { $(Self::$kind => const { Declaration { need: $need, audit: $audit } }),+ }
            }
        }
    )+};
}

const NEGOTIATION: Declared = no_audit("how media is negotiated; who takes part is recorded");
const PUBLISHING: Declared =
    no_audit("own tracks, within what the lesson allows; its locks and mutes are recorded");
const RECEIVING: Declared = no_audit("how much of what everybody may see somebody receives");
const UPKEEP: Declared = no_audit("keeps the socket and its state alive");
const PASSED_ON: Declared = no_audit("passed on where the rules allow it, and not kept");
const REFUSED: Declared = Declared::Audited(EventKind::RuleRefused);

declare! {
    /// Kinds of requests on the signalling socket.
    RequestKind of Asked {
        Offer = 1 Need::Participant, NEGOTIATION;
        Answer = 2 Need::Participant, NEGOTIATION;
        Trickle = 3 Need::Participant, NEGOTIATION;
        AddTrack = 4 Need::Publish, PUBLISHING;
        // Also the echo of a lock, from one who may not publish any more.
        Mute = 5 Need::Participant, PUBLISHING;
        Subscription = 6 Need::Subscribe, RECEIVING;
        TrackSetting = 7 Need::Subscribe, RECEIVING;
        Leave = 8 Need::Participant, no_audit("the lesson records who leaves it");
        UpdateLayers = 10 Need::Participant, no_audit("does nothing: layers are seen in the media itself");
        SubscriptionPermission = 11 Need::Participant, no_audit("everybody, or those whom a lead chooses");
        SyncState = 12 Need::Participant, UPKEEP;
        Simulate = 13 Need::Nobody(Rule::NotOffered), REFUSED;
        Ping = 14 Need::Participant, UPKEEP;
        UpdateMetadata = 15 Need::OwnMetadata, no_audit("a lead's own attributes, seen in the lesson and not kept");
        PingReq = 16 Need::Participant, UPKEEP;
        UpdateAudioTrack = 17 Need::Participant, PUBLISHING;
        UpdateVideoTrack = 18 Need::Participant, PUBLISHING;
        PublishDataTrackRequest = 19 Need::Nobody(Rule::DataTrack), REFUSED;
        UnpublishDataTrackRequest = 20 Need::Nobody(Rule::DataTrack), REFUSED;
        UpdateDataSubscription = 21 Need::Nobody(Rule::DataTrack), REFUSED;
        StoreDataBlobRequest = 22 Need::Nobody(Rule::NotOffered), REFUSED;
        GetDataBlobRequest = 23 Need::Nobody(Rule::NotOffered), REFUSED;
    }

    /// Kinds of packets on the data channels.
    PacketKind of Value {
        User = 2 Need::Data, PASSED_ON;
        Speaker = 3 Need::Nobody(Rule::UnknownKind), REFUSED;
        SipDtmf = 6 Need::Nobody(Rule::UnknownKind), REFUSED;
        Transcription = 7 Need::Nobody(Rule::UnknownKind), REFUSED;
        Metrics = 8 Need::Data, no_audit("a client's own figures, which nobody receives");
        ChatMessage = 9 Need::Data, no_audit("kept word for word with the lesson's chat");
        RpcRequest = 10 Need::Data, PASSED_ON;
        RpcAck = 11 Need::Data, PASSED_ON;
        RpcResponse = 12 Need::Data, PASSED_ON;
        StreamHeader = 13 Need::Data, PASSED_ON;
        StreamChunk = 14 Need::Data, PASSED_ON;
        StreamTrailer = 15 Need::Data, PASSED_ON;
        EncryptedPacket = 18 Need::Nobody(Rule::Encrypted), REFUSED;
    }
}

#[cfg(test)]
mod tests {
    use belfry_model::LessonRole;
    use livekit_protocol as proto;
    use prost::Message as _;
    use prost::encoding::{WireType, encode_key, encode_varint};

    use super::{Need, PacketKind, RequestKind};
    use crate::policy::Rule;
    use crate::room::Permissions;
    use crate::token::Grants;

    /// Above every field number that the protocol may come to use.
    const NUMBERS_MAX: u32 = 2_000;

    /// The emptiest messages with this field, one of each wire type that a oneof's variants have.
    fn with_field(number: u32) -> [Vec<u8>; 2] {
        [WireType::LengthDelimited, WireType::Varint].map(|wire_type| {
            let mut bytes = Vec::new();
            encode_key(number, wire_type, &mut bytes);
            encode_varint(0, &mut bytes);
            bytes
        })
    }

    #[test]
    fn every_variant_of_the_protocols_requests_is_declared_under_its_own_number() {
        let mut found = Vec::new();
        for number in 1..NUMBERS_MAX {
            for bytes in with_field(number) {
                let read = proto::SignalRequest::decode(bytes.as_slice());
                if let Ok(proto::SignalRequest { message: Some(message) }) = read {
                    let kind = RequestKind::of(&message);
                    assert_eq!(RequestKind::numbered(number), Some(kind));
                    found.push(kind);
                }
            }
        }
        assert_eq!(found, RequestKind::ALL);
    }

    #[test]
    fn every_variant_of_the_protocols_packets_is_declared_under_its_own_number() {
        let mut found = Vec::new();
        for number in 1..NUMBERS_MAX {
            for bytes in with_field(number) {
                let read = proto::DataPacket::decode(bytes.as_slice());
                if let Ok(proto::DataPacket { value: Some(value), .. }) = read {
                    let kind = PacketKind::of(&value);
                    assert_eq!(PacketKind::numbered(number), Some(kind));
                    found.push(kind);
                }
            }
        }
        assert_eq!(found, PacketKind::ALL);
    }

    #[test]
    fn every_declaration_names_an_event_or_a_reason_and_what_nobody_may_is_recorded() {
        let requests = RequestKind::ALL.iter().map(|kind| kind.declaration());
        let packets = PacketKind::ALL.iter().map(|kind| kind.declaration());
        for declared in requests.chain(packets) {
            let nobody = matches!(declared.need, Need::Nobody(_));
            assert_eq!(declared.audit.kind().is_some(), nobody, "{declared:?}");
            assert_eq!(declared.audit.reason().is_some(), !nobody, "{declared:?}");
        }
    }

    #[test]
    fn a_need_is_met_by_its_grant_and_by_no_other() {
        let nothing = Permissions { sources: [].into(), subscribe: false, data: false };
        let grants =
            |role, permissions| Grants { permissions, ..Grants::new("p1".into(), "P", "1", role) };
        let student = grants(LessonRole::Student, Permissions::all());
        let mut teacher = grants(LessonRole::Teacher, nothing);
        teacher.can_update_own_metadata = true;
        let rows = [
            (Need::Participant, Ok(()), Ok(())),
            (Need::Publish, Ok(()), Err(Rule::NotPermitted)),
            (Need::Subscribe, Ok(()), Err(Rule::NotPermitted)),
            (Need::Data, Ok(()), Err(Rule::NotPermitted)),
            (Need::OwnMetadata, Err(Rule::OwnMetadata), Ok(())),
            (Need::Nobody(Rule::NotOffered), Err(Rule::NotOffered), Err(Rule::NotOffered)),
        ];
        for (need, of_student, of_teacher) in rows {
            assert_eq!((need.check(&student), need.check(&teacher)), (of_student, of_teacher));
        }
    }
}
