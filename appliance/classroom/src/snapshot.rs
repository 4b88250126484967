//! What of a lesson outlives the process: the rules' state without the connections. The chat is
//! kept message by message, beside it.

use belfry_model::{Identity, LessonId, LessonRole, Pii, Timestamp};
use serde::{Deserialize, Serialize};

use crate::lesson::{Lesson, Participant, Profile, Rules};
use crate::link::LinkState;
use crate::view::Hand;
use crate::word::{Band, ChatMode, Layout, LayoutMode, Locks, Message, Phase, Source};

/// The form in which a lesson is kept. Fields are only ever added, each with a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    lesson: LessonId,
    name: String,
    band: String,
    rostered_pass: bool,
    /// `None` in what was kept before there was a choice.
    #[serde(default)]
    focus: Option<bool>,
    #[serde(default)]
    grace_ms: Option<i64>,
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
    #[serde(default)]
    removed: Vec<Identity>,
    blocked: Vec<Identity>,
    /// Of the blocked, in the same order.
    #[serde(default)]
    blocked_names: Vec<Pii<String>>,
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
            rostered_pass: self.profile.rules.rostered_pass,
            focus: Some(self.profile.rules.focus),
            grace_ms: Some(self.profile.rules.grace_ms),
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
            removed: self.removed.iter().cloned().collect(),
            blocked: self.blocked.keys().cloned().collect(),
            blocked_names: self.blocked.values().cloned().collect(),
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
        let usual = Rules::usual(band);
        let rules = Rules {
            rostered_pass: snapshot.rostered_pass,
            focus: snapshot.focus.unwrap_or(usual.focus),
            // How it began is over.
            chat: ChatMode::parse(&snapshot.chat)?,
            grace_ms: snapshot.grace_ms.unwrap_or(usual.grace_ms),
        };
        let profile = Profile { lesson: snapshot.lesson, name: snapshot.name, band, rules };
        let mut lesson = Self::new(profile, snapshot.created_at);
        lesson.phase = phase;
        lesson.started_at = snapshot.started_at;
        lesson.leaderless_since = (phase == Phase::Open).then_some(now);
        lesson.locks =
            Locks { microphones: false, cameras: false, screen_share: false, chat: rules.chat };
        for what in &snapshot.locked {
            lesson.locks.set(Source::parse(what)?, true);
        }
        lesson.layout = Layout {
            mode: LayoutMode::parse(&snapshot.layout)?,
            spotlight: snapshot.spotlight,
            follow: snapshot.follow,
            followed: None,
        };
        let gone_at = Some(now.plus_ms(rules.grace_ms));
        let participants = snapshot.participants.into_iter();
        lesson.participants = participants.map(|kept| kept.back(gone_at)).collect();
        lesson.admitted = snapshot.admitted.into_iter().collect();
        lesson.co_teachers = snapshot.co_teachers.into_iter().collect();
        lesson.removed = snapshot.removed.into_iter().collect();
        // What was kept before names were has the identity in their place.
        let names = snapshot.blocked_names.into_iter().map(Some).chain(std::iter::repeat(None));
        let named = snapshot.blocked.into_iter().zip(names).map(|(identity, name)| {
            let name = name.unwrap_or_else(|| Pii::new(identity.as_str().to_owned()));
            (identity, name)
        });
        lesson.blocked = named.collect();
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
            link: LinkState::default(),
        };
        (self.identity, participant)
    }
}
