//! Published tracks: asking, matching to media sections, muting, ending.
//!
//! A client says twice what it publishes: by `add_track` and by a section of its offer, in either
//! order. Chromium and native clients name the track alike in both; Firefox does not.

use belfry_media_api::{Command, Layer, MediaKind, Preference, Publication, Section, Source};
use belfry_model::{ParticipantSid, Timestamp, TrackSid, limits};
use livekit_protocol as proto;
use livekit_protocol::request_response::{Reason, Request};
use livekit_protocol::signal_response::Message;

use super::Room;
use super::info;
use super::participant::{Loose, Participant, Pending, Track};
use super::types::Notice;
use crate::policy::Rule;
use crate::wire;

/// How long a section and a request whose names differ wait for better partners before they are
/// taken for each other, milliseconds. Clients give up after ten seconds.
pub(super) const MATCH_AFTER_MS: i64 = 1_000;
/// A client's name of a track, bytes.
const CID_BYTES_MAX: usize = 256;
/// A codec's name, as in `vp8`.
const CODEC_CHARS_MAX: usize = 16;
/// Features of an audio track.
const FEATURES_MAX: usize = 8;

impl Room {
    pub(super) fn add_track(
        &mut self,
        sid: &ParticipantSid,
        request: proto::AddTrackRequest,
        now: Timestamp,
    ) {
        let Some(participant) = self.participants.get(sid) else { return };
        if let Some(known) = participant.pending.iter().find(|known| known.cid == request.cid) {
            let again = published(&request.cid, &known.info);
            self.send(sid, again);
            return;
        }
        let source = match self.judge_track(participant, &request) {
            Ok(source) => source,
            Err((reason, rule)) => {
                self.answer(sid, 0, reason, Request::AddTrack(request));
                self.refused(sid, rule);
                return;
            }
        };
        let leads = participant.role().leads();
        let asked_codec = request.simulcast_codecs.first().map(|first| {
            first.codec.chars().take(CODEC_CHARS_MAX).collect::<String>().to_ascii_lowercase()
        });
        let track = self.fresh_sid(sid_prefix(source));
        let info = track_info(track, source, &request, leads);
        self.send(sid, published(&request.cid, &info));
        let participant = self.participants.get_mut(sid).expect("it was there above");
        participant.pending.push(Pending {
            cid: request.cid,
            info,
            source,
            asked_codec: asked_codec.filter(|codec| !codec.is_empty()),
            server_muted: false,
            at: now,
        });
        self.match_sections(sid, now);
    }

