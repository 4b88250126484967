//! The closed list of events.

use serde::{Deserialize, Serialize};

use crate::field::{
    Actor, ChatMode, Class, ErasedBecause, Field, Fingerprint, Holding, Lesson, LessonEnd, Lock,
    Masked, Participant, Person, PersonRole, RefusedBecause, School, Scope, Source, ThrottledBy,
    Value, Word,
};

/// Whether what an event tells of was done or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Done,
    Refused,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// Something that happened, ready to be recorded. It goes to the process that records it as `serde`
/// writes it; what is kept is its canonical form alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since 1970. The order of the record is its sequence, never this.
    pub at_ms: i64,
    pub scope: Scope,
    pub actor: Actor,
    pub detail: Detail,
}

impl Event {
    pub fn kind(&self) -> EventKind {
        self.detail.kind()
    }
}

macro_rules! vocabulary {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $outcome:ident
        { $($field:ident : $type:ty),* $(,)? })*) => {
        /// The kinds of events, without their fields. Names are stable for ever.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind { $($(#[$doc])* $kind),* }

        impl EventKind {
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The stable name that the record holds.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }

            pub const fn outcome(self) -> Outcome {
                match self { $(Self::$kind => Outcome::$outcome),* }
            }

            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.name() == name)
            }
        }

        /// An event's kind with its fields.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Detail { $($(#[$doc])* $kind { $($field: $type),* }),* }

        impl Detail {
            pub const fn kind(&self) -> EventKind {
                match self { $(Self::$kind { .. } => EventKind::$kind),* }
            }

            /// The fields in the order of their declaration.
            pub fn fields(&self) -> Vec<(&'static str, Value)> {
                match self {
                    $(Self::$kind { $($field),* } => vec![$((stringify!($field), $field.value())),*]),*
                }
            }
        }
    };
}

