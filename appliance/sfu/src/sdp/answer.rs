//! The answer to a client's offer for its publisher connection: we receive, the client sends.

use belfry_media_api::{MediaKind, Preference, Section};
use belfry_model::limits::DATA_MESSAGE_BYTES_MAX;
use rtc_sdp::description::media::MediaDescription;

use super::codec::{Codec, CodecKind, NegotiatedCodec, PayloadTypes};
use super::extension::{Extension, Extensions};
use super::remote::{Remote, Setup};
use super::section::{Direction, RemoteSection, Rid, SectionKind, SsrcPair};
use super::write::{self, Lines};
use super::{Local, Origin, SCTP_PORT, SdpError};

/// Our answer and what it settles.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// The media sections on which the client sends, in the order of the description.
    pub(crate) sections: Vec<Section>,
    /// What was agreed for each media section that was accepted, in the same order; those on which
    /// the client does not send now included.
    pub(crate) received: Vec<Received>,
    /// Data channels were accepted.
    pub(crate) data: bool,
}

/// What was agreed for a section that the client sends.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) mid: String,
    pub(crate) kind: MediaKind,
    /// The client sends now.
    pub(crate) sends: bool,
    /// In the order of preference.
    pub(crate) codecs: Vec<NegotiatedCodec>,
    pub(crate) payload_types: PayloadTypes,
    pub(crate) extensions: Extensions,
    /// Empty when the section is no simulcast.
    pub(crate) rids: Vec<Rid>,
    /// As announced; simulcast senders announce none.
    pub(crate) ssrcs: Vec<SsrcPair>,
    pub(crate) track_label: Option<String>,
}

/// Answers an offer. Depends on nothing but its arguments: a client's later offers repeat the
/// payload types and ids that it chose first, so the same answer comes of them. `preferences`: what
/// is named first in the sections of these tracks, if it was offered there.
pub(crate) fn answer(
    offer: &Remote,
    preferences: &[Preference],
    local: &Local<'_>,
    origin: Origin,
) -> Result<Answer, SdpError> {
    if offer.setup == Setup::Passive {
        return Err(SdpError::Setup);
    }
    let mut shared = Shared::new(offer, preferences);
    let accepted: Vec<_> = offer.sections.iter().map(|section| shared.accept(section)).collect();
    let tagged = accepted.iter().position(Option::is_some);
    let mut answer =
        Answer { text: String::new(), sections: Vec::new(), received: Vec::new(), data: false };
    let mut bundle = Vec::new();
    let mut media = Vec::with_capacity(accepted.len());
    for (at, (section, accepted)) in offer.sections.iter().zip(accepted).enumerate() {
        let Some(accepted) = accepted else {
            media.push(rejected(section));
            continue;
        };
        bundle.push(section.mid.as_str());
        let mut lines = Lines::default();
        lines.value("mid", section.mid.as_str());
        lines.transport(local, "passive", tagged == Some(at));
        match accepted {
            Accepted::Data => {
                answer.data = true;
                media.push(data(section, lines));
            }
            Accepted::Media { received, fmtps } => {
                media.push(receiving(section, &received, &fmtps, lines));
                answer.sections.extend(announced(&received));
                answer.received.push(*received);
            }
        }
    }
    let lone = matches!(offer.sections.as_slice(), [section] if !section.bundled);
    let group = if lone { &[] } else { bundle.as_slice() };
    answer.text = write::description(origin, group, offer.extmap_allow_mixed, media);
    Ok(answer)
}

fn announced(received: &Received) -> Option<Section> {
    received.sends.then(|| Section {
        mid: received.mid.clone(),
        kind: received.kind,
        track_label: received.track_label.clone(),
        mime: received.codecs.first().map_or("", |codec| codec.kind.mime()).to_owned(),
        rids: received.rids.iter().map(|rid| rid.name.clone()).collect(),
    })
}

enum Accepted {
    Data,
    Media {
        received: Box<Received>,
        /// By the index of `received.codecs`.
        fmtps: Vec<String>,
    },
}

