//! What of a lesson goes into the record.

use belfry_audit::{
    Actor, ChatMode, Declared, Detail, EventKind, Lesson, LessonEnd, Lock, Participant, Source,
    Word, no_audit,
};
use belfry_model::{Identity, LessonId};

use crate::command::CommandKind;
use crate::effect::{EndCause, Record};
use crate::word;

/// What each command of the class socket leaves in the record. A command that is refused, or that
/// changes nothing, leaves nothing.
pub const fn declared(command: CommandKind) -> Declared {
    use EventKind as Kind;
    let kind = match command {
        CommandKind::RaiseHand
        | CommandKind::LowerHand
        | CommandKind::LowerHandOf
        | CommandKind::LowerAllHands => return no_audit("hands are part of every lesson's course"),
        CommandKind::Chat => return no_audit("kept word for word with the lesson's chat"),
        CommandKind::DeleteMessage => Kind::ChatMessageDeleted,
        CommandKind::Admit | CommandKind::AdmitAll => Kind::ParticipantAdmitted,
        CommandKind::Refuse => Kind::ParticipantRefused,
        CommandKind::Mute => Kind::MutedByTeacher,
        CommandKind::MuteAll => Kind::AllMutedByTeacher,
        CommandKind::AskUnmute => Kind::AskedToUnmute,
        CommandKind::Lock => Kind::LockChanged,
        CommandKind::ChatMode => Kind::ChatModeChanged,
        CommandKind::Remove => Kind::ParticipantRemoved,
        CommandKind::Unblock => Kind::ParticipantUnblocked,
        CommandKind::Layout | CommandKind::Follow => Kind::LayoutChanged,
        CommandKind::MakeCoTeacher => Kind::CoTeacherGiven,
        CommandKind::EndCoTeacher => Kind::CoTeacherEnded,
        CommandKind::Leave => Kind::ParticipantLeft,
        CommandKind::End => Kind::LessonEnded,
    };
    Declared::Audited(kind)
}

/// Who did what, in the words of the record. Reasons are free text and stay in the lesson.
pub fn event(lesson: LessonId, record: Record) -> (Actor, Detail) {
    let lesson = Lesson(lesson.0);
    let one = |identity: &Identity| Participant::new(identity.as_str());
    let (by, detail) = match record {
        Record::Ended { because: EndCause::By(by) } => {
            (by, Detail::LessonEnded { lesson, because: LessonEnd::ByTeacher })
        }
        Record::Ended { because } => {
            let stopped = because == EndCause::Stopped;
            let because = if stopped { LessonEnd::Stopped } else { LessonEnd::NoTeacher };
            return (Actor::Appliance, Detail::LessonEnded { lesson, because });
        }
        Record::Waiting { identity } => {
            let participant = one(&identity);
            (identity, Detail::ParticipantWaiting { lesson, participant })
        }
        Record::Joined { identity, .. } => {
            let participant = one(&identity);
            (identity, Detail::ParticipantJoined { lesson, participant })
        }
        Record::Left { identity } => {
            let participant = one(&identity);
            (identity, Detail::ParticipantLeft { lesson, participant })
        }
        Record::Admitted { by, identity } => {
            (by, Detail::ParticipantAdmitted { lesson, participant: one(&identity) })
        }
        Record::Refused { by, identity, .. } => {
            (by, Detail::ParticipantRefused { lesson, participant: one(&identity) })
        }
        Record::Removed { by, identity, blocked, .. } => {
            (by, Detail::ParticipantRemoved { lesson, participant: one(&identity), blocked })
        }
        Record::Unblocked { by, identity } => {
            (by, Detail::ParticipantUnblocked { lesson, participant: one(&identity) })
        }
        Record::Muted { by, identity, source } => {
            let (participant, source) = (one(&identity), source_word(source));
            (by, Detail::MutedByTeacher { lesson, participant, source })
        }
        Record::AllMuted { by } => (by, Detail::AllMutedByTeacher { lesson }),
        Record::AskedToUnmute { by, identity } => {
            (by, Detail::AskedToUnmute { lesson, participant: one(&identity) })
        }
        Record::Locked { by, what, on } => {
            (by, Detail::LockChanged { lesson, lock: lock_word(what), on })
        }
        Record::ChatModeSet { by, mode } => {
            (by, Detail::ChatModeChanged { lesson, mode: mode_word(mode) })
        }
        Record::LayoutChanged { by } => (by, Detail::LayoutChanged { lesson }),
        Record::MessageDeleted { by, message } => {
            let message = i64::try_from(message.0).unwrap_or(i64::MAX);
            (by, Detail::ChatMessageDeleted { lesson, message })
        }
        Record::CoTeacherMade { by, identity } => {
            (by, Detail::CoTeacherGiven { lesson, participant: one(&identity) })
        }
        Record::CoTeacherEnded { by, identity } => {
            (by, Detail::CoTeacherEnded { lesson, participant: one(&identity) })
        }
    };
    (Actor::participant(by.as_str()), detail)
}

fn lock_word(what: word::Source) -> Lock {
    match what {
        word::Source::Microphone => Lock::Microphones,
        word::Source::Camera => Lock::Cameras,
        word::Source::ScreenShare => Lock::ScreenShare,
    }
}

fn mode_word(mode: word::ChatMode) -> ChatMode {
    match mode {
        word::ChatMode::On => ChatMode::On,
        word::ChatMode::Off => ChatMode::Off,
        word::ChatMode::TeacherOnly => ChatMode::TeacherOnly,
    }
}

fn source_word(source: word::Source) -> Source {
    match source {
        word::Source::Microphone => Source::Microphone,
        word::Source::Camera => Source::Camera,
        word::Source::ScreenShare => Source::ScreenShare,
    }
}

/// Somebody tried to get round a rule of the media plane.
pub fn rule_refused(
    lesson: LessonId,
    identity: &Identity,
    rule: impl std::fmt::Debug,
) -> (Actor, Detail) {
    let rule = Word::new(&format!("{rule:?}"));
    let (lesson, participant) = (Lesson(lesson.0), Participant::new(identity.as_str()));
    (Actor::participant(identity.as_str()), Detail::RuleRefused { lesson, participant, rule })
}

pub fn token_minted(lesson: LessonId, identity: &Identity) -> (Actor, Detail) {
    let (lesson, participant) = (Lesson(lesson.0), Participant::new(identity.as_str()));
    (Actor::participant(identity.as_str()), Detail::TokenMinted { lesson, participant })
}
