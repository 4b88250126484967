//! The codecs that are forwarded, and how an offer's payload types map to them.

use belfry_media_api::MediaKind;

/// A codec that the appliance forwards. RED is opus with redundancy (RFC 2198).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum CodecKind {
    Opus = 0,
    Red = 1,
    Vp8 = 2,
    H264 = 3,
    Vp9 = 4,
    Av1 = 5,
}

impl CodecKind {
    pub(crate) const COUNT: usize = 6;
    pub(crate) const ALL: [Self; Self::COUNT] =
        [Self::Opus, Self::Red, Self::Vp8, Self::H264, Self::Vp9, Self::Av1];

    pub(crate) fn mime(self) -> &'static str {
        match self {
            Self::Opus => "audio/opus",
            Self::Red => "audio/red",
            Self::Vp8 => "video/VP8",
            Self::H264 => "video/H264",
            Self::Vp9 => "video/VP9",
            Self::Av1 => "video/AV1",
        }
    }

    pub(crate) fn media(self) -> MediaKind {
        match self {
            Self::Opus | Self::Red => MediaKind::Audio,
            Self::Vp8 | Self::H264 | Self::Vp9 | Self::Av1 => MediaKind::Video,
        }
    }

    /// The encoding name of `a=rtpmap`.
    pub(crate) fn name(self) -> &'static str {
        &self.mime()[6..]
    }

    /// Hertz.
    pub(crate) fn clock_rate(self) -> u32 {
        match self.media() {
            MediaKind::Audio => 48_000,
            MediaKind::Video => 90_000,
        }
    }

    /// What follows `a=rtpmap:<pt> `.
    pub(super) fn rtpmap(self) -> String {
        match self.media() {
            MediaKind::Audio => format!("{}/48000/2", self.name()),
            MediaKind::Video => format!("{}/90000", self.name()),
        }
    }

    /// The payload type under which this codec is offered to every subscriber: one number per
    /// codec for the whole appliance, so that all sections of a bundle agree.
    pub(crate) fn subscriber_pt(self) -> u8 {
        match self {
            Self::Opus => 111,
            Self::Red => 63,
            Self::Vp8 => 96,
            Self::H264 => 102,
            Self::Vp9 => 98,
            Self::Av1 => 45,
        }
    }

    /// The payload type of the retransmissions (RFC 4588) of [`CodecKind::subscriber_pt`].
    pub(crate) fn subscriber_rtx_pt(self) -> Option<u8> {
        (self.media() == MediaKind::Video).then(|| self.subscriber_pt() + 1)
    }

    /// What is offered to subscribers after `a=fmtp:<pt> `.
    pub(super) fn subscriber_fmtp(self) -> Option<&'static str> {
        match self {
            Self::Opus => Some("minptime=10;useinbandfec=1"),
            Self::Red => Some("111/111"),
            Self::Vp8 => None,
            Self::H264 => {
                Some("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
            }
            Self::Vp9 => Some("profile-id=0"),
            Self::Av1 => Some("level-idx=5;profile=0;tier=0"),
        }
    }
}

/// RTCP feedback of one payload type (RFC 4585, 5104, transport-wide-cc).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one line of the description")]
pub(crate) struct Feedback {
    pub(crate) nack: bool,
    pub(crate) pli: bool,
    pub(crate) fir: bool,
    pub(crate) transport_cc: bool,
}

impl Feedback {
    /// Takes up what follows `a=rtcp-fb:<pt> `; kinds that are not used (goog-remb) are dropped.
    pub(super) fn add(&mut self, text: &str) {
        match text.trim() {
            "nack" => self.nack = true,
            "nack pli" => self.pli = true,
            "ccm fir" => self.fir = true,
            "transport-cc" => self.transport_cc = true,
            _ => {}
        }
    }

    pub(super) fn lines(self) -> impl Iterator<Item = &'static str> {
        [
            (self.transport_cc, "transport-cc"),
            (self.fir, "ccm fir"),
            (self.nack, "nack"),
            (self.pli, "nack pli"),
        ]
        .into_iter()
        .filter_map(|(on, text)| on.then_some(text))
    }
}

/// One payload type as a client describes it, known codec or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Codec {
    pub(crate) pt: u8,
    /// Encoding name as written, without the media type; compare without case.
    pub(crate) name: String,
    /// Hertz.
    pub(crate) clock_rate: u32,
    pub(crate) channels: u8,
    /// As written after `a=fmtp:<pt> `; empty when there is none.
    pub(crate) fmtp: String,
    pub(crate) feedback: Feedback,
    /// `apt` of a retransmission payload type (RFC 4588).
    pub(crate) rtx_for: Option<u8>,
}

