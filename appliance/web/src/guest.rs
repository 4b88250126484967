//! The guest link: a name, a session for one lesson, and then its waiting room.

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use belfry_admin_ui::{Control, Field, Form, Frame, Page, PlainForm, Theme};
use belfry_http::{Audit, Caller, Fields, Peer, Problem, THEME_COOKIE, cookie, now};
use belfry_identity::Session;
use belfry_model::outside::Parser;
use belfry_model::{Outside, Pii};
use belfry_store::Lesson;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{Web, api};

/// The form holds one name.
pub(crate) const FORM_BYTES_MAX: usize = 4 * 1024;
/// 16 bytes in base64 without padding.
const CODE_CHARS: usize = 22;

/// What a guest is told while the district has guest links switched off.
pub(crate) const LINKS_OFF: &str =
    "Guest links are switched off at this school. Ask the teacher for an account.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a code of a guest link")]
pub(crate) struct CodeError;

/// The code of a guest link.
pub(crate) static CODES: Parser<Pii<String>, CodeError> =
    Parser::new("guest code", CODE_CHARS, b"AAAAAAAAAAAAAAAAAAAAAA", |bytes| {
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let text = std::str::from_utf8(bytes).map_err(|_| CodeError)?;
        let code = bytes.len() == CODE_CHARS && bytes.iter().all(fits);
        if code { Ok(Pii::new(text.to_owned())) } else { Err(CodeError) }
    });

/// Asks for the guest's name.
pub(crate) async fn form(
    State(web): State<Web>,
    caller: Option<Caller>,
    Path(code): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let lesson = invited(&web, &code).await?;
    if has_business(caller.as_ref(), &lesson) {
        return Ok(into_lesson(&lesson));
    }
    Ok(Html(page(&lesson, &code, caller.as_ref(), &headers, None)).into_response())
}

/// Signs a guest in; the lesson's waiting room is the next page.
pub(crate) async fn sign_in(
    State(web): State<Web>,
    caller: Option<Caller>,
    peer: Peer,
    audit: Audit,
    Path(code): Path<String>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, Problem> {
    // The sign-in records itself; whoever is signed in already changes nothing.
    audit.keep();
    let lesson = invited(&web, &code).await?;
    if has_business(caller.as_ref(), &lesson) {
        return Ok(into_lesson(&lesson));
    }
    let place = (lesson.district, lesson.school);
    let name = fields.text("name");
    match web.identity.sign_in_guest(place, lesson.id, name, &peer.address(), now()).await {
        Ok(issued) => {
            let mut answer = into_lesson(&lesson);
            let set = HeaderValue::from_str(&issued.token.set_cookie())
                .map_err(|error| Problem::failed("set a guest's cookie", &error))?;
            answer.headers_mut().insert(header::SET_COOKIE, set);
            Ok(answer)
        }
        Err(belfry_identity::Error::Name(_)) => {
            let error = "Write your name, in letters, not too long.".to_owned();
            let page = page(&lesson, &code, caller.as_ref(), &headers, Some(error));
            Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(page)).into_response())
        }
        Err(belfry_identity::Error::Throttled { retry_after_ms }) => {
            let text = "Many guests have come at once. Wait a moment and try again.";
            let seconds = u32::try_from((retry_after_ms + 999) / 1_000).unwrap_or(1);
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "throttled", text);
            Err(problem.retry_after_secs(seconds))
        }
        Err(belfry_identity::Error::TooManyGuests) => {
            let text = "The lesson takes no more guests. Ask the teacher.";
            Err(Problem::new(StatusCode::CONFLICT, "too_many_guests", text))
        }
        Err(error) => Err(Problem::failed("sign a guest in", &error)),
    }
}

async fn invited(web: &Web, code: &str) -> Result<Lesson, Problem> {
    if !web.sessions.policy().guest_links {
        return Err(Problem::new(StatusCode::FORBIDDEN, "guest_links_off", LINKS_OFF));
    }
    let over = || {
        let text = "This link leads to no lesson. It may have ended; ask for a new link.";
        Problem::new(StatusCode::NOT_FOUND, "no_such_link", text)
    };
    let code = CODES.parse(Outside::new(code.as_bytes())).map_err(|_| over())?;
    let found = web.store.lesson_of_guest_code(code).await;
    found.map_err(api::failed("look up a guest link"))?.ok_or_else(over)
}

/// Somebody with an account goes in as who they are, and a guest keeps the name they gave.
fn has_business(caller: Option<&Caller>, lesson: &Lesson) -> bool {
    caller.is_some_and(|caller| match caller.session() {
        Session::Person(_) => true,
        Session::Guest(guest) => guest.lesson == lesson.id,
    })
}

fn into_lesson(lesson: &Lesson) -> Response {
    Redirect::to(&format!("/lesson/{}", lesson.id)).into_response()
}

fn page(
    lesson: &Lesson,
    code: &str,
    caller: Option<&Caller>,
    headers: &HeaderMap,
    error: Option<String>,
) -> String {
    let path = format!("/guest/{code}");
    let field = Field::new("name", "Your name", Control::Text).autocomplete("name").error(error);
    let form = Form::new(path.clone(), "Ask to join").field(field);
    let form = match caller {
        Some(caller) => form.csrf(caller.csrf.clone()),
        None => form,
    };
    let theme = cookie(headers, THEME_COOKIE).map_or(Theme::Device, Theme::parse);
    let frame = Frame { title: lesson.name.clone(), theme, path, ..Frame::default() };
    let intro = "You are a guest. The teacher sees your name and lets you in.".to_owned();
    PlainForm { frame, intro, form }.html()
}
