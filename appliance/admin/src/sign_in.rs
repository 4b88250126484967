//! Signing in and out, proving the password again, choosing one's own password.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use belfry_admin_ui::{Control, Field, Flash, Form, PlainForm, SignIn, Tone, say, say_with};
use belfry_http::{Audit, Caller, Fields, Peer, Problem, now};
use belfry_identity::{Error, PasswordRule, SessionToken, SignedIn};
use belfry_model::Role;
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::asset::local;
use crate::reader::{Reader, danger, shown};
use crate::{Admin, identity_problem, signed_in};

/// The page, with the name entered before and what was wrong.
fn sign_in_page(reader: &Reader, next: &str, username: &str, wrong: [Option<String>; 2]) -> SignIn {
    let [no_username, no_password] = wrong;
    let form = Form::new("/sign-in", say("sign-in-go"))
        .csrf(reader.csrf())
        .hidden("next", next)
        .field(
            Field::new("username", say("sign-in-username"), Control::Text)
                .value(username)
                .autocomplete("username")
                .code()
                .error(no_username),
        )
        .field(
            Field::new("password", say("sign-in-password"), Control::Password)
                .autocomplete("current-password")
                .error(no_password),
        );
    SignIn { frame: reader.plain(say("sign-in-title")), form }
}

fn throttled(retry_after_ms: i64) -> Flash {
    let seconds = seconds(retry_after_ms);
    let text = say_with("sign-in-throttled", &[("seconds", seconds)]);
    Flash { tone: Tone::Warn, text }
}

fn seconds(ms: i64) -> i64 {
    ms.saturating_add(999) / 1000
}

/// Refused for now: says after how many seconds it is worth trying again.
fn later(page: &impl belfry_admin_ui::Page, retry_after_ms: i64) -> Response {
    let retry = [(header::RETRY_AFTER, HeaderValue::from(seconds(retry_after_ms)))];
    (StatusCode::TOO_MANY_REQUESTS, retry, shown(page)).into_response()
}

fn unauthorised(page: &impl belfry_admin_ui::Page) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, shown(page)).into_response()
}

pub(crate) async fn form(reader: Reader) -> Response {
    let next = local(reader.query.text("next")).to_owned();
    if let Some(role) = reader.caller.as_ref().and_then(Caller::role) {
        return Redirect::to(landing(role, &next)).into_response();
    }
    shown(&sign_in_page(&reader, &next, "", [None, None]))
}

/// Administrators and auditors have no lessons: their first page is theirs.
fn landing(role: Role, next: &str) -> &str {
    match (role, next) {
        (Role::Admin, "/") => "/admin",
        (Role::Auditor, "/") => "/admin/record",
        (_, next) => next,
    }
}

pub(crate) async fn sign_in(
    State(admin): State<Admin>,
    peer: Peer,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let next = local(form.text("next"));
    let (username, password) = (form.text("username"), form.get("password").unwrap_or_default());
    let no_username = username.is_empty().then(|| say("sign-in-empty-username"));
    let no_password = password.is_empty().then(|| say("sign-in-empty-password"));
    if no_username.is_some() || no_password.is_some() {
        return Ok(unauthorised(&sign_in_page(
            &reader,
            next,
            username,
            [no_username, no_password],
        )));
    }
    audit.keep();
    let signed_in = admin.identity.sign_in(username, password, peer.address(), now()).await;
    let mut page = sign_in_page(&reader, next, username, [None, None]);
    match signed_in {
        Ok(issued) => {
            // Whoever was signed in here before is not any more.
            if let Some(before) = &reader.caller {
                let ended = admin.identity.sign_out(before.session(), now()).await;
                ended.map_err(|error| identity_problem(&error))?;
            }
            let role = issued.who.role;
            let to = if issued.who.must_change { "/account/password" } else { landing(role, next) };
            Ok(given(&issued.token, to))
        }
        Err(Error::Wrong) => {
            page.frame.flash = Some(danger(say("sign-in-wrong")));
            Ok(unauthorised(&page))
        }
        Err(Error::Throttled { retry_after_ms }) => {
            page.frame.flash = Some(throttled(retry_after_ms));
            Ok(later(&page, retry_after_ms))
        }
        Err(error) => Err(identity_problem(&error)),
    }
}

/// A redirect that gives the browser its session.
fn given(token: &SessionToken, to: &str) -> Response {
    ([(header::SET_COOKIE, token.set_cookie())], Redirect::to(to)).into_response()
}

pub(crate) async fn sign_out(
    State(admin): State<Admin>,
    caller: Caller,
    audit: Audit,
) -> Result<Response, Problem> {
    audit.keep();
    let ended = admin.identity.sign_out(caller.session(), now()).await;
    ended.map_err(|error| identity_problem(&error))?;
    let headers = [
        (header::SET_COOKIE, SessionToken::clear_cookie()),
        // Nothing of one pupil's stays for the next at a shared device.
        (HeaderName::from_static("clear-site-data"), "\"cache\", \"storage\"".to_owned()),
    ];
    Ok((headers, Redirect::to("/sign-in")).into_response())
}