vocabulary! {
    // Sign-in.
    SignedIn = "auth.signed_in", Done { person: Person }
    SignInRefused = "auth.sign_in_refused", Refused { person: Option<Person>, because: RefusedBecause }
    SignInThrottled = "auth.sign_in_throttled", Refused { person: Option<Person>, by: ThrottledBy }
    SignedOut = "auth.signed_out", Done { person: Option<Person> }
    SteppedUp = "auth.stepped_up", Done { person: Person }
    StepUpRefused = "auth.step_up_refused", Refused { person: Person }
    /// All sessions of a person were ended at once.
    SessionsEnded = "auth.sessions_ended", Done { person: Person, count: u64 }
    GuestSignedIn = "auth.guest_signed_in", Done { lesson: Lesson, participant: Participant }
    /// A page or an action was asked for by somebody whose role does not allow it.
    AccessRefused = "auth.access_refused", Refused { route: Word }

    // People.
    PersonCreated = "person.created", Done { person: Person, role: PersonRole }
    /// Name or user name.
    PersonChanged = "person.changed", Done { person: Person }
    PersonRoleChanged = "person.role_changed", Done { person: Person, from: PersonRole, to: PersonRole }
    PersonDisabled = "person.disabled", Done { person: Person }
    PersonEnabled = "person.enabled", Done { person: Person }
    /// Somebody else set a new password.
    PasswordReset = "person.password_reset", Done { person: Person }
    /// By the person itself.
    PasswordChanged = "person.password_changed", Done { person: Person }

    /// All that is kept about a person is about to be erased; recorded before, as nothing is left to tell of
    /// it after. The person's entries stay, under the number.
    PersonErased = "person.erased", Done { person: Person, because: ErasedBecause }

    /// A list of people was taken over; what came of it follows, event by event.
    PeopleImported = "person.imported", Done { people: u64, classes: u64, enrolments: u64 }

    // Classes.
    ClassCreated = "class.created", Done { class: Class }
    ClassChanged = "class.changed", Done { class: Class }
    /// Put away: no lessons, no place in anybody's day.
    ClassArchived = "class.archived", Done { class: Class }
    ClassRestored = "class.restored", Done { class: Class }
    ClassDeleted = "class.deleted", Done { class: Class }
    EnrolmentAdded = "class.enrolment_added", Done { class: Class, person: Person, role: PersonRole }
    EnrolmentRemoved = "class.enrolment_removed", Done { class: Class, person: Person }
    TimetableChanged = "class.timetable_changed", Done { class: Class }

    // The appliance's settings.
    SettingChanged = "setting.changed", Done { setting: Word, from: Masked, to: Masked }
    SchoolCreated = "school.created", Done { school: School }
    SchoolChanged = "school.changed", Done { school: School }

    // Lessons.
    LessonStarted = "lesson.started", Done { lesson: Lesson, class: Option<Class> }
    LessonEnded = "lesson.ended", Done { lesson: Lesson, because: LessonEnd }
    GuestLinkCreated = "lesson.guest_link_created", Done { lesson: Lesson }
    ParticipantWaiting = "lesson.participant_waiting", Done { lesson: Lesson, participant: Participant }
    ParticipantJoined = "lesson.participant_joined", Done { lesson: Lesson, participant: Participant }
    ParticipantLeft = "lesson.participant_left", Done { lesson: Lesson, participant: Participant }
    ParticipantAdmitted = "lesson.participant_admitted", Done { lesson: Lesson, participant: Participant }
    /// Not let in from the waiting room. The reason that the teacher wrote is free text and stays in the lesson.
    ParticipantRefused = "lesson.participant_refused", Done { lesson: Lesson, participant: Participant }
    ParticipantRemoved = "lesson.participant_removed", Done { lesson: Lesson, participant: Participant, blocked: bool }
    ParticipantUnblocked = "lesson.participant_unblocked", Done { lesson: Lesson, participant: Participant }
    CoTeacherGiven = "lesson.co_teacher_given", Done { lesson: Lesson, participant: Participant }
    CoTeacherEnded = "lesson.co_teacher_ended", Done { lesson: Lesson, participant: Participant }
    LockChanged = "lesson.lock_changed", Done { lesson: Lesson, lock: Lock, on: bool }
    ChatModeChanged = "lesson.chat_mode_changed", Done { lesson: Lesson, mode: ChatMode }
    MutedByTeacher = "lesson.muted_by_teacher", Done { lesson: Lesson, participant: Participant, source: Source }
    AllMutedByTeacher = "lesson.all_muted_by_teacher", Done { lesson: Lesson }
    AskedToUnmute = "lesson.asked_to_unmute", Done { lesson: Lesson, participant: Participant }
    ChatMessageDeleted = "lesson.chat_message_deleted", Done { lesson: Lesson, message: i64 }
    /// What students see was changed: focus, spotlight, follow.
    LayoutChanged = "lesson.layout_changed", Done { lesson: Lesson }
    TokenMinted = "lesson.token_minted", Done { lesson: Lesson, participant: Participant }
    /// A participant tried to get round a rule: a private message, a foreign identity, a locked source.
    RuleRefused = "lesson.rule_refused", Refused { lesson: Lesson, participant: Participant, rule: Word }

    /// Somebody looked at how connections were: of one person, or (none named) a list of this many.
    ConnectionsRead = "connections.read", Done { person: Option<Person>, count: u64 }

    // Keys and certificates.
    KeyCreated = "key.created", Done { key: Word, id: Word }
    KeyRotated = "key.rotated", Done { key: Word, id: Word }
    CertificateAuthorityCreated = "certificate.authority_created", Done { fingerprint: Fingerprint }
    CertificateIssued = "certificate.issued", Done { fingerprint: Fingerprint, expires_at_ms: i64 }

    // The appliance and its record.
    ApplianceStarted = "appliance.started", Done { version: Word }
    ApplianceStopped = "appliance.stopped", Done {}
    /// The media process or another worker ended by itself and is started anew.
    WorkerEnded = "appliance.worker_ended", Done { worker: Word }
    /// What is kept about people is about to be shown: recorded before the first byte. `object`: its
    /// number, where one was asked for.
    Disclosing = "data.disclosing", Done { holding: Holding, route: Word, object: Option<i64> }
    /// What went out of it: the answer's status, and the bytes of its body that were handed on.
    /// `whole`: to its end.
    Disclosed = "data.disclosed", Done { intent: u64, status: u64, bytes: u64, whole: bool }

    /// Somebody had the whole record recomputed; `sound`: nothing in it was found wrong.
    RecordVerified = "record.verified", Done { entries: u64, sound: bool }
    /// Somebody read the record.
    RecordRead = "record.read", Done { from_seq: u64, count: u64 }
    /// A bundle of evidence is about to leave: entries from the one to before the other, at this level of redaction.
    EvidenceExporting = "evidence.exporting", Done { first: u64, size: u64, level: Word }
    /// The record begins a new epoch, since more of it was published than is left: two persons
    /// decided so. `lost_at_least`: entries that were published and are gone.
    RecordForked = "record.forked", Done { epoch: u64, lost_at_least: u64, first_person: Person, second_person: Person }
    /// Personal data beside this many entries was erased; the entries stay.
    OpeningsErased = "record.openings_erased", Done { count: u64, first: u64, last: u64 }
    /// Events could not be recorded: this many, the first and the last at these times.
    RecordGap = "record.gap", Done { count: u64, first_at_ms: i64, last_at_ms: i64 }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::EventKind;

    #[test]
    fn every_kind_has_a_name_of_its_own_that_parses_back() {
        let names: HashSet<_> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), EventKind::ALL.len());
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.name()), Some(*kind));
            assert!(kind.name().bytes().all(|b| b.is_ascii_lowercase() || b"._".contains(&b)));
        }
        assert_eq!(EventKind::parse("person.created "), None);
    }
}