/// What the sections of a bundle share: one transport, hence one space of payload types.
struct Shared<'a> {
    preferences: &'a [Preference],
    /// The first accepted section was in the BUNDLE group; a second transport is never opened.
    bundled: Option<bool>,
    data: bool,
    /// What each payload type was first accepted as.
    meanings: [Option<(CodecKind, String)>; 128],
    /// Some section will send stereo (`sprop-stereo`; `stereo` is about what a side receives, and
    /// clients set it on every microphone). The parameters of one payload type must be the same in
    /// all sections of a bundle (libwebrtc refuses a "codec collision"), so one asks for all.
    stereo: bool,
}

impl<'a> Shared<'a> {
    fn new(offer: &Remote, preferences: &'a [Preference]) -> Self {
        let stereo = offer.sections.iter().flat_map(|section| &section.codecs).any(|codec| {
            codec.kind(MediaKind::Audio) == Some(CodecKind::Opus)
                && codec.parameter("sprop-stereo") == Some("1")
        });
        Self { preferences, bundled: None, data: false, meanings: [const { None }; 128], stereo }
    }

    fn accept(&mut self, section: &RemoteSection) -> Option<Accepted> {
        let reachable = match self.bundled {
            None => true,
            Some(bundled) => bundled && section.bundled,
        };
        if section.stopped || !reachable {
            return None;
        }
        let accepted = match section.kind {
            SectionKind::Other => return None,
            SectionKind::Data if self.data => return None,
            SectionKind::Data => {
                self.data = true;
                Accepted::Data
            }
            SectionKind::Media(kind) => self.accept_media(section, kind)?,
        };
        self.bundled.get_or_insert(section.bundled);
        Some(accepted)
    }

    fn accept_media(&mut self, section: &RemoteSection, kind: MediaKind) -> Option<Accepted> {
        if !section.rtcp_mux {
            return None;
        }
        let mut agreed = Vec::new();
        for codec in &section.codecs {
            let Some((codec_kind, fmtp)) = self.parameters(codec, section, kind) else { continue };
            let meaning = &mut self.meanings[usize::from(codec.pt)];
            if *meaning.get_or_insert_with(|| (codec_kind, fmtp.clone()))
                != (codec_kind, fmtp.clone())
            {
                continue;
            }
            let rtx = section.codecs.iter().find(|rtx| rtx.rtx_for == Some(codec.pt));
            let rtx_pt = rtx.filter(|_| kind == MediaKind::Video).map(|rtx| rtx.pt);
            let (pt, feedback) = (codec.pt, codec.feedback);
            agreed.push((NegotiatedCodec { kind: codec_kind, pt, rtx_pt, feedback }, fmtp));
        }
        let preferred = self.preferred(section);
        // Stable: what is not preferred stays in the client's order.
        agreed.sort_by_key(|(codec, _)| Some(codec.kind) != preferred);
        let (codecs, fmtps): (Vec<_>, Vec<_>) = agreed.into_iter().unzip();
        if codecs.iter().all(|codec| codec.kind == CodecKind::Red) {
            return None;
        }
        // Chromium leaves picture ids and layers out of a payload that has a descriptor: it is taken
        // for those codecs only that say nothing of layers themselves.
        let described = codecs
            .first()
            .is_some_and(|codec| matches!(codec.kind, CodecKind::Av1 | CodecKind::H264));
        let mut extensions = Extensions::default();
        for offered in &section.extensions {
            if offered.extension == Extension::DependencyDescriptor && !described {
                continue;
            }
            if offered.extension.fits(kind) {
                extensions.add(offered.extension, offered.id);
            }
        }
        let simulcast = extensions.id(Extension::Rid).is_some();
        let received = Received {
            mid: section.mid.clone(),
            kind,
            sends: section.direction.sends(),
            payload_types: PayloadTypes::of(&codecs),
            codecs,
            extensions,
            rids: if simulcast { section.rids.clone() } else { Vec::new() },
            ssrcs: section.ssrcs.clone(),
            track_label: section.track_label.clone(),
        };
        Some(Accepted::Media { received: Box::new(received), fmtps })
    }

    /// The codec that the track of this section is to be sent in.
    fn preferred(&self, section: &RemoteSection) -> Option<CodecKind> {
        let label = section.track_label.as_ref()?;
        let preference = self.preferences.iter().find(|one| one.track_label == *label)?;
        CodecKind::ALL.into_iter().find(|kind| kind.mime().eq_ignore_ascii_case(&preference.mime))
    }