fn step_up_page(reader: &Reader, next: &str) -> PlainForm {
    PlainForm {
        frame: reader.plain(say("step-up-title")),
        intro: say("step-up-intro"),
        form: Form::new("/step-up", say("step-up-go"))
            .csrf(reader.csrf())
            .hidden("next", next)
            .cancel("/")
            .field(
                Field::new("password", say("sign-in-password"), Control::Password)
                    .autocomplete("current-password"),
            ),
    }
}

pub(crate) async fn step_up_form(reader: Reader) -> Response {
    let next = local(reader.query.text("next")).to_owned();
    shown(&step_up_page(&reader, &next))
}

pub(crate) async fn step_up(
    State(admin): State<Admin>,
    caller: Caller,
    peer: Peer,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    audit.keep();
    let next = local(form.text("next"));
    let password = form.get("password").unwrap_or_default();
    let who = signed_in(&caller)?;
    let mut page = step_up_page(&reader, next);
    match admin.identity.step_up(who, password, peer.address(), now()).await {
        Ok(issued) => Ok(given(&issued.token, next)),
        Err(Error::Wrong) => {
            page.frame.flash = Some(danger(say("step-up-wrong")));
            Ok(unauthorised(&page))
        }
        Err(Error::Throttled { retry_after_ms }) => {
            page.frame.flash = Some(throttled(retry_after_ms));
            Ok(later(&page, retry_after_ms))
        }
        Err(error) => Err(identity_problem(&error)),
    }
}

/// What is wrong with the three entries of the password form.
#[derive(Debug, Default)]
struct PasswordErrors {
    current: Option<String>,
    new: Option<String>,
    repeat: Option<String>,
}

fn password_page(reader: &Reader, who: &SignedIn, errors: PasswordErrors) -> PlainForm {
    let field = |name: &str, key: &str, token, error| {
        Field::new(name, say(key), Control::Password).autocomplete(token).error(error)
    };
    let chars_min = chars_min(who.role) as u64;
    let form = Form::new("/account/password", say("password-go"))
        .csrf(reader.csrf())
        .field(field("current", "password-current", "current-password", errors.current))
        .field(field("new", "password-new", "new-password", errors.new))
        .field(field("repeat", "password-repeat", "new-password", errors.repeat));
    let form = if who.must_change { form } else { form.cancel("/") };
    let mut frame = reader.plain(say("password-title"));
    if who.must_change {
        frame.flash = Some(Flash { tone: Tone::Warn, text: say("password-must") });
    }
    PlainForm { frame, intro: say_with("password-intro", &[("chars", chars_min)]), form }
}

fn chars_min(role: Role) -> usize {
    match role {
        Role::Admin | Role::Auditor | Role::Teacher => belfry_identity::STAFF_PASSWORD_CHARS_MIN,
        Role::Student => belfry_identity::STUDENT_PASSWORD_CHARS_MIN,
    }
}

pub(crate) async fn password_form(caller: Caller, reader: Reader) -> Result<Response, Problem> {
    Ok(shown(&password_page(&reader, signed_in(&caller)?, PasswordErrors::default())))
}

pub(crate) async fn password(
    State(admin): State<Admin>,
    caller: Caller,
    peer: Peer,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let who = signed_in(&caller)?;
    let entry = |name| form.get(name).unwrap_or_default();
    let (current, new, repeat) = (entry("current"), entry("new"), entry("repeat"));
    let mut errors = PasswordErrors::default();
    if new != repeat {
        errors.repeat = Some(say("password-differs"));
    } else if new == current {
        errors.new = Some(say("error-password-same"));
    }
    if errors.repeat.is_some() || errors.new.is_some() {
        return Ok(unauthorised(&password_page(&reader, who, errors)));
    }
    audit.keep();
    match admin.identity.change_password(who, current, new, peer.address(), now()).await {
        Ok(issued) => Ok(given(&issued.token, landing(issued.who.role, "/"))),
        Err(Error::Wrong) => {
            errors.current = Some(say("password-wrong"));
            Ok(unauthorised(&password_page(&reader, who, errors)))
        }
        Err(Error::Password(rule)) => {
            errors.new = Some(rule_text(rule));
            Ok(unauthorised(&password_page(&reader, who, errors)))
        }
        Err(Error::Throttled { retry_after_ms }) => {
            let mut page = password_page(&reader, who, errors);
            page.frame.flash = Some(throttled(retry_after_ms));
            Ok(later(&page, retry_after_ms))
        }
        Err(error) => Err(identity_problem(&error)),
    }
}

fn rule_text(rule: PasswordRule) -> String {
    match rule {
        PasswordRule::TooShort { chars_min } => {
            say_with("error-password-short", &[("min", chars_min as u64)])
        }
        PasswordRule::TooLong => say("error-password-long"),
        PasswordRule::Common => say("error-password-common"),
        PasswordRule::ContainsUsername => say("error-password-like-name"),
        PasswordRule::Monotonous => say("error-password-monotonous"),
    }
}
