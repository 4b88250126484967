//! The class socket's frames and the API's bodies, as `PROTOCOL.md` fixes them.

use belfry_classroom::{
    self as classroom, BlockedView, Bye, ChatMode, ChatTo, Command, Hand, Layout, LayoutMode,
    LessonView, Link, Locks, Message, MessageId, Notice, ParticipantView, Source, State, View,
    WaitingView, You,
};
use belfry_model::limits::{CLASS_FRAME_BYTES_MAX, NAME_CHARS_MAX};
use belfry_model::outside::Parser;
use belfry_model::{Identity, LessonRole, Pii};
use belfry_session::{ClassEvent, Farewell, Media, Outgoing, Resume};
use serde::Deserialize;
use serde_json::{Value, json};

/// The body that asks for an ad-hoc lesson.
pub(crate) const NEW_LESSON_BYTES_MAX: usize = 1_024;
/// An identity or an epoch on the wire, in bytes.
const WORD_BYTES_MAX: usize = 64;

#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the frame is not what the protocol says")]
    Json(#[source] serde_json::Error),
    #[error("a word or a number is not one of the protocol's")]
    Word,
}

/// What a client says on the class socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientFrame {
    Hello {
        resume: Option<Resume>,
    },
    Command {
        id: u64,
        command: Command,
    },
    /// A command that the protocol does not have. Its number was read, so that it can be refused:
    /// whoever sent it waits for an answer.
    Unknown {
        id: u64,
    },
    Ping,
}

/// A frame of the class socket.
pub(crate) static FRAMES: Parser<ClientFrame, WireError> = Parser::new(
    "class socket frame",
    CLASS_FRAME_BYTES_MAX,
    br#"{"type":"command","id":7,"command":{"kind":"chat","text":"hello","to":"everyone"}}"#,
    |bytes| serde_json::from_slice::<Frame>(bytes).map_err(WireError::Json)?.read(),
);

/// The body of `POST /app/api/lessons`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewLesson {
    pub(crate) name: String,
}

pub(crate) static NEW_LESSONS: Parser<NewLesson, WireError> =
    Parser::new("new lesson", NEW_LESSON_BYTES_MAX, br#"{"name":"Parents' evening"}"#, |bytes| {
        let Named { name } = serde_json::from_slice(bytes).map_err(WireError::Json)?;
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        let length = name.chars().count();
        let fits = (1..=NAME_CHARS_MAX).contains(&length) && !name.chars().any(char::is_control);
        if fits { Ok(NewLesson { name }) } else { Err(WireError::Word) }
    });

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame {
    Hello { resume: Option<Place> },
    Command { id: u64, command: serde_json::Value },
    Ping,
}