impl Codec {
    /// A parameter of the fmtp line.
    pub(crate) fn parameter(&self, key: &str) -> Option<&str> {
        self.fmtp.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case(key).then(|| value.trim())
        })
    }

    /// The codec that this payload type stands for, if it is one that is forwarded.
    pub(crate) fn kind(&self, media: MediaKind) -> Option<CodecKind> {
        let kind = CodecKind::ALL.into_iter().find(|kind| {
            kind.media() == media
                && kind.clock_rate() == self.clock_rate
                && kind.name().eq_ignore_ascii_case(&self.name)
        })?;
        let fits = match kind {
            CodecKind::Opus => self.channels == 2,
            CodecKind::Red | CodecKind::Vp8 => true,
            CodecKind::H264 => self.is_plain_h264(),
            // Profile 0 (8 bit 4:2:0) is what every decoder has; a missing parameter means 0.
            CodecKind::Vp9 => matches!(self.parameter("profile-id"), None | Some("0")),
            CodecKind::Av1 => matches!(self.parameter("profile"), None | Some("0")),
        };
        fits.then_some(kind)
    }

    /// Constrained baseline, which is what every decoder has, by any of its names (RFC 6184,
    /// section 8.1, table 5), and not in single NAL unit mode. The level is the sender's own affair:
    /// both sides may differ (`level-asymmetry-allowed`).
    fn is_plain_h264(&self) -> bool {
        let profile = self.parameter("profile-level-id").filter(|profile| profile.len() == 6);
        let profile = profile.and_then(|profile| u32::from_str_radix(profile, 16).ok());
        let constrained = profile.is_some_and(|profile| {
            let flags = profile >> 8 & 0xFF;
            match profile >> 16 {
                0x42 => flags & 0x4F == 0x40,
                0x4D => flags & 0x8F == 0x80,
                0x58 => flags & 0xCF == 0xC0,
                _ => false,
            }
        });
        constrained && self.parameter("packetization-mode") == Some("1")
    }
}

/// A payload type that both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NegotiatedCodec {
    pub(crate) kind: CodecKind,
    pub(crate) pt: u8,
    /// Payload type of its retransmissions.
    pub(crate) rtx_pt: Option<u8>,
    pub(crate) feedback: Feedback,
}

/// What a payload type is, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadType {
    Media(CodecKind),
    /// Retransmissions of the codec whose own payload type is `apt`.
    Rtx {
        apt: u8,
        kind: CodecKind,
    },
}

/// Payload types by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PayloadTypes([Option<PayloadType>; 128]);

impl Default for PayloadTypes {
    fn default() -> Self {
        Self([None; 128])
    }
}

impl PayloadTypes {
    pub(super) fn of(codecs: &[NegotiatedCodec]) -> Self {
        let mut table = Self::default();
        for codec in codecs {
            table.set(codec.pt, PayloadType::Media(codec.kind));
            if let Some(pt) = codec.rtx_pt {
                table.set(pt, PayloadType::Rtx { apt: codec.pt, kind: codec.kind });
            }
        }
        table
    }

    pub(crate) fn get(&self, pt: u8) -> Option<PayloadType> {
        self.0.get(usize::from(pt)).copied().flatten()
    }

    fn set(&mut self, pt: u8, value: PayloadType) {
        if let Some(entry) = self.0.get_mut(usize::from(pt)) {
            *entry = Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use belfry_media_api::MediaKind;

    use super::{Codec, CodecKind, Feedback};

    fn h264(fmtp: &str) -> bool {
        let codec = Codec {
            pt: 102,
            name: "H264".to_owned(),
            clock_rate: 90_000,
            channels: 1,
            fmtp: fmtp.to_owned(),
            feedback: Feedback::default(),
            rtx_for: None,
        };
        codec.kind(MediaKind::Video) == Some(CodecKind::H264)
    }

    #[test]
    fn h264_is_taken_in_the_profile_that_every_decoder_has() {
        for profile in ["42e01f", "42C01F", "42e034", "4d801f", "58c01f"] {
            assert!(h264(&format!("packetization-mode=1;profile-level-id={profile}")), "{profile}");
        }
        // Baseline proper, main, high, and what is no profile.
        for profile in ["42001f", "4d001f", "640c1f", "42e0", "42e01g", "+2e01f"] {
            assert!(
                !h264(&format!("packetization-mode=1;profile-level-id={profile}")),
                "{profile}"
            );
        }
        assert!(!h264("profile-level-id=42e01f"), "single NAL unit mode");
        assert!(!h264("packetization-mode=1"), "the default is baseline proper");
    }
}
