//! What a room does in its own time.

use std::time::Duration;

use belfry_media_api::{Event, MediaKind, PeerRole, Speaker};

use super::Room;
use crate::connection::State;
use crate::context::Context;
use crate::quality::{self, Measured, judge};
use crate::rtp::stats::Block;
use crate::speakers;
use crate::track::{RECEIVER_SSRC, Track};

/// Layers come and go and rates change without anybody saying so.
const ALLOCATE: Duration = Duration::from_millis(250);
/// Sender and receiver reports of one connection.
const REPORTS: Duration = Duration::from_secs(1);
/// Without anything urgent, connections are looked after this often.
const IDLE: Duration = Duration::from_secs(1);

impl Room {
    pub(crate) fn timeout(&mut self, context: &mut Context<'_>) {
        if self.allocate_at <= context.now {
            self.allocate_at = context.now + ALLOCATE;
            self.allocate(context);
            self.tell_downlinks(context);
            self.tell_wanted(context);
            self.reports(context);
        }
        if self.speakers_at <= context.now {
            self.speakers_at = context.now + speakers::INTERVAL;
            self.tell_speakers(context);
        }
        if self.quality_at <= context.now {
            self.quality_at = context.now + quality::INTERVAL;
            self.tell_quality(context);
        }
        if self.pace_at <= context.now {
            self.pace(context);
        }
        if self.urgent_at <= context.now {
            self.urgent(context);
        }
    }

    /// Connections, feedback, missing packets, keyframes.
    fn urgent(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        self.urgent_at = now + IDLE;
        self.wake_connections(context);
        self.ask_publishers(context);
        let connections = self.participants.iter().filter_map(|(_, found)| found.deadline());
        let tracks = self.tracks.iter().filter_map(|(_, track)| track.deadline(now));
        if let Some(next) = connections.chain(tracks).min() {
            // What could not be done now would be due for ever; it waits a little.
            let soon = now + Duration::from_millis(1);
            self.urgent_at = self.urgent_at.min(next.max(soon));
        }
    }

    fn wake_connections(&mut self, context: &mut Context<'_>) {
        for key in 0..self.participants.capacity() {
            for role in [PeerRole::Publisher, PeerRole::Subscriber] {
                let found = self.participants.get_mut(key);
                let Some(connection) = found.and_then(|found| found.connection(role)) else {
                    continue;
                };
                if connection.deadline().is_some_and(|at| at <= context.now) {
                    connection.timeout(context.now, context.outbox);
                    self.poll(key, role, context);
                }
            }
        }
    }

    fn ask_publishers(&mut self, context: &mut Context<'_>) {
        let shared = &mut *context.shared;
        for (_, track) in &mut self.tracks {
            if track.deadline(context.now).is_none_or(|at| at > context.now) {
                continue;
            }
            shared.writer.clear();
            track.ask(context.now, &mut shared.writer, &mut shared.numbers);
            let owner = self.participants.get_mut(track.owner);
            let publisher = owner.and_then(|owner| owner.publisher.as_mut());
            if let Some(publisher) = publisher.filter(|_| !shared.writer.bytes().is_empty()) {
                let _unsent_if_lost =
                    publisher.connection.send_rtcp(shared.writer.bytes(), context.outbox);
            }
        }
        for (_, participant) in &mut self.participants {
            let Some(publisher) = participant.publisher.as_mut() else { continue };
            shared.writer.clear();
            let ssrc = publisher.ssrc;
            publisher.feedback.write_due(context.now, RECEIVER_SSRC, ssrc, &mut shared.writer);
            if !shared.writer.bytes().is_empty() {
                let _unsent_if_lost =
                    publisher.connection.send_rtcp(shared.writer.bytes(), context.outbox);
            }
        }
    }

