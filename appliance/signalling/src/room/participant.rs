//! What a room knows about one connection and one track.

use std::collections::{BTreeMap, BTreeSet};

use belfry_media_api::{ConnectionQuality, MediaKind, Section, Source};
use belfry_model::{Identity, LessonRole, ParticipantSid, Timestamp, TrackSid};
use livekit_protocol as proto;

use super::data::OpenStream;
use super::types::SocketId;
use crate::token::Grants;

/// Signalling frames of one participant: a client of a full class sends a burst of track settings.
pub(super) const FRAMES_BURST_MAX: u32 = 600;
pub(super) const FRAMES_PER_SECOND_MAX: u32 = 100;
/// Data messages of one participant.
pub(super) const DATA_BURST_MAX: u32 = 400;
pub(super) const DATA_PER_SECOND_MAX: u32 = 100;

/// A token bucket over time that comes in.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: u32,
    burst: u32,
    /// Thousandths of a token.
    level: i64,
    at: Timestamp,
}

impl Bucket {
    pub(super) fn new(per_second: u32, burst: u32, now: Timestamp) -> Self {
        Self { per_second, burst, level: i64::from(burst) * 1000, at: now }
    }

    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let passed = now.since_ms(self.at).max(0);
        let filled = self.level.saturating_add(passed.saturating_mul(self.per_second.into()));
        self.level = filled.min(i64::from(self.burst) * 1000);
        self.at = now;
        let enough = self.level >= 1000;
        if enough {
            self.level -= 1000;
        }
        enough
    }
}

/// An `add_track` whose media section is not known yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) cid: String,
    pub(super) info: proto::TrackInfo,
    pub(super) source: Source,
    pub(super) asked_codec: Option<String>,
    /// Muted by the server's will, which its client has to hear once more when it is published.
    pub(super) server_muted: bool,
    pub(super) at: Timestamp,
}

/// A media section whose `add_track` is not known yet.
#[derive(Debug)]
pub(super) struct Loose {
    pub(super) section: Section,
    pub(super) at: Timestamp,
}

/// A subscriber offer that was sent and not answered.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) id: u32,
    pub(super) description: proto::SessionDescription,
}

/// One connection.
#[allow(clippy::struct_excessive_bools, reason = "independent facts, not states of one thing")]
#[derive(Debug)]
pub(super) struct Participant {
    pub(super) sid: ParticipantSid,
    pub(super) identity: Identity,
    /// As the token gave them and the lesson changed them.
    pub(super) grants: Grants,
    pub(super) protocol: i32,
    pub(super) client_protocol: i32,
    pub(super) capabilities: Vec<i32>,
    pub(super) auto_subscribe: bool,
    pub(super) socket: Option<SocketId>,
    /// Since when there is no socket.
    pub(super) disconnected_at: Option<Timestamp>,
    pub(super) joined_at: Timestamp,
    pub(super) heard_at: Timestamp,
    pub(super) refreshed_at: Timestamp,
    pub(super) state: proto::participant_info::State,
    pub(super) is_publisher: bool,
    pub(super) version: u32,
    /// Since when its primary connection has no consent.
    pub(super) lost_at: Option<Timestamp>,
    pub(super) pending: Vec<Pending>,
    pub(super) loose: Vec<Loose>,
    /// Exceptions to `auto_subscribe`.
    pub(super) wishes: BTreeMap<TrackSid, bool>,
    /// Who may see its tracks; `None`: everybody.
    pub(super) audience: Option<Vec<proto::TrackPermission>>,
    pub(super) offer: Option<Offer>,
    /// Restart the subscriber's ICE when the outstanding offer is answered.
    pub(super) restart_after_answer: bool,
    /// Of its reliable data.
    pub(super) last_sequence: u32,
    /// It has resumed and not yet said what it has of the others' reliable data.
    pub(super) replay_due: bool,
    pub(super) frames: Bucket,
    /// Frames that the bucket refused.
    pub(super) frames_refused: u32,
    pub(super) data: Bucket,
    pub(super) streams: BTreeMap<String, OpenStream>,
    pub(super) quality: ConnectionQuality,
    /// Changed since qualities were told last.
    pub(super) quality_changed: bool,
}

impl Participant {
    pub(super) fn role(&self) -> LessonRole {
        self.grants.role
    }

    pub(super) fn hidden(&self) -> bool {
        self.grants.hidden
    }

    /// Whether it subscribes to a track without being asked again.
    pub(super) fn wants(&self, track: &TrackSid) -> bool {
        self.grants.permissions.subscribe
            && self.wishes.get(track).copied().unwrap_or(self.auto_subscribe)
    }

    /// Whether others may subscribe to one of its tracks. Leads and the recorder always may.
    pub(super) fn shows(&self, track: &TrackSid, to: &Self) -> bool {
        if self.hidden() {
            return false;
        }
        let Some(audience) = &self.audience else { return true };
        to.role().leads()
            || to.grants.recorder
            || audience.iter().any(|permission| {
                (permission.participant_sid == to.sid.as_str()
                    || permission.participant_identity == to.identity.as_str())
                    && (permission.all_tracks
                        || permission.track_sids.iter().any(|sid| sid == track.as_str()))
            })
    }
}

/// A track with a media section.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) publisher: ParticipantSid,
    pub(super) info: proto::TrackInfo,
    pub(super) source: Source,
    pub(super) mid: String,
    /// The codec by the name that its publisher asked for, which may not be the one that it sends.
    pub(super) asked_codec: Option<String>,
    /// The section's own name of the track.
    pub(super) label: Option<String>,
    pub(super) subscribers: BTreeSet<ParticipantSid>,
    /// The publisher has been told of a first subscriber.
    pub(super) subscribed_told: bool,
    /// Qualities as the publisher was told last, and as they are wanted now.
    pub(super) told: [bool; 3],
    pub(super) wanted: [bool; 3],
    /// When a lower demand is told.
    pub(super) lower_due: Option<Timestamp>,
}

impl Track {
    pub(super) fn kind(&self) -> MediaKind {
        crate::wire::kind(self.source)
    }
}

#[cfg(test)]
mod tests {
    use belfry_model::Timestamp;

    use super::Bucket;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(2, 3, Timestamp(0));
        let taken =
            |bucket: &mut Bucket, at| (0..10).filter(|_| bucket.take(Timestamp(at))).count();
        assert_eq!(taken(&mut bucket, 0), 3);
        assert_eq!(taken(&mut bucket, 499), 0);
        assert_eq!(taken(&mut bucket, 1000), 2);
        assert_eq!(taken(&mut bucket, 900), 0, "a clock that goes back gives nothing");
    }
}
