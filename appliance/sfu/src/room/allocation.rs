//! What every subscriber gets of the room's tracks.

use std::time::Instant;

use belfry_media_api::{Downlink, Event, MediaKind};

use super::Room;
use crate::allocate::{Voice, Want, allocate, carried, hear};
use crate::congestion::OVERHEAD_BYTES;
use crate::connection::State;
use crate::context::Context;
use crate::participant::Participant;
use crate::speakers::Speakers;
use crate::track::Track;

/// The part of the estimate that media may take, besides what repeats of lost packets take.
const BUDGET: f64 = 0.95;
/// RTP header with extensions.
const HEADER_BYTES: u64 = 24;
/// Packets of a voice in a second, and payload of a full packet of video.
const VOICE_PACKETS: u64 = 50;
const VIDEO_PAYLOAD_BYTES: u64 = 1_080;
/// Of a layer that just began and that its publisher said nothing of, by index.
const RATES_UNKNOWN: [u64; 3] = [150_000, 500_000, 1_700_000];
/// Below this a voice is silence (DTX), of which hardly a packet is sent.
const VOICE_BPS_MIN: u64 = 6_000;

/// Bits per second on the path of so much payload.
fn on_path(kind: MediaKind, payload_bps: u64) -> u64 {
    let overhead = HEADER_BYTES + OVERHEAD_BYTES as u64;
    match kind {
        MediaKind::Audio if payload_bps < VOICE_BPS_MIN => payload_bps * 2,
        MediaKind::Audio => payload_bps + VOICE_PACKETS * overhead * 8,
        MediaKind::Video => payload_bps * (VIDEO_PAYLOAD_BYTES + overhead) / VIDEO_PAYLOAD_BYTES,
    }
}

impl Room {
    /// Decides for every subscriber which voices and which layer of each picture it gets.
    pub(super) fn allocate(&mut self, context: &mut Context<'_>) {
        for key in 0..self.participants.capacity() {
            self.allocate_for(key, context);
        }
        self.want_keyframes(context.now);
    }

    /// Asks for the keyframes that an allocation waits for.
    pub(super) fn want_keyframes(&mut self, now: Instant) {
        for (_, track) in &mut self.tracks {
            track.want_awaited();
            if let Some(at) = track.deadline(now) {
                self.urgent_at = self.urgent_at.min(at);
            }
        }
    }

    /// Decides for one subscriber.
    pub(super) fn allocate_for(&mut self, key: usize, context: &mut Context<'_>) {
        let now = context.now;
        let Some(participant) = self.participants.get(key) else { return };
        let (mut wants, mut voices) =
            (std::mem::take(&mut self.wants), std::mem::take(&mut self.voices));
        wants.clear();
        voices.clear();
        for track_key in &participant.subscriptions {
            let Some(track) = self.tracks.get_mut(*track_key) else { continue };
            let owner = self.participants.get(track.owner);
            if track.kind == MediaKind::Audio {
                voices.extend(voice(track, *track_key, key, &self.speakers, now));
            } else {
                let spotlit = owner.is_some_and(|owner| owner.spotlit);
                wants.extend(want(track, *track_key, key, spotlit, &self.speakers, now));
            }
        }
        let Some(participant) = self.participants.get_mut(key) else { return };
        let congestion = &mut participant.egress.congestion;
        let wanted = wants.iter().map(Want::wanted_bps).chain(voices.iter().map(|voice| voice.bps));
        congestion.want(wanted.sum());
        let estimate = congestion.allocate() as f64;
        let budget = (estimate * BUDGET * (1.0 - congestion.loss().min(0.5))) as u64;
        let spent = hear(&mut voices, budget);
        allocate(&mut wants, budget.saturating_sub(spent));
        participant.carried = carried(&wants, &voices);
        if let Some(at) = congestion.deadline() {
            self.pace_at = self.pace_at.min(at);
        }
        self.grant(key, &wants, &voices, context);
        (self.wants, self.voices) = (wants, voices);
    }

