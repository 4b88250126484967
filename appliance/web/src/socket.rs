//! The class socket: WebSocket frames on one side, the lesson's hub on the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use belfry_classroom::{Arrival, Refusal};
use belfry_http::{Caller, Problem, cookie, now};
use belfry_identity::COOKIE_NAME;
use belfry_model::limits::CLASS_FRAME_BYTES_MAX;
use belfry_model::{LessonId, Outside};
use belfry_session::{ClassSocket, OpenError, Outgoing, Resume};
use http::HeaderMap;
use serde_json::Value;
use tokio::time::{Instant, interval_at, sleep_until, timeout};

use crate::bucket::{Bucket, Verdict};
use crate::wire::{self, ClientFrame};
use crate::{Web, api, guest, standing};

/// How long a new socket may take to say hello.
const HELLO_WAIT: Duration = Duration::from_secs(10);
/// Either side gives up after this long without a word.
const SILENCE_MAX: Duration = Duration::from_secs(25);
/// How long a frame may take to leave.
const SEND_WAIT: Duration = Duration::from_secs(10);
/// How often it is looked whether the session still holds; it is kept alive by the same.
const SESSION_LOOK: Duration = Duration::from_mins(1);
/// Frames that are not the protocol's, before the socket is closed.
const MALFORMED_MAX: u32 = 10;

static REFUSED: AtomicU64 = AtomicU64::new(0);

/// Frames of class sockets that were too many or not the protocol's, since the start.
pub fn class_frames_refused() -> u64 {
    REFUSED.load(Ordering::Relaxed)
}

fn count_refused() {
    REFUSED.fetch_add(1, Ordering::Relaxed);
}

pub(crate) async fn open(
    State(web): State<Web>,
    caller: Caller,
    Path(lesson): Path<i64>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let lesson = api::find(&web, lesson).await?;
    let standing = standing::of(&web.store, &caller, &lesson).await?;
    let standing = standing.ok_or_else(Problem::not_found)?;
    let (identity, name) = (caller.session().identity(), caller.name().clone());
    let arrival = Arrival { identity, name, standing };
    let visit = Visit { web, lesson: lesson.id, headers, arrival };
    let upgrade =
        upgrade.max_message_size(CLASS_FRAME_BYTES_MAX).max_frame_size(CLASS_FRAME_BYTES_MAX);
    Ok(upgrade.on_upgrade(|socket| visit.run(Wire(socket))))
}

/// A WebSocket that says JSON. `Err(Gone)`: there is nobody any more.
struct Wire(WebSocket);

struct Gone;

impl Wire {
    async fn say(&mut self, value: &Value) -> Result<(), Gone> {
        let sent = self.0.send(Message::text(value.to_string()));
        timeout(SEND_WAIT, sent).await.map_err(|_| Gone)?.map_err(|_| Gone)
    }

    /// The next text frame; other frames are passed over.
    async fn hear(&mut self) -> Result<String, Gone> {
        loop {
            match self.0.recv().await {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => {
                    return Err(Gone);
                }
            }
        }
    }

    async fn part(mut self, code: &str, text: &str) {
        if self.say(&wire::bye(code, text)).await.is_ok() {
            let _ = self.0.send(Message::Close(None)).await;
        }
    }
}

/// Why the talk on a socket is over.
enum Over {
    Gone,
    /// The lesson has said goodbye, or closed the queue.
    Told,
    Bye(&'static str, &'static str),
}

impl From<Gone> for Over {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Somebody at the door of a lesson.
struct Visit {
    web: Web,
    lesson: LessonId,
    headers: HeaderMap,
    arrival: Arrival,
}

impl Visit {
    async fn run(self, mut wire: Wire) {
        let Some(resume) = hello(&mut wire).await else { return };
        let arrival = self.arrival.clone();
        let over = match self.web.sessions.open_class(self.lesson, arrival, resume).await {
            Ok(mut class) => self.talk(&mut wire, &mut class).await,
            Err(error) => refused(&error),
        };
        match over {
            Over::Gone => {}
            Over::Told => {
                let _ = wire.0.send(Message::Close(None)).await;
            }
            Over::Bye(code, text) => wire.part(code, text).await,
        }
    }

