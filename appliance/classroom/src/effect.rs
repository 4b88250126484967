//! What follows from an event: data that the caller carries out, in order.

use belfry_model::{Identity, LessonRole, Pii};

use crate::link::Link;
use crate::view::{BlockedView, Hand, LessonView, ParticipantView, WaitingView};
use crate::word::{ChatMode, Grants, Layout, Locks, Message, MessageId, Quality, Source};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a notice to the class sockets of an audience.
    Send {
        to: Audience,
        notice: Notice,
    },
    /// Somebody came out of the waiting room: give them a media token and everything they may see.
    Admitted {
        identity: Identity,
    },
    /// A role changed: give them everything that they may see now.
    RoleChanged {
        identity: Identity,
    },
    /// End their class socket; `None` where they asked for it themselves.
    Close {
        identity: Identity,
        bye: Option<Bye>,
    },
    /// What they may send from now on; tracks beyond it are taken down.
    SetGrants {
        identity: Identity,
        grants: Grants,
    },
    /// Stop forwarding a source now, whatever the client does.
    MuteSource {
        identity: Identity,
        source: Source,
    },
    RemoveFromMedia {
        identity: Identity,
    },
    /// Nobody has media in this lesson any more.
    EndMedia,
    Audit(Record),
    /// The snapshot is not what it was.
    Persist,
    PersistMessage(Message),
    PersistDeletion(MessageId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    One(Identity),
    /// Teachers and co-teachers.
    Leads,
    /// Admitted participants who do not lead.
    Led,
    Admitted,
    /// The waiting room, too.
    All,
}

/// What a class socket is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    Participant(ParticipantView),
    Left(Identity),
    Waiting(Vec<WaitingView>),
    Blocked(Vec<BlockedView>),
    Phase(LessonView),
    Locks(Locks),
    Layout(Layout),
    Hands(Vec<Hand>),
    Chat(Message),
    ChatDeleted(MessageId),
    AskedToUnmute,
    MutedByTeacher(Source),
    Quality {
        identity: Identity,
        quality: Quality,
        loss_percent: u8,
    },
    /// The state of a way down. It holds now and is worth nothing later.
    Link {
        identity: Identity,
        link: Link,
    },
}

/// Why a class socket ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bye {
    /// By a teacher, with the reason that they gave.
    Removed {
        reason: Pii<String>,
    },
    /// Removed and kept out.
    Blocked {
        reason: Pii<String>,
    },
    Ended,
}

/// Why a lesson ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndCause {
    By(Identity),
    /// No teacher came, or none came back.
    NoTeacher,
    /// The appliance ended it, or it was longer than any lesson is.
    Stopped,
}

/// What the ledger is told. `by` is who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Ended { because: EndCause },
    Waiting { identity: Identity },
    Joined { identity: Identity, role: LessonRole },
    Left { identity: Identity },
    Admitted { by: Identity, identity: Identity },
    Refused { by: Identity, identity: Identity, reason: Pii<String> },
    Removed { by: Identity, identity: Identity, reason: Pii<String>, blocked: bool },
    Unblocked { by: Identity, identity: Identity },
    Muted { by: Identity, identity: Identity, source: Source },
    AllMuted { by: Identity },
    AskedToUnmute { by: Identity, identity: Identity },
    Locked { by: Identity, what: Source, on: bool },
    ChatModeSet { by: Identity, mode: ChatMode },
    LayoutChanged { by: Identity },
    MessageDeleted { by: Identity, message: MessageId },
    CoTeacherMade { by: Identity, identity: Identity },
    CoTeacherEnded { by: Identity, identity: Identity },
}