    fn grant(&mut self, key: usize, wants: &[Want], voices: &[Voice], context: &mut Context<'_>) {
        for voice in voices {
            let down = self.tracks.get_mut(voice.track).and_then(|track| track.down(key));
            if let Some(down) = down {
                down.set_target(voice.granted.then_some(0));
            }
        }
        for want in wants {
            let Some(participant) = self.participants.get_mut(key) else { return };
            let Some(track) = self.tracks.get_mut(want.track) else { continue };
            let Some(down) = track.down(key) else { continue };
            down.grant(want.granted, context.now);
            if want.granted.is_none() {
                participant.egress.congestion.drop_kept(|kept| kept.track == want.track);
            }
            let paused = want.granted.is_none() && want.is_live();
            if std::mem::replace(&mut down.paused, paused) != paused {
                context.shared.events.push_back(Event::Paused {
                    participant: participant.sid.clone(),
                    track: track.publication.track.clone(),
                    paused,
                });
            }
        }
    }

    /// Tells what the ways down carry, where that changed or it is time.
    pub(super) fn tell_downlinks(&mut self, context: &mut Context<'_>) {
        for (_, participant) in &mut self.participants {
            let Participant { sid, egress, ladder, carried, .. } = participant;
            if egress.connection.state() != State::Connected {
                continue;
            }
            let congestion = &egress.congestion;
            tracing::debug!(
                target: "belfry_media::downlink",
                participant = %sid,
                estimate_bps = congestion.estimate_bps(),
                sent_bps = congestion.sent_bps(context.now),
            );
            let Some((carried, cause)) = ladder.update(*carried, congestion.cause(), context.now)
            else {
                continue;
            };
            let downlink = Downlink {
                carried,
                cause,
                estimate_bps: congestion.estimate_bps(),
                sent_bps: congestion.sent_bps(context.now),
                loss_percent: (congestion.loss() * 100.0).round() as u8,
                rtt_ms: congestion.rtt().unwrap_or_default().as_millis() as u32,
            };
            let participant = sid.clone();
            context.shared.events.push_back(Event::Downlink { participant, downlink });
        }
    }
}

/// The voice of a track that a subscriber wants to hear; `None` for one that is muted, switched off
/// or not accepted yet.
fn voice(
    track: &mut Track,
    key: usize,
    subscriber: usize,
    speakers: &Speakers,
    now: Instant,
) -> Option<Voice> {
    let bps = track.rates(now)[0].unwrap_or(0);
    let (lead, loudness) = (track.publication.lead, speakers.level(track.owner));
    let muted = track.publication.muted;
    let down = track.down(subscriber).filter(|down| down.is_accepted() && !down.settings.disabled);
    down.filter(|_| !muted)?;
    Some(Voice { track: key, lead, loudness, bps: on_path(MediaKind::Audio, bps), granted: false })
}

/// What a subscriber wants of a picture; nothing of one that is muted, hidden or not accepted yet.
fn want(
    track: &mut Track,
    key: usize,
    subscriber: usize,
    spotlit: bool,
    speakers: &Speakers,
    now: Instant,
) -> Option<Want> {
    let muted = track.publication.muted;
    let at = track.downs.binary_search_by_key(&subscriber, |down| down.participant).ok()?;
    let layer_max = track.downs.get(at).and_then(|down| track.layer_max(down));
    let down = track.downs.get_mut(at)?;
    let Some(layer_max) = layer_max.filter(|_| !muted && down.is_accepted()) else {
        down.set_target(None);
        return None;
    };
    let (settings, held, may_rise) = (down.settings, down.target(), down.may_rise(now));
    let mut rates = track.rates(now);
    for (rate, unknown) in rates.iter_mut().zip(RATES_UNKNOWN) {
        let known = rate.map(|bps| if bps == 0 { unknown } else { bps });
        *rate = known.map(|bps| on_path(MediaKind::Video, bps));
    }
    Some(Want {
        track: key,
        rank: track.rank(spotlit),
        area: u64::from(settings.width) * u64::from(settings.height),
        speaks: speakers.is_active(track.owner),
        layer_max,
        rates,
        held,
        may_rise,
        granted: None,
    })
}
