//! Sends what pacers kept, and the packets of probes.

use std::time::Duration;

use super::Room;
use crate::context::Context;
use crate::track::Track;

/// Without anything that waits, pacers and probes are looked after this often.
const IDLE: Duration = Duration::from_secs(1);
/// What was just kept may leave after this long at the earliest.
const SOON: Duration = Duration::from_millis(1);
/// A cluster has fewer packets.
const PADDING_IN_A_ROW_MAX: usize = 200;

impl Room {
    /// Wakes up in time for packets that had to wait just now.
    pub(super) fn pace_soon(&mut self, context: &mut Context<'_>) {
        if std::mem::take(&mut context.shared.kept) {
            self.pace_at = self.pace_at.min(context.now + SOON);
        }
    }

    pub(super) fn pace(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        self.pace_at = now + IDLE;
        for key in 0..self.participants.capacity() {
            let due = |room: &Self| {
                let participant = room.participants.get(key)?;
                participant.egress.congestion.deadline()
            };
            let Some(at) = due(self) else { continue };
            if at <= now {
                self.pace_for(key, context);
            }
            if let Some(next) = due(self) {
                // What could not be done now would be due for ever; it waits a little.
                self.pace_at = self.pace_at.min(next.max(now + SOON));
            }
        }
        context.shared.kept = false;
    }

    fn pace_for(&mut self, key: usize, context: &mut Context<'_>) {
        let Some(participant) = self.participants.get_mut(key) else { return };
        let egress = &mut participant.egress;
        egress.congestion.timeout(context.now);
        while let Some((kept, useful)) = egress.congestion.next_kept(context.now) {
            let Some(track) = self.tracks.get_mut(kept.track) else { continue };
            let Track { layers, downs, .. } = &mut *track;
            let Ok(at) = downs.binary_search_by_key(&key, |down| down.participant) else {
                continue;
            };
            let Some(down) = downs.get_mut(at) else { continue };
            if useful {
                down.depart(&kept, layers, egress, context);
            } else if !kept.repeated {
                down.overtaken(kept.sequence);
                egress.congestion.drop_kept(|other| other.track == kept.track);
                track.want_awaited();
                self.urgent_at = context.now;
            }
        }
        for _ in 0..PADDING_IN_A_ROW_MAX {
            if !egress.congestion.wants_padding(context.now) {
                return;
            }
            let padded = participant.subscriptions.iter().any(|track| {
                let Some(Track { layers, downs, .. }) = self.tracks.get_mut(*track) else {
                    return false;
                };
                let at = downs.binary_search_by_key(&key, |down| down.participant);
                let down = at.ok().and_then(|at| downs.get_mut(at));
                down.is_some_and(|down| down.pad(layers, egress, context))
            });
            if !padded {
                break;
            }
        }
        egress.congestion.cannot_pad(context.now);
    }
}