    fn judge_track(
        &self,
        participant: &Participant,
        request: &proto::AddTrackRequest,
    ) -> Result<Source, (Reason, Rule)> {
        let not_allowed = |rule| Err((Reason::NotAllowed, rule));
        if !request.sid.is_empty() {
            // A second codec of a track. The media plane forwards one, and no client is asked for
            // another: see `tell_wanted`.
            return Err((Reason::UnsupportedType, Rule::NotOffered));
        }
        if request.encryption() != proto::encryption::Type::None {
            return not_allowed(Rule::Encrypted);
        }
        let source = match (request.r#type(), request.source()) {
            (proto::TrackType::Audio, proto::TrackSource::Unknown) => Source::Microphone,
            (proto::TrackType::Video, proto::TrackSource::Unknown) => Source::Camera,
            (proto::TrackType::Data, _) => return not_allowed(Rule::DataTrack),
            (_, source) => wire::source(source),
        };
        let kind = match request.r#type() {
            proto::TrackType::Audio => MediaKind::Audio,
            _ => MediaKind::Video,
        };
        if kind != wire::kind(source) || request.cid.is_empty() {
            return not_allowed(Rule::Malformed);
        }
        if !participant.grants.permissions.allows(source) {
            return not_allowed(Rule::NotPermitted);
        }
        let bound = self.tracks.values().filter(|track| track.publisher == participant.sid);
        if bound.count() + participant.pending.len() >= limits::PARTICIPANT_TRACKS_MAX
            || request.cid.len() > CID_BYTES_MAX
        {
            return Err((Reason::LimitExceeded, Rule::TooMany));
        }
        Ok(source)
    }

    /// What a participant's tracks are to be sent in, as was asked: the same in each of its offers,
    /// whatever is sent meanwhile.
    pub(super) fn preferences(&self, sid: &ParticipantSid) -> Vec<Preference> {
        let Some(participant) = self.participants.get(sid) else { return Vec::new() };
        let pending = participant.pending.iter().filter_map(|pending| {
            preference(&pending.cid, pending.asked_codec.as_deref(), &pending.info)
        });
        let own = self.tracks.values().filter(|track| track.publisher == *sid);
        let bound = own.filter_map(|track| {
            preference(track.label.as_ref()?, track.asked_codec.as_deref(), &track.info)
        });
        pending.chain(bound).collect()
    }

    /// The media plane took an offer: what the client sends is known.
    pub(super) fn publisher_answer(
        &mut self,
        sid: &ParticipantSid,
        answer: proto::SessionDescription,
        sections: Vec<Section>,
        now: Timestamp,
    ) {
        self.send(sid, Message::Answer(answer));
        for track in self.ended_tracks(sid, &sections) {
            self.unpublish(&track);
        }
        let bound: Vec<_> =
            self.tracks.values().filter(|track| track.publisher == *sid).map(|t| &t.mid).collect();
        let fresh: Vec<_> =
            sections.into_iter().filter(|section| !bound.contains(&&section.mid)).collect();
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let before = std::mem::take(&mut participant.loose);
        let since = |mid: &str| {
            before.iter().find(|loose| loose.section.mid == mid).map_or(now, |loose| loose.at)
        };
        participant.loose =
            fresh.into_iter().map(|section| Loose { at: since(&section.mid), section }).collect();
        self.match_sections(sid, now);
    }

    /// Tracks whose section is gone or carries another track now.
    fn ended_tracks(&self, sid: &ParticipantSid, sections: &[Section]) -> Vec<TrackSid> {
        let pending = &self.participants[sid].pending;
        let own = self.tracks.iter().filter(|(_, track)| track.publisher == *sid);
        own.filter(|(_, track)| {
            let section = sections.iter().find(|section| section.mid == track.mid);
            section.is_none_or(|section| {
                section.track_label != track.label
                    && pending.iter().any(|p| Some(&p.cid) == section.track_label.as_ref())
            })
        })
        .map(|(sid, _)| sid.clone())
        .collect()
    }

    /// Brings requests and sections together.
    pub(super) fn match_sections(&mut self, sid: &ParticipantSid, now: Timestamp) {
        while let Some(participant) = self.participants.get_mut(sid) {
            let Some((pending, loose)) = next_match(participant, now) else { return };
            let pending = participant.pending.remove(pending);
            let loose = participant.loose.remove(loose);
            self.publish(sid, pending, loose.section);
        }
    }

    fn publish(&mut self, sid: &ParticipantSid, pending: Pending, section: Section) {
        let Pending { cid, mut info, source, asked_codec, server_muted, .. } = pending;
        let participant = self.participants.get_mut(sid).expect("its sections were just matched");
        participant.is_publisher = true;
        let (identity, lead) = (participant.identity.clone(), participant.role().leads());
        info.mid.clone_from(&section.mid);
        info.mime_type.clone_from(&section.mime);
        for codec in &mut info.codecs {
            codec.mid.clone_from(&section.mid);
            codec.mime_type.clone_from(&section.mime);
            if let Some(label) = section.track_label.as_ref().filter(|label| **label != cid) {
                codec.sdp_cid.clone_from(label);
            }
        }
        let track_sid = TrackSid::new(info.sid.as_str());
        let muted = info.muted;
        let publication = Publication {
            track: track_sid.clone(),
            mid: section.mid.clone(),
            source,
            layers: sent_layers(&info, &section),
            muted,
            lead,
        };
        let track = Track {
            publisher: sid.clone(),
            info,
            source,
            mid: section.mid,
            asked_codec,
            label: section.track_label,
            subscribers: std::collections::BTreeSet::new(),
            subscribed_told: false,
            told: [true; 3],
            wanted: [true; 3],
            lower_due: None,
        };
        self.tracks.insert(track_sid.clone(), track);
        self.command(Command::Publish { participant: sid.clone(), publication });
        self.tell_of(sid);
        if server_muted {
            self.send_mute(sid, track_sid.as_str());
        }
        self.subscribe_all_to(&track_sid);
        self.notice(Notice::TrackPublished { identity, track: track_sid, source, muted });
    }

    /// A client's own mute. An unmute of what is locked is undone at once.
    pub(super) fn client_mute(&mut self, sid: &ParticipantSid, request: &proto::MuteTrackRequest) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let permissions = &participant.grants.permissions;
        let track_sid = TrackSid::new(request.sid.as_str());
        let waiting =
            participant.pending.iter_mut().find(|pending| pending.info.sid == request.sid);
        let bound = self.tracks.get(&track_sid).filter(|track| track.publisher == *sid);
        let source = waiting.as_ref().map(|pending| pending.source);
        let Some(source) = source.or(bound.map(|track| track.source)) else { return };
        if !request.muted && !permissions.allows(source) {
            self.send_mute(sid, &request.sid);
            self.refused(sid, Rule::Locked);
        } else if let Some(pending) = waiting {
            pending.info.muted = request.muted;
            pending.server_muted &= request.muted;
        } else {
            self.set_muted(&track_sid, request.muted);
        }
    }

    /// Tells a client that a track of its own is muted.
    fn send_mute(&mut self, sid: &ParticipantSid, track: &str) {
        let mute = proto::MuteTrackRequest { sid: track.to_owned(), muted: true };
        self.send(sid, Message::Mute(mute));
    }

    /// Mutes tracks that wait for their media section by the server's will.
    pub(super) fn mute_pending(&mut self, sid: &ParticipantSid, of: impl Fn(Source) -> bool) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let mut muted = Vec::new();
        let open = |pending: &&mut Pending| of(pending.source) && !pending.info.muted;
        for pending in participant.pending.iter_mut().filter(open) {
            (pending.info.muted, pending.server_muted) = (true, true);
            muted.push(pending.info.sid.clone());
        }
        for track in muted {
            self.send_mute(sid, &track);
        }
    }

    /// Mutes or unmutes a track for everybody. Nothing happens if it is so already: clients echo.
    pub(super) fn set_muted(&mut self, track_sid: &TrackSid, muted: bool) {
        let Some(track) = self.tracks.get_mut(track_sid) else { return };
        if track.info.muted == muted {
            return;
        }
        track.info.muted = muted;
        let (publisher, source) = (track.publisher.clone(), track.source);
        self.command(Command::Mute { track: track_sid.clone(), muted });
        self.tell_of(&publisher);
        let identity = self.participants[&publisher].identity.clone();
        self.notice(Notice::TrackMuted { identity, track: track_sid.clone(), source, muted });
    }

    /// Mutes a track by the server's will: forwarding stops first, then its client is told.
    pub(super) fn server_mute(&mut self, track_sid: &TrackSid) {
        let Some(track) = self.tracks.get(track_sid) else { return };
        let publisher = track.publisher.clone();
        self.set_muted(track_sid, true);
        self.send_mute(&publisher, track_sid.as_str());
    }

    /// Ends a track by the server's will.
    pub(super) fn server_unpublish(&mut self, track_sid: &TrackSid) {
        let Some(track) = self.tracks.get(track_sid) else { return };
        let publisher = track.publisher.clone();
        self.unpublish(track_sid);
        let gone = proto::TrackUnpublishedResponse { track_sid: track_sid.to_string() };
        self.send(&publisher, Message::TrackUnpublished(gone));
    }

    fn unpublish(&mut self, track_sid: &TrackSid) {
        let Some(track) = self.tracks.remove(track_sid) else { return };
        self.forget_track(track_sid);
        self.command(Command::Unpublish { track: track_sid.clone() });
        self.tell_of(&track.publisher);
        let identity = self.participants[&track.publisher].identity.clone();
        let source = track.source;
        self.notice(Notice::TrackUnpublished { identity, track: track_sid.clone(), source });
    }

    /// The publisher leaves: its tracks go with it, and its last update says so.
    pub(super) fn drop_tracks(&mut self, sid: &ParticipantSid) {
        let own = self.tracks.iter().filter(|(_, track)| track.publisher == *sid);
        let own: Vec<_> = own.map(|(track, _)| track.clone()).collect();
        for track in own {
            self.tracks.remove(&track);
            self.forget_track(&track);
        }
    }

    /// Whether a participant publishes, or is about to publish, a track.
    pub(super) fn owns_track(&self, sid: &ParticipantSid, track: &str) -> bool {
        let bound = self.tracks.get(&TrackSid::from(track));
        bound.is_some_and(|track| track.publisher == *sid)
            || self.participants.get(sid).is_some_and(|participant| {
                participant.pending.iter().any(|pending| pending.info.sid == track)
            })
    }
}

