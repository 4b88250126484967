//! What forwarding needs to know of a payload: where frames begin, which of them are keyframes.
//! Payloads are never decoded.

mod active;
mod av1;
mod bits;
mod descriptor;
mod h264;
mod red;
mod vp8;
mod vp9;

pub(crate) use active::{Active, rewrite};
pub(crate) use av1::AV1;
pub(crate) use descriptor::{DESCRIPTOR, Structure};
pub(crate) use h264::H264;
pub(crate) use red::{RED, primary};
pub(crate) use vp8::VP8;
pub(crate) use vp9::VP9;

use belfry_model::Outside;

use crate::sdp::CodecKind;

/// The highest id that three bits hold.
pub(crate) const TEMPORAL_MAX: u8 = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload ends inside its descriptor")]
pub(crate) struct Cut;

/// What a payload tells about its frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one bit on the wire")]
pub(crate) struct Peek {
    /// The packet belongs to a frame that needs no other.
    pub(crate) keyframe: bool,
    /// The packet begins a frame: in a stream of spatial layers, that of one layer.
    pub(crate) start: bool,
    /// The packet ends one; `false` where a payload does not say.
    pub(crate) end: bool,
    /// Parameter sets of H.264 are in it.
    pub(crate) parameters: bool,
    /// 0 where a codec has no layers or does not say.
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    /// How many frames back the frame refers at most; 0: not at all.
    pub(crate) reach: u16,
    pub(crate) opens: Opens,
    /// Numbers in the payload that have to stay continuous over a switch of layers.
    pub(crate) numbering: Option<Numbering>,
    /// The number in the dependency descriptor, likewise.
    pub(crate) frame: Option<u16>,
}

/// Which temporal layers of its spatial layer can be begun with a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Opens {
    #[default]
    Nothing,
    /// The frame's own, by this frame.
    Itself,
    /// All up to this one, by the frames after it.
    Up(u8),
}

impl Peek {
    /// A receiver can begin with this packet.
    pub(crate) fn is_entry(self) -> bool {
        self.keyframe && self.start && self.spatial == 0
    }

    /// The same packet, with what its descriptor says of layers: where one can begin, the payload
    /// says better.
    fn in_layers_of(self, described: Option<Self>) -> Self {
        let Self { spatial, temporal, reach, opens, .. } = described.unwrap_or_default();
        Self { spatial, temporal, reach, opens, ..self }
    }
}

/// The picture id and TL0PICIDX of VP8 or VP9, and where they lie in the payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbering {
    /// 7 or 15 bits.
    pub(crate) picture_id: Option<u16>,
    pub(crate) picture_id_long: bool,
    pub(crate) tl0: Option<u8>,
    pub(crate) picture_id_at: u8,
    pub(crate) tl0_at: u8,
}

impl Numbering {
    /// Reads the picture id at `at`; says where it ends.
    fn read_picture_id(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        self.picture_id_at = at as u8;
        let head = *bytes.get(at)?;
        self.picture_id_long = head & 0x80 != 0;
        if self.picture_id_long {
            self.picture_id = Some(u16::from_be_bytes([head & 0x7F, *bytes.get(at + 1)?]));
            Some(at + 2)
        } else {
            self.picture_id = Some(u16::from(head));
            Some(at + 1)
        }
    }

    /// Writes new numbers over those that were found; `payload` is the whole payload. A 7-bit
    /// picture id stays one.
    pub(crate) fn write(&self, payload: &mut [u8], picture_id: u16, tl0: u8) {
        let at = usize::from(self.picture_id_at);
        if self.picture_id.is_some() {
            if self.picture_id_long {
                if let Some(slot) = payload.get_mut(at..at + 2) {
                    slot.copy_from_slice(&(picture_id | 0x8000).to_be_bytes());
                }
            } else if let Some(slot) = payload.get_mut(at) {
                *slot = (picture_id & 0x7F) as u8;
            }
        }
        if self.tl0.is_some()
            && let Some(slot) = payload.get_mut(usize::from(self.tl0_at))
        {
            *slot = tl0;
        }
    }
}

/// Looks into a payload of `codec`; `None`: it is not one. `structure` is that of the stream's
/// dependency descriptors, in which AV1 and H.264 have their layers.
pub(crate) fn peek(
    codec: CodecKind,
    payload: &[u8],
    descriptor: &[u8],
    structure: &mut Option<Box<Structure>>,
) -> Option<Peek> {
    let bytes = Outside::new(payload);
    let mut described = || {
        let descriptor = DESCRIPTOR.parse(Outside::new(descriptor)).ok()?;
        Some(descriptor.peek(structure))
    };
    match codec {
        CodecKind::Vp8 => {
            let peek = VP8.parse(bytes).ok()?;
            // Chromium leaves the numbers and layers out of a payload that has a descriptor.
            let told = peek.numbering.is_some() || descriptor.is_empty();
            Some(if told { peek } else { peek.in_layers_of(described()) })
        }
        CodecKind::Vp9 => VP9.parse(bytes).ok(),
        CodecKind::Av1 if descriptor.is_empty() => AV1.parse(bytes).ok(),
        CodecKind::Av1 => described(),
        CodecKind::H264 => {
            let peek = H264.parse(bytes).ok()?;
            Some(if descriptor.is_empty() { peek } else { peek.in_layers_of(described()) })
        }
        CodecKind::Opus | CodecKind::Red => {
            Some(Peek { keyframe: true, start: true, ..Peek::default() })
        }
    }
}
