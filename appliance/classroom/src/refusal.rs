//! Why an event was refused. The code is stable; the sentence says what to do.

/// A refused event has changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("Only a teacher can do this")]
    NotAllowed,
    #[error("Wait until the teacher lets you in")]
    NotAdmitted,
    #[error("This person is not in the lesson any more")]
    NoSuchParticipant,
    #[error("Nobody with this name is in the waiting room any more")]
    NotWaiting,
    #[error("This message is not there any more")]
    NoSuchMessage,
    #[error("The teacher has switched chat off")]
    ChatOff,
    #[error("At the moment you can write to the teacher only")]
    ChatTeacherOnly,
    #[error("Write something first")]
    TextEmpty,
    #[error("Make the text shorter")]
    TextTooLong,
    #[error("You cannot do this to yourself")]
    Yourself,
    #[error("Choose who is in the spotlight")]
    SpotlightEmpty,
    #[error("A guest cannot be a co-teacher; ask for somebody with an account")]
    GuestCannotLead,
    #[error("This person is a co-teacher already, or a teacher")]
    LeadsAlready,
    #[error("This person is not blocked")]
    NotBlocked,
    #[error("The teacher has removed you from this lesson")]
    Blocked,
    #[error("This lesson has ended")]
    Ended,
    #[error("This lesson is full; tell your teacher")]
    Full,
    #[error("Guest links are switched off; ask the teacher for an account")]
    GuestLinksOff,
}

impl Refusal {
    pub fn code(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::NotAdmitted => "not_admitted",
            Self::NoSuchParticipant => "no_such_participant",
            Self::NotWaiting => "not_waiting",
            Self::NoSuchMessage => "no_such_message",
            Self::ChatOff => "chat_off",
            Self::ChatTeacherOnly => "chat_teacher_only",
            Self::TextEmpty => "text_empty",
            Self::TextTooLong => "text_too_long",
            Self::Yourself => "yourself",
            Self::SpotlightEmpty => "spotlight_empty",
            Self::GuestCannotLead => "guest_cannot_lead",
            Self::LeadsAlready => "leads_already",
            Self::NotBlocked => "not_blocked",
            Self::Blocked => "blocked",
            Self::Ended => "ended",
            Self::Full => "full",
            Self::GuestLinksOff => "guest_links_off",
        }
    }
}