    /// The codec and our parameters for it. Nothing is copied but checked numbers.
    fn parameters(
        &self,
        codec: &Codec,
        section: &RemoteSection,
        media: MediaKind,
    ) -> Option<(CodecKind, String)> {
        let kind = codec.kind(media)?;
        let fmtp = match kind {
            CodecKind::Opus => {
                let minptime = number(codec, "minptime").unwrap_or(10);
                // Silence is not sent, except in music, which stereo stands for.
                let rest =
                    if self.stereo { "stereo=1;maxaveragebitrate=510000" } else { "usedtx=1" };
                format!("minptime={minptime};useinbandfec=1;{rest}")
            }
            CodecKind::Red => {
                let of: u8 = codec.fmtp.split('/').next()?.trim().parse().ok()?;
                let primary = section.codecs.iter().find(|codec| codec.pt == of)?;
                if primary.kind(media) != Some(CodecKind::Opus) {
                    return None;
                }
                format!("{of}/{of}")
            }
            CodecKind::Vp8 => String::new(),
            CodecKind::H264 => {
                let profile = codec.parameter("profile-level-id").unwrap_or("420010");
                let level = u32::from_str_radix(profile, 16).ok().filter(|_| profile.len() == 6)?;
                format!(
                    "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={level:06x}"
                )
            }
            CodecKind::Vp9 => "profile-id=0".to_owned(),
            CodecKind::Av1 => {
                let level = number(codec, "level-idx").unwrap_or(5);
                let tier = number(codec, "tier").unwrap_or(0);
                format!("level-idx={level};profile=0;tier={tier}")
            }
        };
        Some((kind, fmtp))
    }
}

fn number(codec: &Codec, key: &str) -> Option<u8> {
    codec.parameter(key)?.parse().ok()
}

fn rejected(section: &RemoteSection) -> MediaDescription {
    let mut lines = Lines::default();
    lines.value("mid", section.mid.as_str());
    lines.flag("inactive");
    write::media(&section.media, &section.protocol, vec![section.format.clone()], false, lines)
}

fn data(section: &RemoteSection, mut lines: Lines) -> MediaDescription {
    lines.value("sctp-port", SCTP_PORT.to_string());
    lines.value("max-message-size", DATA_MESSAGE_BYTES_MAX.to_string());
    let format = vec!["webrtc-datachannel".to_owned()];
    write::media("application", &section.protocol, format, true, lines)
}

fn receiving(
    section: &RemoteSection,
    received: &Received,
    fmtps: &[String],
    mut lines: Lines,
) -> MediaDescription {
    lines.flag(if received.sends { "recvonly" } else { "inactive" });
    lines.flag("rtcp-mux");
    lines.flag("rtcp-rsize");
    if section.extmap_allow_mixed {
        lines.flag("extmap-allow-mixed");
    }
    for offered in &section.extensions {
        if received.extensions.id(offered.extension) == Some(offered.id) {
            // What the client only sends we only receive (RFC 8285 section 7).
            let suffix = match offered.direction {
                Direction::SendOnly => "/recvonly",
                Direction::RecvOnly => "/sendonly",
                Direction::SendRecv | Direction::Inactive => "",
            };
            lines.value("extmap", format!("{}{suffix} {}", offered.id, offered.extension.uri()));
        }
    }
    let mut formats = Vec::new();
    for (codec, fmtp) in received.codecs.iter().zip(fmtps) {
        formats.push(codec.pt.to_string());
        lines.codec(codec.kind, codec.pt, fmtp, codec.feedback);
        if let Some(rtx_pt) = codec.rtx_pt {
            formats.push(rtx_pt.to_string());
            lines.rtx(rtx_pt, codec.pt);
        }
    }
    for rid in &received.rids {
        lines.value("rid", format!("{} recv", rid.name));
    }
    if !received.rids.is_empty() {
        let names: Vec<_> = received.rids.iter().map(|rid| rid.name.as_str()).collect();
        lines.value("simulcast", format!("recv {}", names.join(";")));
    }
    write::media(&section.media, &section.protocol, formats, true, lines)
}
