//! The Data Channel Establishment Protocol (RFC 8832).

use belfry_media_api::DataKind;
use belfry_model::outside::Parser;
use bytes::Bytes;
use rtc_datachannel::{
    data_channel::DataChannel,
    message::{
        Message,
        message_channel_ack::DataChannelAck,
        message_channel_open::{CHANNEL_PRIORITY_NORMAL, ChannelType, DataChannelOpen},
    },
};
use rtc_sctp::ReliabilityType;
use rtc_shared::{
    error::Error,
    marshal::{Marshal, Unmarshal},
};

use super::{LABEL_LOSSY, LABEL_RELIABLE};

/// A label and a protocol of some length; the RFC allows 64 KiB each.
const DCEP_BYTES_MAX: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum DcepError {
    #[error("not a DCEP message")]
    Message(#[source] Error),
    #[error("not a message that travels")]
    Kind,
    #[error("the label is not text")]
    Label,
}

/// DCEP messages.
pub(crate) static DCEP: Parser<Dcep, DcepError> =
    Parser::new("sfu dcep", DCEP_BYTES_MAX, b"\x03\0\x01\0\0\0\0\0\0\x09\0\0_reliable", parse);

/// Message types (RFC 8832, section 8.2.1).
const ACKNOWLEDGE: u8 = 2;
const OPEN: u8 = 3;

#[derive(Debug)]
pub(crate) enum Dcep {
    Open { label: String, unordered: bool, reliability: ReliabilityType, reliability_value: u32 },
    Acknowledge,
}

fn parse(mut bytes: &[u8]) -> Result<Dcep, DcepError> {
    // The library has more types for its own use, and panics where such a message is cut short.
    if !matches!(bytes.first(), Some(&(ACKNOWLEDGE | OPEN))) {
        return Err(DcepError::Kind);
    }
    match Message::unmarshal(&mut bytes).map_err(DcepError::Message)? {
        Message::DataChannelOpen(open) => {
            let (unordered, reliability) = DataChannel::get_reliability_params(open.channel_type);
            Ok(Dcep::Open {
                label: String::from_utf8(open.label).map_err(|_utf8| DcepError::Label)?,
                unordered,
                reliability,
                reliability_value: open.reliability_parameter,
            })
        }
        Message::DataChannelAck(_) => Ok(Dcep::Acknowledge),
        _ => Err(DcepError::Kind),
    }
}

impl Dcep {
    /// The request that opens our channel of this kind.
    pub(super) fn open(kind: DataKind) -> Bytes {
        let (label, channel_type) = match kind {
            DataKind::Reliable => (LABEL_RELIABLE, ChannelType::Reliable),
            // With reliability parameter 0: sent once.
            DataKind::Lossy => (LABEL_LOSSY, ChannelType::PartialReliableRexmitUnordered),
        };
        encode(&Message::DataChannelOpen(DataChannelOpen {
            channel_type,
            priority: CHANNEL_PRIORITY_NORMAL,
            reliability_parameter: 0,
            label: label.into(),
            protocol: Vec::new(),
        }))
    }

    pub(super) fn acknowledgement() -> Bytes {
        encode(&Message::DataChannelAck(DataChannelAck))
    }
}

fn encode(message: &Message) -> Bytes {
    message.marshal().expect("the buffer is made to the message's own size").freeze()
}
