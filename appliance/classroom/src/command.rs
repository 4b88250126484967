//! What a participant may ask for, and who may ask for it.

use belfry_model::{Identity, LessonRole, Pii};

use crate::word::{ChatMode, ChatTo, LayoutMode, MessageId, Source, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    RaiseHand,
    LowerHand,
    LowerHandOf { identity: Identity },
    LowerAllHands,
    Chat { text: Pii<String>, to: ChatTo },
    DeleteMessage { message: MessageId },
    Admit { identity: Identity },
    Refuse { identity: Identity, reason: Pii<String> },
    AdmitAll,
    Mute { identity: Identity, source: Source },
    MuteAll,
    AskUnmute { identity: Identity },
    Lock { what: Source, on: bool },
    ChatMode { mode: ChatMode },
    Remove { identity: Identity, reason: Pii<String>, block: bool },
    Unblock { identity: Identity },
    Layout { mode: LayoutMode, spotlight: Option<Identity> },
    Follow { on: bool, view: Option<View> },
    MakeCoTeacher { identity: Identity },
    EndCoTeacher { identity: Identity },
    Leave,
    End,
}

/// Which participants a command is open to; those in the waiting room may only leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody, the waiting room included.
    Anybody,
    /// Every admitted participant.
    Admitted,
    /// Teachers and co-teachers.
    Leads,
    /// Teachers; not the co-teachers that they made.
    Teacher,
}

impl Who {
    /// `role` is that of an admitted participant, `None` of one who waits.
    pub fn includes(self, role: Option<LessonRole>) -> bool {
        match self {
            Self::Anybody => true,
            Self::Admitted => role.is_some(),
            Self::Leads => role.is_some_and(LessonRole::leads),
            Self::Teacher => role == Some(LessonRole::Teacher),
        }
    }
}

impl Command {
    pub fn who(&self) -> Who {
        match self {
            Self::Leave => Who::Anybody,
            Self::RaiseHand | Self::LowerHand | Self::Chat { .. } => Who::Admitted,
            Self::LowerHandOf { .. }
            | Self::LowerAllHands
            | Self::DeleteMessage { .. }
            | Self::Admit { .. }
            | Self::Refuse { .. }
            | Self::AdmitAll
            | Self::Mute { .. }
            | Self::MuteAll
            | Self::AskUnmute { .. }
            | Self::Lock { .. }
            | Self::ChatMode { .. }
            | Self::Remove { .. }
            | Self::Unblock { .. }
            | Self::Layout { .. }
            | Self::Follow { .. }
            | Self::End => Who::Leads,
            Self::MakeCoTeacher { .. } | Self::EndCoTeacher { .. } => Who::Teacher,
        }
    }
}