    /// Sender reports to subscribers, receiver reports to publishers.
    fn reports(&mut self, context: &mut Context<'_>) {
        let (now, shared) = (context.now, &mut *context.shared);
        for (key, participant) in &mut self.participants {
            if participant.reports_at > now {
                continue;
            }
            participant.reports_at = now + REPORTS;
            for track in &participant.subscriptions {
                let Some(track) = self.tracks.get_mut(*track) else { continue };
                let Ok(at) = track.downs.binary_search_by_key(&key, |down| down.participant) else {
                    continue;
                };
                let Some(down) = track.downs.get_mut(at) else { continue };
                shared.writer.clear();
                down.report(&track.layers, now, &mut shared.writer);
                if !shared.writer.bytes().is_empty() {
                    let connection = &mut participant.egress.connection;
                    let _unsent_if_lost =
                        connection.send_rtcp(shared.writer.bytes(), context.outbox);
                }
            }
            let Some(publisher) = participant.publisher.as_mut() else { continue };
            let blocks: Vec<(u32, Block)> = self
                .tracks
                .iter_mut()
                .filter(|(_, track)| track.owner == key)
                .flat_map(|(_, track)| &mut track.layers)
                .filter_map(|layer| Some((layer.ssrc?, layer.stats.report(now)?)))
                .collect();
            if !blocks.is_empty() {
                shared.writer.clear();
                shared.writer.receiver_report(RECEIVER_SSRC, &blocks);
                let _unsent_if_lost =
                    publisher.connection.send_rtcp(shared.writer.bytes(), context.outbox);
            }
        }
    }

    fn tell_wanted(&mut self, context: &mut Context<'_>) {
        for (_, track) in &mut self.tracks {
            if let Some(qualities) = track.wanted(context.now) {
                let track = track.publication.track.clone();
                context.shared.events.push_back(Event::Wanted { track, qualities });
            }
        }
    }

    fn tell_speakers(&mut self, context: &mut Context<'_>) {
        let mut changed = Vec::new();
        for (key, participant) in &self.participants {
            let own = |track: &&mut Track| track.owner == key && track.kind == MediaKind::Audio;
            let tracks = self.tracks.iter_mut().map(|(_, track)| track).filter(own);
            let level = tracks.map(|track| track.heard.take_level()).fold(0.0, f32::max);
            if let Some((level, active)) = self.speakers.changed(key, level) {
                changed.push(Speaker { participant: participant.sid.clone(), level, active });
            }
        }
        if !changed.is_empty() {
            context.tell(Event::Speakers { room: self.sid.clone(), changed });
        }
    }

    fn tell_quality(&mut self, context: &mut Context<'_>) {
        for (key, participant) in &mut self.participants {
            if participant.egress.connection.state() != State::Connected {
                continue;
            }
            let estimate = &participant.egress.congestion;
            let mut measured = Measured {
                loss: estimate.loss(),
                jitter: Duration::ZERO,
                rtt: estimate.rtt().unwrap_or_default(),
            };
            let own = self.tracks.iter_mut().filter(|(_, track)| track.owner == key);
            let (mut expected, mut received) = (0, 0);
            for (_, track) in own {
                let clock_hz = track.clock_hz();
                for layer in &mut track.layers {
                    let window = layer.stats.take_window();
                    expected += window.0;
                    received += window.1;
                    if window.1 > 0 && track.kind == MediaKind::Audio {
                        measured.jitter = measured.jitter.max(layer.stats.jitter(clock_hz));
                    }
                }
            }
            if expected > 0 {
                let lost = expected.saturating_sub(received);
                measured.loss = measured.loss.max(lost as f64 / expected as f64);
            }
            let quality = judge(&measured);
            if participant.quality.replace(quality) != Some(quality) {
                context.shared.events.push_back(Event::Quality {
                    participant: participant.sid.clone(),
                    quality,
                    loss_percent: (measured.loss * 100.0) as u8,
                    rtt_ms: measured.rtt.as_millis() as u32,
                });
            }
        }
    }
}
