//! Makes a lesson of what was kept of it.

use belfry_classroom::{Band, ChatMode, ChatTo, Lesson, Message, MessageId, Profile, Rules};
use belfry_model::Timestamp;
use belfry_settings::{ChatDefault, LessonPolicy};
use belfry_store::{self as store, KeptLesson};

/// The rules of a lesson as they were, or new ones for a lesson that nothing is kept of.
pub fn open(kept: KeptLesson, policy: &LessonPolicy, now: Timestamp) -> (store::Lesson, Lesson) {
    let KeptLesson { lesson: of, snapshot, chat } = kept;
    let chat = chat.into_iter().filter_map(message);
    // inside: the snapshot is what a hub of this house wrote to `belfry.db`.
    let snapshot = snapshot.and_then(|text| {
        let read = serde_json::from_str(&text);
        read.inspect_err(
            |error| tracing::warn!(lesson = %of.id, %error, "a kept lesson is unreadable"),
        )
        .ok()
    });
    let restored = snapshot.and_then(|snapshot| Lesson::restore(snapshot, chat, now));
    let lesson = restored.unwrap_or_else(|| {
        let band = Band::parse(of.band.as_str()).expect("both crates have the same two bands");
        let rules = first_rules(band, policy);
        let profile = Profile { lesson: of.id, name: of.name.clone(), band, rules };
        Lesson::new(profile, of.created_at)
    });
    (of, lesson)
}

/// What the district decides about a lesson that begins now. Whatever it decides about chat, young
/// children never begin with more than writing to the teacher.
fn first_rules(band: Band, policy: &LessonPolicy) -> Rules {
    let young = band == Band::K5;
    let chat = match policy.chat {
        ChatDefault::On if young => ChatMode::TeacherOnly,
        ChatDefault::On => ChatMode::On,
        ChatDefault::TeacherOnly => ChatMode::TeacherOnly,
        ChatDefault::Off => ChatMode::Off,
    };
    Rules {
        rostered_pass: !policy.waiting_room,
        focus: young && policy.k5_focus,
        chat,
        grace_ms: policy.grace_ms,
    }
}

fn message(kept: store::ChatMessage) -> Option<Message> {
    Some(Message {
        id: MessageId(kept.number),
        from: kept.identity,
        name: kept.name,
        text: kept.text,
        at: kept.sent_at,
        to: ChatTo::parse(kept.sent_to)?,
    })
}
