//! The state of the way down to each participant: told to itself and to those who lead, changes
//! only, and not more often than people can read.

use belfry_model::{Identity, LessonRole, Timestamp};

use crate::effect::{Audience, Effect, Notice};
use crate::lesson::Lesson;
use crate::word::{Carried, Cause};

/// A participant's state is told at most once in this time; the last one in it counts.
pub const LINK_EVERY_MS: i64 = 2_000;
/// Losses within the same step of this size are the same, percent.
const LOSS_STEP: u8 = 5;

/// What the way down to a participant carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub carried: Carried,
    pub cause: Cause,
    pub loss_percent: u8,
}

impl Default for Link {
    fn default() -> Self {
        Self { carried: Carried::All, cause: Cause::None, loss_percent: 0 }
    }
}

impl Link {
    fn differs(self, other: Self) -> bool {
        let step = |link: Self| link.loss_percent / LOSS_STEP;
        (self.carried, self.cause) != (other.carried, other.cause) || step(self) != step(other)
    }
}

#[derive(Debug, Default)]
pub(crate) struct LinkState {
    now: Link,
    told: Link,
    told_at: Timestamp,
    /// When `now` is told.
    due: Option<Timestamp>,
}

impl LinkState {
    fn set(&mut self, link: Link, now: Timestamp) {
        self.now = link;
        let earliest = now.max(self.told_at.plus_ms(LINK_EVERY_MS));
        self.due = link.differs(self.told).then(|| self.due.unwrap_or(earliest));
    }

    /// What is to be told at this time.
    fn take(&mut self, now: Timestamp) -> Option<Link> {
        self.due.take_if(|due| *due <= now)?;
        (self.told, self.told_at) = (self.now, now);
        Some(self.told)
    }
}

impl Lesson {
    pub(crate) fn link(
        &mut self,
        identity: &Identity,
        link: Link,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if let Some(participant) = self.participants.get_mut(identity) {
            participant.link.set(link, now);
            self.tell_links(now, out);
        }
    }

    pub(crate) fn links_due(&self) -> Option<Timestamp> {
        self.participants.values().filter_map(|participant| participant.link.due).min()
    }

    pub(crate) fn tell_links(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        for (identity, participant) in &mut self.participants {
            let Some(link) = participant.link.take(now) else { continue };
            let notice = Notice::Link { identity: identity.clone(), link };
            if !participant.role.leads() {
                let to = Audience::One(identity.clone());
                out.push(Effect::Send { to, notice: notice.clone() });
            }
            out.push(Effect::Send { to: Audience::Leads, notice });
        }
    }

    /// The ways down that carry less than all, as `viewer` was told of them or would have been.
    pub fn links(&self, viewer: &Identity) -> Vec<(Identity, Link)> {
        let leads = self.role(viewer).is_some_and(LessonRole::leads);
        let seen = self.participants.iter().filter(|(one, _)| leads || *one == viewer);
        let told = seen.map(|(identity, one)| (identity.clone(), one.link.told));
        told.filter(|(_, link)| link.differs(Link::default())).collect()
    }
}