    async fn talk(&self, wire: &mut Wire, class: &mut ClassSocket) -> Over {
        let mut talk =
            Talk { bucket: Bucket::new(now()), malformed_count: 0, heard_at: Instant::now() };
        let mut look = interval_at(Instant::now() + SESSION_LOOK, SESSION_LOOK);
        loop {
            let step = tokio::select! {
                message = class.next() => self.tell(wire, message).await,
                heard = wire.hear() => match heard {
                    Ok(text) => talk.take(&text, wire, class).await,
                    Err(gone) => Err(gone.into()),
                },
                () = sleep_until(talk.heard_at + SILENCE_MAX) => Err(Over::Gone),
                _ = look.tick() => self.still_signed_in().await,
            };
            if let Err(over) = step {
                return over;
            }
        }
    }

    async fn tell(&self, wire: &mut Wire, message: Option<Outgoing>) -> Result<(), Over> {
        let message = message.ok_or(Over::Told)?;
        let link = |code: &_| api::guest_link(&self.headers, code);
        wire.say(&wire::outgoing(&message, link)).await?;
        if matches!(message, Outgoing::Bye(_)) { Err(Over::Told) } else { Ok(()) }
    }

    /// A session that was ended (signed out, disabled) takes its class socket with it.
    async fn still_signed_in(&self) -> Result<(), Over> {
        let token = cookie(&self.headers, COOKIE_NAME).unwrap_or_default();
        match self.web.identity.session(token, now()).await {
            Ok(None) => Err(Over::Bye("removed", "You have been signed out.")),
            // A database that does not answer is no reason to end a lesson.
            Ok(Some(_)) | Err(_) => Ok(()),
        }
    }
}

struct Talk {
    bucket: Bucket,
    malformed_count: u32,
    heard_at: Instant,
}

impl Talk {
    async fn take(&mut self, text: &str, wire: &mut Wire, class: &ClassSocket) -> Result<(), Over> {
        self.heard_at = Instant::now();
        let verdict = self.bucket.take(now());
        if verdict != Verdict::Take {
            count_refused();
        }
        if verdict == Verdict::TooMuch {
            return Err(Over::Bye("slow_down", "Too much came from this window."));
        }
        match (wire::FRAMES.parse(Outside::new(text.as_bytes())), verdict) {
            (Ok(ClientFrame::Command { id, .. }), Verdict::SlowDown) => {
                let text = "That was too much at once. Try again in a moment.";
                wire.say(&wire::refused(id, "slow_down", text)).await?;
            }
            (Ok(ClientFrame::Command { id, command }), _) => class.command(id, command).await,
            (Ok(ClientFrame::Ping), _) => wire.say(&wire::pong()).await?,
            (Ok(ClientFrame::Unknown { id }), _) => {
                let text = "The server does not know this. Reload the page, then try again.";
                wire.say(&wire::refused(id, "malformed", text)).await?;
                self.count_malformed()?;
            }
            (Ok(ClientFrame::Hello { .. }) | Err(_), _) => self.count_malformed()?,
        }
        Ok(())
    }

    fn count_malformed(&mut self) -> Result<(), Over> {
        count_refused();
        self.malformed_count += 1;
        if self.malformed_count > MALFORMED_MAX {
            return Err(Over::Bye("malformed", "Reload the page."));
        }
        Ok(())
    }
}

/// The first frame says where to go on; anything else closes the socket.
async fn hello(wire: &mut Wire) -> Option<Option<Resume>> {
    let heard = timeout(HELLO_WAIT, wire.hear()).await.ok()?.ok()?;
    match wire::FRAMES.parse(Outside::new(heard.as_bytes())) {
        Ok(ClientFrame::Hello { resume }) => Some(resume),
        _ => None,
    }
}

fn refused(error: &OpenError) -> Over {
    match error {
        OpenError::NoLesson | OpenError::Refused(Refusal::Ended) => {
            Over::Bye("ended", "The lesson has ended.")
        }
        OpenError::Refused(Refusal::Blocked) => {
            Over::Bye("blocked", "The teacher has removed you from this lesson.")
        }
        OpenError::Refused(Refusal::GuestLinksOff) => {
            Over::Bye("guest_links_off", guest::LINKS_OFF)
        }
        OpenError::TooManyLessons => Over::Bye("full", api::TOO_MANY_LESSONS),
        OpenError::Refused(_) => Over::Bye("full", "This lesson is full. Tell your teacher."),
        // Worth another try; the client comes back after this.
        OpenError::Store(_) => {
            tracing::error!(%error, "a class socket could not be opened");
            Over::Bye("restarting", "One moment, you will be back soon.")
        }
    }
}
