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

/// The kinds of commands with the names that they have on the class socket, and who may say each.
macro_rules! kinds {
    ($($kind:ident $fields:tt = $name:literal, $who:ident;)+) => {
        /// A command without what it says.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CommandKind { $($kind),+ }

        impl CommandKind {
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }

            pub const fn who(self) -> Who {
                match self { $(Self::$kind => Who::$who),+ }
            }
        }

        impl Command {
            pub const fn kind(&self) -> CommandKind {
                match self { $(Self::$kind $fields => CommandKind::$kind),+ }
            }
        }
    };
}

kinds! {
    RaiseHand {} = "raise_hand", Admitted;
    LowerHand {} = "lower_hand", Admitted;
    LowerHandOf { .. } = "lower_hand_of", Leads;
    LowerAllHands {} = "lower_all_hands", Leads;
    Chat { .. } = "chat", Admitted;
    DeleteMessage { .. } = "delete_message", Leads;
    Admit { .. } = "admit", Leads;
    Refuse { .. } = "refuse", Leads;
    AdmitAll {} = "admit_all", Leads;
    Mute { .. } = "mute", Leads;
    MuteAll {} = "mute_all", Leads;
    AskUnmute { .. } = "ask_unmute", Leads;
    Lock { .. } = "lock", Leads;
    ChatMode { .. } = "chat_mode", Leads;
    Remove { .. } = "remove", Leads;
    Unblock { .. } = "unblock", Leads;
    Layout { .. } = "layout", Leads;
    Follow { .. } = "follow", Leads;
    MakeCoTeacher { .. } = "make_co_teacher", Teacher;
    EndCoTeacher { .. } = "end_co_teacher", Teacher;
    Leave {} = "leave", Anybody;
    End {} = "end", Leads;
}

impl Command {
    pub const fn who(&self) -> Who {
        self.kind().who()
    }
}
