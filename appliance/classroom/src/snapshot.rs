//! What of a lesson outlives the process: the rules' state without the connections. The chat is
//! kept message by message, beside it.

use belfry_model::limits::TEACHER_GRACE_MS;
use belfry_model::{Identity, LessonId, LessonRole, Pii, Timestamp};
use serde::{Deserialize, Serialize};

use crate::lesson::{Lesson, Participant, Profile};
use crate::view::Hand;
use crate::word::{Band, ChatMode, Layout, LayoutMode, Locks, Message, Phase, Source};

/// The form in which a lesson is kept. Fields are only ever added, each with a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    lesson: LessonId,
    name: String,
    band: String,
    rostered_pass: bool,
    phase: String,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    /// The sources that are locked.
    locked: Vec<String>,
    chat: String,
    layout: String,
    spotlight: Option<Identity>,
    follow: bool,
    participants: Vec<Kept>,
    admitted: Vec<Identity>,
    co_teachers: Vec<Identity>,
    blocked: Vec<Identity>,
    hands: Vec<(Identity, Timestamp)>,
    message_last: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    identity: Identity,
    name: Pii<String>,
    role: LessonRole,
    joined_at: Timestamp,
}

impl Lesson {
    pub fn snapshot(&self) -> Snapshot {
        let kept = |(identity, one): (&Identity, &Participant)| Kept {
            identity: identity.clone(),
            name: one.name.clone(),
            role: one.role,
            joined_at: one.joined_at,
        };
        let locked = Source::ALL.iter().filter(|source| self.locks.holds(**source));
        Snapshot {
            lesson: self.profile.lesson,
            name: self.profile.name.clone(),
            band: self.profile.band.as_str().into(),
            rostered_pass: self.profile.rostered_pass,
            phase: self.phase.as_str().into(),
            created_at: self.created_at,
            started_at: self.started_at,
            locked: locked.map(|source| source.as_str().into()).collect(),
            chat: self.locks.chat.as_str().into(),
            layout: self.layout.mode.as_str().into(),
            spotlight: self.layout.spotlight.clone(),
            follow: self.layout.follow,
            participants: self.participants.iter().map(kept).collect(),
            admitted: self.admitted.iter().cloned().collect(),
            co_teachers: self.co_teachers.iter().cloned().collect(),
            blocked: self.blocked.iter().cloned().collect(),
            hands: self.hands.iter().map(|hand| (hand.identity.clone(), hand.at)).collect(),
            message_last: self.message_last,
        }
    }

    /// A lesson as it was, with nobody connected: everybody, the teacher included, has the grace
    /// time to come back. `None` if a word in the snapshot is not one of ours.
    pub fn restore(
        snapshot: Snapshot,
        chat: impl IntoIterator<Item = Message>,
        now: Timestamp,
    ) -> Option<Self> {
        let band = Band::parse(&snapshot.band)?;
        let phase = match Phase::parse(&snapshot.phase)? {
            Phase::Grace => Phase::Open,
            phase => phase,
        };
        let profile = Profile {
            lesson: snapshot.lesson,
            name: snapshot.name,
            band,
            rostered_pass: snapshot.rostered_pass,
        };
        let mut lesson = Self::new(profile, snapshot.created_at);
        lesson.phase = phase;
        lesson.started_at = snapshot.started_at;
        lesson.leaderless_since = (phase == Phase::Open).then_some(now);
        lesson.locks = Locks {
            microphones: false,
            cameras: false,
            screen_share: false,
            chat: ChatMode::parse(&snapshot.chat)?,
        };
        for what in &snapshot.locked {
            lesson.locks.set(Source::parse(what)?, true);
        }
        lesson.layout = Layout {
            mode: LayoutMode::parse(&snapshot.layout)?,
            spotlight: snapshot.spotlight,
            follow: snapshot.follow,
            followed: None,
        };
        let gone_at = Some(now.plus_ms(TEACHER_GRACE_MS));
        let participants = snapshot.participants.into_iter();
        lesson.participants = participants.map(|kept| kept.back(gone_at)).collect();
        lesson.admitted = snapshot.admitted.into_iter().collect();
        lesson.co_teachers = snapshot.co_teachers.into_iter().collect();
        lesson.blocked = snapshot.blocked.into_iter().collect();
        let hands = snapshot.hands.into_iter();
        lesson.hands = hands.map(|(identity, at)| Hand { identity, at }).collect();
        lesson.message_last = snapshot.message_last;
        chat.into_iter().for_each(|message| lesson.keep(message));
        Some(lesson)
    }
}

impl Kept {
    fn back(self, gone_at: Option<Timestamp>) -> (Identity, Participant) {
        let participant = Participant {
            name: self.name,
            role: self.role,
            joined_at: self.joined_at,
            class: false,
            media: false,
            gone_at,
            quality: None,
        };
        (self.identity, participant)
    }
}