/// The next request and section that belong together, as indices.
fn next_match(participant: &Participant, now: Timestamp) -> Option<(usize, usize)> {
    let fits = |pending: &Pending, loose: &Loose| wire::kind(pending.source) == loose.section.kind;
    for (p, pending) in participant.pending.iter().enumerate() {
        let named = participant.loose.iter().position(|loose| {
            loose.section.track_label.as_deref() == Some(&pending.cid) && fits(pending, loose)
        });
        if let Some(l) = named {
            return Some((p, l));
        }
    }
    for (l, loose) in participant.loose.iter().enumerate() {
        // Firefox wraps its own names in braces: they never say anything.
        let nameless =
            loose.section.track_label.as_ref().is_none_or(|label| label.starts_with('{'));
        let waited = |at: Timestamp| now.since_ms(at) >= MATCH_AFTER_MS;
        let first = participant.pending.iter().position(|pending| {
            fits(pending, loose) && (nameless || (waited(pending.at) && waited(loose.at)))
        });
        if let Some(p) = first {
            return Some((p, l));
        }
    }
    None
}

fn published(cid: &str, info: &proto::TrackInfo) -> Message {
    let track = Some(info.clone());
    Message::TrackPublished(proto::TrackPublishedResponse { cid: cid.to_owned(), track })
}

