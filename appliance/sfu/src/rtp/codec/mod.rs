//! What forwarding needs to know of a payload: where frames begin, which of them are keyframes.
//! Payloads are never decoded.

mod av1;
mod h264;
mod red;
mod vp8;
mod vp9;

pub(crate) use av1::{AV1, DESCRIPTOR};
pub(crate) use h264::H264;
pub(crate) use red::{RED, primary};
pub(crate) use vp8::{VP8, Vp8, rewrite as rewrite_vp8};
pub(crate) use vp9::VP9;

use belfry_model::Outside;

use crate::sdp::CodecKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload ends inside its descriptor")]
pub(crate) struct Cut;

/// What a payload tells about its frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peek {
    /// The packet belongs to a frame that needs no other.
    pub(crate) keyframe: bool,
    /// The packet begins a frame.
    pub(crate) start: bool,
    /// VP8's numbers, which have to stay continuous over a switch of layers.
    pub(crate) vp8: Option<Vp8>,
}

impl Peek {
    /// A receiver can begin with this packet.
    pub(crate) fn is_entry(self) -> bool {
        self.keyframe && self.start
    }
}

/// Looks into a payload of `codec`; `None`: it is not one.
pub(crate) fn peek(codec: CodecKind, payload: &[u8], descriptor: &[u8]) -> Option<Peek> {
    let bytes = Outside::new(payload);
    match codec {
        CodecKind::Vp8 => VP8.parse(bytes).ok().map(|vp8| Peek {
            keyframe: vp8.keyframe,
            start: vp8.start,
            vp8: Some(vp8),
        }),
        CodecKind::Vp9 => VP9.parse(bytes).ok(),
        CodecKind::H264 => H264.parse(bytes).ok(),
        CodecKind::Av1 if descriptor.is_empty() => AV1.parse(bytes).ok(),
        CodecKind::Av1 => DESCRIPTOR.parse(Outside::new(descriptor)).ok(),
        CodecKind::Opus | CodecKind::Red => Some(Peek { keyframe: true, start: true, vp8: None }),
    }
}
