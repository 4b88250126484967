//! What one participant may see of a lesson.

use belfry_model::{Identity, LessonId, LessonRole, Pii, Timestamp};

use crate::lesson::Lesson;
use crate::word::{Band, ChatTo, Layout, LayoutMode, Locks, Message, Phase, Quality};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct You {
    pub identity: Identity,
    pub role: LessonRole,
    pub admitted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LessonView {
    pub lesson: LessonId,
    pub name: String,
    pub band: Band,
    pub phase: Phase,
    pub started_at: Option<Timestamp>,
    pub grace_until: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantView {
    pub identity: Identity,
    pub name: Pii<String>,
    pub role: LessonRole,
    pub connected: bool,
    pub hand: Option<Timestamp>,
    pub joined_at: Timestamp,
    /// Only for those who lead and for the participant itself.
    pub quality: Option<Quality>,
    pub loss_percent: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingView {
    pub identity: Identity,
    pub name: Pii<String>,
    pub guest: bool,
    pub since: Timestamp,
}

/// Somebody who was removed and may not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedView {
    pub identity: Identity,
    pub name: Pii<String>,
}

/// A raised hand; the queue is in the order of raising.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hand {
    pub identity: Identity,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub lesson: LessonView,
    pub locks: Locks,
    pub layout: Layout,
    pub participants: Vec<ParticipantView>,
    pub waiting: Vec<WaitingView>,
    pub blocked: Vec<BlockedView>,
    pub chat: Vec<Message>,
    /// May be shown what only those who lead see, the guest link for one.
    pub leads: bool,
}

impl Lesson {
    /// How somebody stands in the lesson, `None` if they neither wait nor take part.
    pub fn you(&self, identity: &Identity) -> Option<You> {
        let role = self.participants.get(identity).map(|participant| participant.role);
        let waits = || self.waiting.iter().find(|waiting| waiting.identity == *identity);
        let shown = role.or_else(|| waits().map(|waiting| waiting.standing.role()))?;
        Some(You { identity: identity.clone(), role: shown, admitted: role.is_some() })
    }

    /// Everything that `viewer` may see. Somebody who waits sees the lesson, and nobody in it.
    pub fn state(&self, viewer: &Identity) -> State {
        let role = self.role(viewer);
        let leads = role.is_some_and(LessonRole::leads);
        State {
            lesson: self.view(),
            locks: self.locks,
            layout: if role.is_some() {
                self.layout.clone()
            } else {
                Layout::first(self.profile.rules.focus)
            },
            participants: self.participants_for(viewer, role),
            waiting: if leads { self.waiting_views() } else { Vec::new() },
            blocked: if leads { self.blocked_views() } else { Vec::new() },
            chat: self.chat_for(viewer, role),
            leads,
        }
    }

    pub fn view(&self) -> LessonView {
        LessonView {
            lesson: self.profile.lesson,
            name: self.profile.name.clone(),
            band: self.profile.band,
            phase: self.phase,
            started_at: self.started_at,
            grace_until: (self.phase == Phase::Grace).then(|| self.grace_until()).flatten(),
        }
    }

    /// Participants of the lesson who are connected, and those who may still resume.
    pub fn present_count(&self) -> usize {
        self.participants.len()
    }

    pub fn role(&self, identity: &Identity) -> Option<LessonRole> {
        self.participants.get(identity).map(|participant| participant.role)
    }

    /// Teachers and co-teachers who take part.
    pub fn leads(&self) -> Vec<Identity> {
        let leads = self.participants.iter().filter(|(_, participant)| participant.role.leads());
        leads.map(|(identity, _)| identity.clone()).collect()
    }

    /// Those who are shown large to all, by the layout or by the teacher's screen that all follow.
    pub fn spotlight(&self) -> Vec<Identity> {
        let layout = &self.layout;
        let followed = layout.followed.as_ref().filter(|_| layout.follow);
        let shown = [
            Some((layout.mode, &layout.spotlight)),
            followed.map(|view| (view.mode, &view.spotlight)),
        ];
        let shown = shown.into_iter().flatten();
        let large = shown.filter(|(mode, _)| *mode == LayoutMode::Spotlight);
        let mut large: Vec<_> = large.filter_map(|(_, one)| one.clone()).collect();
        large.dedup();
        large
    }

    /// The display name of somebody who takes part.
    pub fn name_of(&self, identity: &Identity) -> Option<&Pii<String>> {
        self.participants.get(identity).map(|participant| &participant.name)
    }

    fn participants_for(
        &self,
        viewer: &Identity,
        role: Option<LessonRole>,
    ) -> Vec<ParticipantView> {
        let Some(role) = role else { return Vec::new() };
        let full = |identity: &Identity| role.leads() || identity == viewer;
        self.participants.keys().filter_map(|one| self.participant_view(one, full(one))).collect()
    }

    pub(crate) fn participant_view(
        &self,
        identity: &Identity,
        with_quality: bool,
    ) -> Option<ParticipantView> {
        let participant = self.participants.get(identity)?;
        let quality = participant.quality.filter(|_| with_quality);
        Some(ParticipantView {
            identity: identity.clone(),
            name: participant.name.clone(),
            role: participant.role,
            connected: participant.connected(),
            hand: self.hands.iter().find(|hand| hand.identity == *identity).map(|hand| hand.at),
            joined_at: participant.joined_at,
            quality: quality.map(|(quality, _)| quality),
            loss_percent: quality.map_or(0, |(_, loss_percent)| loss_percent),
        })
    }

    pub(crate) fn waiting_views(&self) -> Vec<WaitingView> {
        self.waiting
            .iter()
            .map(|waiting| WaitingView {
                identity: waiting.identity.clone(),
                name: waiting.name.clone(),
                guest: waiting.standing == crate::Standing::Guest,
                since: waiting.since,
            })
            .collect()
    }

    pub(crate) fn blocked_views(&self) -> Vec<BlockedView> {
        let view = |(identity, name): (&Identity, &Pii<String>)| BlockedView {
            identity: identity.clone(),
            name: name.clone(),
        };
        self.blocked.iter().map(view).collect()
    }

    fn chat_for(&self, viewer: &Identity, role: Option<LessonRole>) -> Vec<Message> {
        let Some(role) = role else { return Vec::new() };
        let visible = |message: &&Message| {
            message.to == ChatTo::Everyone || role.leads() || message.from == *viewer
        };
        self.chat.iter().filter(visible).cloned().collect()
    }
}