fn sid_prefix(source: Source) -> &'static str {
    match source {
        Source::Camera => "TR_VC",
        Source::Microphone => "TR_AM",
        Source::ScreenShare => "TR_VS",
        Source::ScreenShareAudio => "TR_As",
        Source::Unknown => "TR_",
    }
}

/// Sound with redundancy unless its client wants none; pictures as asked for.
fn preference(label: &str, codec: Option<&str>, info: &proto::TrackInfo) -> Option<Preference> {
    let mime = match (info.r#type(), codec) {
        (proto::TrackType::Audio, _) => audio_mime(info.disable_red).to_owned(),
        (_, Some(codec)) => format!("video/{codec}"),
        (_, None) => return None,
    };
    Some(Preference { track_label: label.to_owned(), mime })
}

fn audio_mime(disable_red: bool) -> &'static str {
    if disable_red { "audio/opus" } else { "audio/red" }
}

/// A track as its publisher and the others are told of it.
#[allow(deprecated, reason = "older clients read the deprecated copies")]
fn track_info(
    sid: String,
    source: Source,
    request: &proto::AddTrackRequest,
    leads: bool,
) -> proto::TrackInfo {
    let video = wire::kind(source) == MediaKind::Video;
    let layers = if video { info::wire_layers(&info::layers(request)) } else { Vec::new() };
    let mime_type = match request.simulcast_codecs.first() {
        _ if !video => audio_mime(request.disable_red),
        Some(codec) if codec.codec.eq_ignore_ascii_case("h264") => "video/H264",
        Some(codec) if codec.codec.eq_ignore_ascii_case("vp9") => "video/VP9",
        Some(codec) if codec.codec.eq_ignore_ascii_case("av1") => "video/AV1",
        _ => "video/VP8",
    };
    let mut audio_features = request.audio_features.clone();
    audio_features.truncate(FEATURES_MAX);
    // Free text of a student would be a board that nobody moderates.
    let own_words = |text: &String| {
        Some(text.chars().take(limits::NAME_CHARS_MAX).collect::<String>())
            .filter(|text| leads && !text.is_empty())
    };
    let stream = own_words(&request.stream).unwrap_or_else(|| info::stream_of(source).to_owned());
    let mode = request.simulcast_codecs.first().map_or_else(
        || i32::from(proto::video_layer::Mode::OneSpatialLayerPerStream),
        |codec| codec.video_layer_mode,
    );
    let codec = proto::SimulcastCodecInfo {
        mime_type: mime_type.to_owned(),
        cid: request.cid.clone(),
        layers: layers.clone(),
        video_layer_mode: if video { mode } else { 0 },
        ..Default::default()
    };
    proto::TrackInfo {
        sid,
        r#type: if video { proto::TrackType::Video } else { proto::TrackType::Audio }.into(),
        name: own_words(&request.name).unwrap_or_default(),
        muted: request.muted,
        width: request.width,
        height: request.height,
        simulcast: layers.len() > 1,
        disable_dtx: request.disable_dtx,
        source: wire::track_source(source).into(),
        layers,
        mime_type: mime_type.to_owned(),
        codecs: vec![codec],
        stereo: request.stereo,
        disable_red: request.disable_red,
        stream,
        audio_features,
        ..Default::default()
    }
}

/// The layers as the media plane has to expect them.
fn sent_layers(info: &proto::TrackInfo, section: &Section) -> Vec<Layer> {
    let Some(codec) = info.codecs.first() else { return Vec::new() };
    let layers: Vec<Layer> = codec
        .layers
        .iter()
        .filter_map(|layer| {
            Some(Layer {
                quality: wire::quality(layer.quality)?,
                width: layer.width,
                height: layer.height,
                bitrate_bps: layer.bitrate,
            })
        })
        .collect();
    // Without RIDs, VP8 and H.264 come as one layer, whatever was announced.
    let svc = matches!(section.mime.as_str(), "video/VP9" | "video/AV1");
    match layers.last() {
        Some(top) if section.rids.is_empty() && !svc => vec![*top],
        _ => layers,
    }
}
