//! Participants, tracks and the room as clients are told of them.

use std::collections::BTreeMap;

use belfry_media_api::{Layer, Quality, Source};
use belfry_model::ParticipantSid;
use livekit_protocol as proto;
use livekit_protocol::signal_response::Message;

use super::Room;
use super::participant::Participant;
use crate::room::{IceAsked, IceServer, SourceKey};
use crate::token::{ROLE_ATTRIBUTE, role_name};
use crate::wire;

/// RIDs in the order of a track's layers.
pub(super) const RIDS: [&str; 3] = ["q", "h", "f"];

impl Room {
    /// A participant with the full list of its tracks. `own`: as itself is told.
    pub(super) fn info(&self, participant: &Participant, own: bool) -> proto::ParticipantInfo {
        let tracks = self.tracks.values().filter(|track| track.publisher == participant.sid);
        let mut attributes: BTreeMap<_, _> = participant.grants.attributes.clone();
        attributes.insert(ROLE_ATTRIBUTE.to_owned(), role_name(participant.role()).to_owned());
        proto::ParticipantInfo {
            sid: participant.sid.to_string(),
            identity: participant.identity.to_string(),
            name: participant.grants.name.reveal().clone(),
            state: participant.state.into(),
            metadata: participant.grants.metadata.clone(),
            joined_at: participant.joined_at.as_secs(),
            joined_at_ms: participant.joined_at.0,
            version: participant.version,
            permission: Some(permission(participant)),
            is_publisher: participant.is_publisher,
            kind: if participant.grants.recorder {
                proto::participant_info::Kind::Egress.into()
            } else {
                proto::participant_info::Kind::Standard.into()
            },
            attributes: attributes.into_iter().collect(),
            client_protocol: participant.client_protocol,
            capabilities: participant.capabilities.clone(),
            tracks: tracks
                .map(|track| if own { track.info.clone() } else { for_others(&track.info) })
                .collect(),
            ..Default::default()
        }
    }

    /// A participant changed: everybody who may know is told, itself included.
    pub(super) fn tell_of(&mut self, sid: &ParticipantSid) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        participant.version += 1;
        let participant = &self.participants[sid];
        let own = update(vec![self.info(participant, true)]);
        let others = (!participant.hidden()).then(|| update(vec![self.info(participant, false)]));
        self.send(sid, own);
        if let Some(message) = others {
            self.broadcast(message, |other| other.sid != *sid);
        }
    }

    pub(super) fn room_info(&self) -> proto::Room {
        let seen = self.participants.values().filter(|participant| !participant.hidden());
        proto::Room {
            sid: self.config.sid.to_string(),
            name: self.config.name.clone(),
            max_participants: belfry_model::limits::ROOM_PARTICIPANTS_MAX as u32,
            creation_time: self.created_at.as_secs(),
            creation_time_ms: self.created_at.0,
            metadata: self.metadata.clone(),
            num_participants: seen.clone().count() as u32,
            num_publishers: seen.filter(|participant| participant.is_publisher).count() as u32,
            active_recording: self.recording,
            ..Default::default()
        }
    }

    pub(super) fn server_info(&self) -> proto::ServerInfo {
        proto::ServerInfo {
            edition: proto::server_info::Edition::Standard.into(),
            version: crate::COMPAT_VERSION.to_owned(),
            protocol: crate::PROTOCOL,
            node_id: self.config.node.clone(),
            ..Default::default()
        }
    }

    pub(super) fn ice_servers(&self, asked: IceAsked<'_>) -> Vec<proto::IceServer> {
        let on_wire = |server: IceServer| proto::IceServer {
            urls: server.urls,
            username: server.username,
            credential: server.credential,
        };
        self.config.ice.of(asked).into_iter().map(on_wire).collect()
    }
}

pub(super) fn update(participants: Vec<proto::ParticipantInfo>) -> Message {
    Message::Update(proto::ParticipantUpdate { participants })
}

fn permission(participant: &Participant) -> proto::ParticipantPermission {
    let permissions = &participant.grants.permissions;
    let all = permissions.sources.len() == SourceKey::ALL.len();
    let sources = permissions.sources.iter().filter(|_| !all);
    proto::ParticipantPermission {
        can_subscribe: permissions.subscribe,
        can_publish: !permissions.sources.is_empty(),
        can_publish_data: permissions.data,
        can_publish_sources: sources
            .map(|source| wire::track_source(Source::from(*source)).into())
            .collect(),
        hidden: participant.hidden(),
        can_update_metadata: participant.grants.can_update_own_metadata
            && participant.role().leads(),
        ..Default::default()
    }
}

/// The publisher's own names of a track's sections are nobody else's business.
fn for_others(info: &proto::TrackInfo) -> proto::TrackInfo {
    let mut info = info.clone();
    for codec in &mut info.codecs {
        codec.cid.clear();
        codec.sdp_cid.clear();
    }
    info
}

/// The layers of a video track, sorted by quality, one of each at most.
pub(super) fn layers(request: &proto::AddTrackRequest) -> Vec<Layer> {
    let announced = match request.simulcast_codecs.first() {
        Some(codec) if !codec.layers.is_empty() => &codec.layers,
        _ => &request.layers,
    };
    let by_quality: BTreeMap<Quality, Layer> = announced
        .iter()
        .filter_map(|layer| {
            let quality = wire::quality(layer.quality)?;
            let bitrate_bps = layer.bitrate;
            Some((
                quality,
                Layer { quality, width: layer.width, height: layer.height, bitrate_bps },
            ))
        })
        .collect();
    if by_quality.is_empty() {
        let (width, height) = (request.width, request.height);
        return vec![Layer { quality: Quality::High, width, height, bitrate_bps: 0 }];
    }
    by_quality.into_values().collect()
}

/// The same layers on the wire.
pub(super) fn wire_layers(layers: &[Layer]) -> Vec<proto::VideoLayer> {
    let rids = layers.iter().zip(RIDS);
    rids.map(|(layer, rid)| proto::VideoLayer {
        quality: layer.quality as i32,
        width: layer.width,
        height: layer.height,
        bitrate: layer.bitrate_bps,
        rid: if layers.len() > 1 { rid.to_owned() } else { String::new() },
        ..Default::default()
    })
    .collect()
}

/// The lip-sync group of a source.
pub(super) fn stream_of(source: Source) -> &'static str {
    match source {
        Source::Camera | Source::Microphone => "camera",
        Source::ScreenShare | Source::ScreenShareAudio => "screen",
        Source::Unknown => "unknown",
    }
}
