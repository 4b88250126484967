//! Frames of the signalling socket.

use belfry_media_api::{MediaKind, Quality, Source};
use belfry_model::limits;
use belfry_model::outside::Parser;
use livekit_protocol as proto;
use livekit_protocol::signal_request;
use livekit_protocol::signal_response::Message;
use prost::Message as _;
use serde::Deserialize;

/// One ICE candidate as JSON.
pub const TRICKLE_BYTES_MAX: usize = 4 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("the frame is no signal request")]
    Protobuf(#[source] prost::DecodeError),
    #[error("the frame is a kind of request that is not declared")]
    Undeclared,
    #[error("the candidate is no JSON of an RTCIceCandidateInit")]
    Candidate(#[source] serde_json::Error),
}

/// What a client sends.
pub static REQUESTS: Parser<signal_request::Message, WireError> =
    Parser::new("signal request", limits::SIGNAL_FRAME_BYTES_MAX, &[0x70, 0x01], |bytes| {
        let request = proto::SignalRequest::decode(bytes).map_err(WireError::Protobuf)?;
        request.message.ok_or(WireError::Undeclared)
    });

/// An `RTCIceCandidateInit`. The media plane learns addresses from the checks themselves, so
/// nothing of it is used; it is read to refuse what is none.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Candidate {
    /// Empty at the end of candidates. May hold `.local` names.
    pub candidate: String,
    pub sdp_mid: Option<String>,
    pub sdp_m_line_index: Option<u16>,
}

/// The JSON inside a trickle request.
pub static TRICKLES: Parser<Candidate, WireError> = Parser::new(
    "trickle candidate",
    TRICKLE_BYTES_MAX,
    br#"{"candidate":"","sdpMid":"0","sdpMLineIndex":0}"#,
    |bytes| serde_json::from_slice(bytes).map_err(WireError::Candidate),
);

/// A server message as the bytes of one frame.
pub fn response(message: Message) -> Vec<u8> {
    proto::SignalResponse { message: Some(message) }.encode_to_vec()
}

/// The media plane's word for a source on the wire.
pub(crate) fn source(source: proto::TrackSource) -> Source {
    match source {
        proto::TrackSource::Camera => Source::Camera,
        proto::TrackSource::Microphone => Source::Microphone,
        proto::TrackSource::ScreenShare => Source::ScreenShare,
        proto::TrackSource::ScreenShareAudio => Source::ScreenShareAudio,
        proto::TrackSource::Unknown => Source::Unknown,
    }
}

pub(crate) fn track_source(source: Source) -> proto::TrackSource {
    match source {
        Source::Camera => proto::TrackSource::Camera,
        Source::Microphone => proto::TrackSource::Microphone,
        Source::ScreenShare => proto::TrackSource::ScreenShare,
        Source::ScreenShareAudio => proto::TrackSource::ScreenShareAudio,
        Source::Unknown => proto::TrackSource::Unknown,
    }
}

pub(crate) fn kind(source: Source) -> MediaKind {
    match source {
        Source::Microphone | Source::ScreenShareAudio => MediaKind::Audio,
        Source::Camera | Source::ScreenShare | Source::Unknown => MediaKind::Video,
    }
}

/// `None` for OFF and for what is not known.
pub(crate) fn quality(value: i32) -> Option<Quality> {
    match proto::VideoQuality::try_from(value) {
        Ok(proto::VideoQuality::Low) => Some(Quality::Low),
        Ok(proto::VideoQuality::Medium) => Some(Quality::Medium),
        Ok(proto::VideoQuality::High) => Some(Quality::High),
        Ok(proto::VideoQuality::Off) | Err(_) => None,
    }
}
