//! The client's side of the wire, for synthetic participants and tests.

use belfry_model::limits;
use belfry_model::outside::Parser;
use livekit_protocol as proto;
use livekit_protocol::signal_request::Message;
use prost::Message as _;

use crate::wire::WireError;

/// A client message as the bytes of one frame.
pub fn request(message: Message) -> Vec<u8> {
    proto::SignalRequest { message: Some(message) }.encode_to_vec()
}

/// What a server sends. A join response of a full room is the largest.
pub static RESPONSES: Parser<proto::SignalResponse, WireError> =
    Parser::new("signal response", limits::SIGNAL_FRAME_BYTES_MAX, &[0x90, 0x01, 0x01], |bytes| {
        proto::SignalResponse::decode(bytes).map_err(WireError::Protobuf)
    });

/// A data packet as the bytes of one data-channel message.
pub fn data_packet(packet: &proto::DataPacket) -> Vec<u8> {
    packet.encode_to_vec()
}

/// The data packet of one data-channel message; `None` if it is none.
pub fn read_data_packet(bytes: &[u8]) -> Option<proto::DataPacket> {
    proto::DataPacket::decode(bytes).ok()
}