#[derive(Deserialize)]
struct Place {
    epoch: String,
    seq: u64,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Wanted {
    RaiseHand,
    LowerHand,
    LowerHandOf { identity: String },
    LowerAllHands,
    Chat { text: String, to: String },
    DeleteMessage { message: String },
    Admit { identity: String },
    Refuse { identity: String, reason: String },
    AdmitAll,
    Mute { identity: String, source: String },
    MuteAll,
    AskUnmute { identity: String },
    Lock { what: String, on: bool },
    ChatMode { mode: String },
    Remove { identity: String, reason: String, block: bool },
    Unblock { identity: String },
    Layout { mode: String, spotlight: Option<String> },
    Follow { on: bool, view: Option<WantedView> },
    MakeCoTeacher { identity: String },
    EndCoTeacher { identity: String },
    Leave,
    End,
}

#[derive(Deserialize)]
struct WantedView {
    mode: String,
    spotlight: Option<String>,
    page: u32,
}

impl Frame {
    fn read(self) -> Result<ClientFrame, WireError> {
        Ok(match self {
            Self::Hello { resume: Some(Place { epoch, .. }) } if epoch.len() > WORD_BYTES_MAX => {
                return Err(WireError::Word);
            }
            Self::Hello { resume } => {
                let resume = resume.map(|Place { epoch, seq }| Resume { epoch, seq });
                ClientFrame::Hello { resume }
            }
            Self::Command { id, command } => {
                match serde_json::from_value(command)
                    .map_err(WireError::Json)
                    .and_then(Wanted::read)
                {
                    Ok(command) => ClientFrame::Command { id, command },
                    Err(_) => ClientFrame::Unknown { id },
                }
            }
            Self::Ping => ClientFrame::Ping,
        })
    }
}

impl Wanted {
    fn read(self) -> Result<Command, WireError> {
        Ok(match self {
            Self::RaiseHand => Command::RaiseHand,
            Self::LowerHand => Command::LowerHand,
            Self::LowerHandOf { identity } => Command::LowerHandOf { identity: who(identity)? },
            Self::LowerAllHands => Command::LowerAllHands,
            Self::Chat { text, to } => {
                Command::Chat { text: Pii::new(text), to: word(ChatTo::parse(&to))? }
            }
            Self::DeleteMessage { message } => {
                let message = MessageId(message.parse().map_err(|_| WireError::Word)?);
                Command::DeleteMessage { message }
            }
            Self::Admit { identity } => Command::Admit { identity: who(identity)? },
            Self::Refuse { identity, reason } => {
                Command::Refuse { identity: who(identity)?, reason: Pii::new(reason) }
            }
            Self::AdmitAll => Command::AdmitAll,
            Self::Mute { identity, source } => {
                Command::Mute { identity: who(identity)?, source: word(Source::parse(&source))? }
            }
            Self::MuteAll => Command::MuteAll,
            Self::AskUnmute { identity } => Command::AskUnmute { identity: who(identity)? },
            Self::Lock { what, on } => Command::Lock { what: word(lock(&what))?, on },
            Self::ChatMode { mode } => Command::ChatMode { mode: word(ChatMode::parse(&mode))? },
            Self::Remove { identity, reason, block } => {
                Command::Remove { identity: who(identity)?, reason: Pii::new(reason), block }
            }
            Self::Unblock { identity } => Command::Unblock { identity: who(identity)? },
            Self::Layout { mode, spotlight } => Command::Layout {
                mode: word(LayoutMode::parse(&mode))?,
                spotlight: spotlight.map(who).transpose()?,
            },
            Self::Follow { on, view } => {
                Command::Follow { on, view: view.map(WantedView::read).transpose()? }
            }
            Self::MakeCoTeacher { identity } => Command::MakeCoTeacher { identity: who(identity)? },
            Self::EndCoTeacher { identity } => Command::EndCoTeacher { identity: who(identity)? },
            Self::Leave => Command::Leave,
            Self::End => Command::End,
        })
    }
}

impl WantedView {
    fn read(self) -> Result<View, WireError> {
        let mode = word(LayoutMode::parse(&self.mode))?;
        Ok(View { mode, spotlight: self.spotlight.map(who).transpose()?, page: self.page })
    }
}

fn word<T>(parsed: Option<T>) -> Result<T, WireError> {
    parsed.ok_or(WireError::Word)
}

fn who(identity: String) -> Result<Identity, WireError> {
    let fits = (1..=WORD_BYTES_MAX).contains(&identity.len());
    if fits { Ok(Identity::from(identity)) } else { Err(WireError::Word) }
}

fn lock(what: &str) -> Option<Source> {
    match what {
        "microphones" => Some(Source::Microphone),
        "cameras" => Some(Source::Camera),
        "screen_share" => Some(Source::ScreenShare),
        _ => None,
    }
}

/// What the server says; `guest_link` makes a link of a guest code.
pub(crate) fn outgoing(
    message: &Outgoing,
    guest_link: impl Fn(&Pii<String>) -> Option<String>,
) -> Value {
    match message {
        Outgoing::Welcome { epoch, seq, now, you: who, media, state: shown, guest_code } => json!({
            "type": "welcome",
            "epoch": epoch,
            "seq": seq,
            "now": now.0,
            "you": you(who, media.as_ref()),
            "state": state(shown, guest_code.as_ref().and_then(guest_link).as_deref()),
        }),
        Outgoing::Resumed { seq } => json!({ "type": "resumed", "seq": seq }),
        Outgoing::Event { seq, event: told } => {
            json!({ "type": "event", "seq": seq, "event": event(told) })
        }
        Outgoing::Link { other, link: told } => link(other.as_ref(), *told),
        Outgoing::Done { id } => json!({ "type": "done", "id": id }),
        Outgoing::Refused { id, refusal } => refused(*id, refusal.code(), &refusal.to_string()),
        Outgoing::Bye(farewell) => match farewell {
            Farewell::Elsewhere => bye("elsewhere", "You are in this lesson in another window."),
            Farewell::Restarting => bye("restarting", "One moment, you will be back soon."),
            Farewell::Lesson(Bye::Ended) => bye("ended", "The lesson has ended."),
            Farewell::Lesson(Bye::Removed { reason }) => bye("removed", reason.reveal()),
            Farewell::Lesson(Bye::Blocked { reason }) => bye("blocked", reason.reveal()),
        },
    }
}

pub(crate) fn refused(id: u64, code: &str, text: &str) -> Value {
    json!({ "type": "refused", "id": id, "code": code, "text": text })
}

pub(crate) fn bye(code: &str, text: &str) -> Value {
    json!({ "type": "bye", "code": code, "text": text })
}

pub(crate) fn pong() -> Value {
    json!({ "type": "pong" })
}

pub(crate) fn role(role: LessonRole) -> &'static str {
    match role {
        LessonRole::Teacher => "teacher",
        LessonRole::CoTeacher => "co_teacher",
        LessonRole::Student => "student",
        LessonRole::Guest => "guest",
    }
}

fn you(who: &You, media: Option<&Media>) -> Value {
    json!({
        "identity": who.identity,
        "role": role(who.role),
        "admitted": who.admitted,
        "media": media.map(|media| json!({
            "token": media.token.reveal(),
            "video_codec": media.video_codec.as_str(),
        })),
    })
}

