//! RTP header extensions (RFC 8285) that the appliance reads or writes.

use belfry_media_api::MediaKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Extension {
    Mid = 0,
    Rid = 1,
    RepairedRid = 2,
    TransportCc = 3,
    AbsSendTime = 4,
    AudioLevel = 5,
    DependencyDescriptor = 6,
    VideoOrientation = 7,
}

impl Extension {
    pub(crate) const COUNT: usize = 8;
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::TransportCc,
        Self::AbsSendTime,
        Self::AudioLevel,
        Self::DependencyDescriptor,
        Self::VideoOrientation,
    ];

    pub(crate) fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::TransportCc => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Self::VideoOrientation => "urn:3gpp:video-orientation",
        }
    }

    pub(crate) fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|extension| extension.uri() == uri)
    }

    /// The id under which this extension is offered to every subscriber; `None` for those that are
    /// never sent (the appliance sends one layer per section and no absolute send time).
    pub(crate) fn subscriber_id(self) -> Option<u8> {
        match self {
            Self::AudioLevel => Some(1),
            Self::TransportCc => Some(3),
            Self::Mid => Some(4),
            Self::DependencyDescriptor => Some(8),
            Self::VideoOrientation => Some(13),
            Self::Rid | Self::RepairedRid | Self::AbsSendTime => None,
        }
    }

    pub(super) fn fits(self, media: MediaKind) -> bool {
        match self {
            Self::AudioLevel => media == MediaKind::Audio,
            Self::DependencyDescriptor | Self::VideoOrientation => media == MediaKind::Video,
            _ => true,
        }
    }
}

/// Ids with a one-byte header (RFC 8285 section 4.2); larger ones are not negotiated.
pub(crate) const ID_MAX: u8 = 14;

/// The extensions that both sides agreed on, by name and by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    ids: [Option<u8>; Extension::COUNT],
    names: [Option<Extension>; ID_MAX as usize + 1],
}

impl Extensions {
    /// The id of an extension.
    pub(crate) fn id(&self, extension: Extension) -> Option<u8> {
        self.ids[extension as usize]
    }

    /// The extension behind an id.
    pub(crate) fn get(&self, id: u8) -> Option<Extension> {
        self.names.get(usize::from(id)).copied().flatten()
    }

    /// Adds one; an id out of range or taken, or an extension that has its id, is left out.
    pub(super) fn add(&mut self, extension: Extension, id: u8) -> bool {
        let free =
            (1..=ID_MAX).contains(&id) && self.get(id).is_none() && self.id(extension).is_none();
        if free {
            self.ids[extension as usize] = Some(id);
            self.names[usize::from(id)] = Some(extension);
        }
        free
    }
}