fn state(state: &State, guest_link: Option<&str>) -> Value {
    json!({
        "lesson": lesson(&state.lesson),
        "locks": locks(state.locks),
        "layout": layout(&state.layout),
        "participants": state.participants.iter().map(participant).collect::<Vec<_>>(),
        "waiting": state.waiting.iter().map(waiting).collect::<Vec<_>>(),
        "blocked": state.blocked.iter().map(blocked).collect::<Vec<_>>(),
        "chat": state.chat.iter().map(chat).collect::<Vec<_>>(),
        "guest_link": guest_link,
    })
}

fn event(event: &ClassEvent) -> Value {
    match event {
        ClassEvent::Notice(told) => notice(told),
        ClassEvent::Admitted { you: who, media } => {
            json!({ "kind": "admitted", "you": you(who, media.as_ref()) })
        }
        ClassEvent::Role { you: who, media } => {
            json!({ "kind": "role", "you": you(who, media.as_ref()) })
        }
        ClassEvent::Token(token) => json!({ "kind": "token", "token": token.reveal() }),
    }
}

fn notice(notice: &Notice) -> Value {
    match notice {
        Notice::Participant(one) => {
            json!({ "kind": "participant", "participant": participant(one) })
        }
        Notice::Left(identity) => json!({ "kind": "left", "identity": identity }),
        Notice::Waiting(all) => {
            json!({ "kind": "waiting", "waiting": all.iter().map(waiting).collect::<Vec<_>>() })
        }
        Notice::Blocked(all) => {
            json!({ "kind": "blocked", "blocked": all.iter().map(blocked).collect::<Vec<_>>() })
        }
        Notice::Phase(view) => json!({ "kind": "phase", "lesson": lesson(view) }),
        Notice::Locks(all) => json!({ "kind": "locks", "locks": locks(*all) }),
        Notice::Layout(now) => json!({ "kind": "layout", "layout": layout(now) }),
        Notice::Hands(hands) => {
            json!({ "kind": "hands", "hands": hands.iter().map(hand).collect::<Vec<_>>() })
        }
        Notice::Chat(message) => json!({ "kind": "chat", "message": chat(message) }),
        Notice::ChatDeleted(MessageId(number)) => {
            json!({ "kind": "chat_deleted", "message": number.to_string() })
        }
        Notice::AskedToUnmute => json!({ "kind": "asked_to_unmute" }),
        Notice::MutedByTeacher(source) => {
            json!({ "kind": "muted_by_teacher", "source": source.as_str() })
        }
        Notice::Quality { identity, quality, loss_percent } => json!({
            "kind": "quality",
            "identity": identity,
            "quality": quality.as_str(),
            "loss_percent": loss_percent,
        }),
        // A state, not an event: the hub says it as `Outgoing::Link`.
        Notice::Link { identity, link: told } => link(Some(identity), *told),
    }
}

/// The way down to somebody; `other` is `None` for the one who is told.
fn link(other: Option<&Identity>, link: Link) -> Value {
    let mut value = json!({
        "type": "link",
        "carried": link.carried.as_str(),
        "cause": link.cause.as_str(),
        "loss_percent": link.loss_percent,
    });
    if let Some(identity) = other {
        value["identity"] = json!(identity);
    }
    value
}

fn lesson(view: &LessonView) -> Value {
    json!({
        "lesson": view.lesson.to_string(),
        "name": view.name,
        "band": view.band.as_str(),
        "phase": view.phase.as_str(),
        "started_at": view.started_at.map(|at| at.0),
        "grace_until": view.grace_until.map(|at| at.0),
    })
}

fn locks(locks: Locks) -> Value {
    json!({
        "microphones": locks.microphones,
        "cameras": locks.cameras,
        "screen_share": locks.screen_share,
        "chat": locks.chat.as_str(),
    })
}

fn layout(layout: &Layout) -> Value {
    json!({
        "mode": layout.mode.as_str(),
        "spotlight": layout.spotlight,
        "follow": layout.follow,
        "followed": layout.followed.as_ref().map(view),
    })
}

fn view(view: &View) -> Value {
    json!({ "mode": view.mode.as_str(), "spotlight": view.spotlight, "page": view.page })
}

fn participant(one: &ParticipantView) -> Value {
    json!({
        "identity": one.identity,
        "name": one.name.reveal(),
        "role": role(one.role),
        "connected": one.connected,
        "hand": one.hand.map(|at| at.0),
        "joined_at": one.joined_at.0,
        "quality": one.quality.map(classroom::Quality::as_str),
        "loss_percent": one.loss_percent,
    })
}

fn waiting(one: &WaitingView) -> Value {
    json!({
        "identity": one.identity,
        "name": one.name.reveal(),
        "guest": one.guest,
        "since": one.since.0,
    })
}

fn blocked(one: &BlockedView) -> Value {
    json!({ "identity": one.identity, "name": one.name.reveal() })
}

fn hand(hand: &Hand) -> Value {
    json!({ "identity": hand.identity, "at": hand.at.0 })
}

fn chat(message: &Message) -> Value {
    json!({
        "message": message.id.0.to_string(),
        "from": message.from,
        "name": message.name.reveal(),
        "text": message.text.reveal(),
        "at": message.at.0,
        "to": message.to.as_str(),
    })
}
