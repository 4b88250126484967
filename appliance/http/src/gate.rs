//! The gate that every request passes: session, origin, limits, time, headers, error answers, log.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use belfry_admin_ui::Theme;
use belfry_audit::{Detail, Word};
use belfry_identity::COOKIE_NAME;
use belfry_ledger::Ledger;
use belfry_model::{DistrictId, Outside, Timestamp};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Uri, header};

use crate::access::Need;
use crate::audit::{self, Audit, Declared};
use crate::caller::{Caller, Sessions, THEME_COOKIE, cookie};
use crate::disclosure::Disclosure;
use crate::form::{FORM, Fields};
use crate::headers::{self, Kind};
use crate::multipart::MULTIPART;
use crate::origin::{self, Origin};
use crate::problem::Problem;
use crate::route::Declaration;

/// What the gate needs of the appliance. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    sessions: Arc<dyn Sessions>,
    ledger: Ledger,
    /// Whose record the events of people who are not signed in belong to.
    district: DistrictId,
    hsts: bool,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("hsts", &self.hsts).finish_non_exhaustive()
    }
}

impl Gate {
    pub fn new(sessions: Arc<dyn Sessions>, ledger: Ledger, district: DistrictId) -> Self {
        Self { sessions, ledger, district, hsts: false }
    }

    /// Sends `Strict-Transport-Security`.
    #[must_use]
    pub fn with_hsts(mut self, on: bool) -> Self {
        self.hsts = on;
        self
    }

    /// Adds the answers for unknown paths and methods to the merged router.
    pub fn close(&self, router: Router) -> Router {
        let hsts = self.hsts;
        let unknown = move |problem: fn() -> Problem| {
            move |request: Request| async move {
                let look = Look::of(request.headers());
                let kind = if look.html { Kind::Page } else { Kind::Api };
                finish(problem().into_response(), kind, look, hsts)
            }
        };
        router
            .fallback(unknown(Problem::not_found))
            .method_not_allowed_fallback(unknown(Problem::method_not_allowed))
    }
}

/// One route's place at the gate.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) gate: Gate,
    pub(crate) route: Arc<Declaration>,
}

/// Identifies one request in the log and in its answer.
#[derive(Clone, Copy, Debug)]
pub struct RequestId(pub u64);

pub(crate) async fn pass(State(post): State<Post>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = RequestId(rand::random());
    request.extensions_mut().insert(id);
    let look = Look::of(request.headers());
    let here = way_back(&request);
    let (answer, disclosure) = match serve(&post, request, next).await {
        Ok(answer) => answer,
        Err(problem) => (problem.into_response(), None),
    };
    let answer = redirected(answer, &post.route, look, &here);
    let mut answer = finish(answer, post.route.kind, look, post.gate.hsts);
    if let Some(disclosure) = disclosure {
        answer = disclosure.count(answer);
    }
    if let Ok(value) = HeaderValue::from_str(&format!("{:016x}", id.0)) {
        answer.headers_mut().insert("x-request-id", value);
    }
    // The route's pattern, never the path or query: both may hold a token or an id of a person.
    tracing::info!(
        request = format_args!("{:016x}", id.0),
        method = %post.route.method,
        route = post.route.path,
        status = answer.status().as_u16(),
        ms = begun.elapsed().as_millis() as u64,
        "request"
    );
    answer
}

/// The handler's answer, and what of it is to be counted.
async fn serve(
    post: &Post,
    request: Request,
    next: Next,
) -> Result<(Response, Option<Disclosure>), Problem> {
    let (request, audit) = admit(post, request).await?;
    let disclosure = match post.route.audit {
        Declared::Discloses(holding) => {
            let object = object(post.route.path, request.uri().path());
            Some(Disclosure::begin(&audit, holding, post.route.path, object).await?)
        }
        _ => None,
    };
    let changes = changes(request.method());
    let answer = run(&post.route, request, next).await;
    if changes && answer.extensions().get::<Problem>().is_none() {
        audit::check(post.route.audit, &audit, answer.status(), post.route.path);
    }
    Ok((answer, disclosure))
}

/// The number that stands in the address where the route captures something.
fn object(pattern: &str, path: &str) -> Option<i64> {
    let captured = pattern.split('/').zip(path.split('/')).find(|(part, _)| part.starts_with('{'));
    captured.and_then(|(_, value)| value.parse().ok())
}

/// Everything that is checked before the handler runs.
async fn admit(post: &Post, request: Request) -> Result<(Request, Audit), Problem> {
    let route = &post.route;
    let (mut parts, body) = request.into_parts();
    let changes = changes(&parts.method);
    let takes_cookie = !matches!(route.access.need, Need::Token(_));
    if takes_cookie && (changes || route.kind == Kind::Socket) {
        // A WebSocket handshake is a GET that a foreign page may send with our cookie.
        if origin::of(&parts.headers, &parts.uri) == Origin::Foreign {
            return Err(Problem::foreign_request());
        }
    }
    let caller = if takes_cookie { resolve(post, &parts.headers).await? } else { None };
    let audit = Audit::new(&post.gate.ledger, caller.as_ref(), post.gate.district.0);
    if let Err(problem) = check(route, caller.as_ref(), &parts.headers, &parts.uri) {
        if problem.code == "forbidden" {
            audit.enqueue(Detail::AccessRefused { route: Word::new(route.path) });
        }
        return Err(problem);
    }
    let body = if changes { read(route, body).await? } else { bytes::Bytes::new() };
    if changes && is(&parts.headers, "application/x-www-form-urlencoded") {
        let fields = FORM.parse(Outside::new(&body)).map_err(|_| Problem::malformed())?;
        parts.extensions.insert(fields);
    } else if changes && is(&parts.headers, "multipart/form-data") {
        let read = MULTIPART.parse(Outside::new(&body)).map_err(|_| Problem::malformed())?;
        parts.extensions.insert(read.fields);
        parts.extensions.insert(read.files);
    }
    if let Some(caller) = caller {
        if changes && !has_csrf(&caller, &parts.headers, parts.extensions.get()) {
            return Err(Problem::foreign_request());
        }
        parts.extensions.insert(caller);
    }
    parts.extensions.insert(audit.clone());
    Ok((Request::from_parts(parts, Body::from(body)), audit))
}

/// Methods that change nothing need neither a body nor a proof of where they come from.
fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

async fn resolve(post: &Post, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
    let Some(token) = cookie(headers, COOKIE_NAME) else { return Ok(None) };
    post.gate.sessions.resolve(token, now()).await
}

fn check(
    route: &Declaration,
    caller: Option<&Caller>,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<(), Problem> {
    match route.access.need {
        Need::Public(_) => {}
        Need::Token(_) => {
            let query = uri.query().unwrap_or_default();
            let in_query = query.split('&').any(|pair| pair.starts_with("access_token="));
            if !in_query && !headers.contains_key(header::AUTHORIZATION) {
                return Err(Problem::sign_in_needed());
            }
        }
        Need::Session(roles) => {
            let caller = caller.ok_or_else(Problem::sign_in_needed)?;
            if !caller.role().is_none_or(|role| roles.contains(&role)) {
                return Err(Problem::forbidden());
            }
        }
        Need::Roles(roles) => {
            let caller = caller.ok_or_else(Problem::sign_in_needed)?;
            if !caller.role().is_some_and(|role| roles.contains(&role)) {
                return Err(Problem::forbidden());
            }
        }
    }
    let Some(caller) = caller else { return Ok(()) };
    if matches!(route.access.need, Need::Public(_)) {
        return Ok(());
    }
    if caller.must_change_password && !route.access.before_password {
        return Err(Problem::password_change_needed());
    }
    if route.access.step_up && !caller.stepped_up(now()) {
        return Err(Problem::step_up_needed());
    }
    Ok(())
}

async fn read(route: &Declaration, body: Body) -> Result<bytes::Bytes, Problem> {
    tokio::time::timeout(route.timeout, to_bytes(body, route.body_bytes_max))
        .await
        .map_err(|_| Problem::timed_out())?
        .map_err(|_| Problem::too_large())
}

fn is(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with(media_type))
}

/// The session's own token, in the header of a script or the hidden field of a form.
fn has_csrf(caller: &Caller, headers: &HeaderMap, fields: Option<&Fields>) -> bool {
    let sent = headers
        .get("x-csrf")
        .and_then(|value| value.to_str().ok())
        .or_else(|| fields.and_then(|fields| fields.get("csrf")));
    sent.is_some_and(|sent| caller.session().csrf_is(sent))
}

/// The handler, within its time, its panic kept to this one request.
async fn run(route: &Declaration, request: Request, next: Next) -> Response {
    let handler = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(route.timeout, handler).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Problem::internal("a handler panicked").into_response(),
        Err(_) => Problem::timed_out().into_response(),
    }
}

/// The page to come back to: this one, or the one whose form was sent. As a query value.
fn way_back(request: &Request) -> String {
    let path = if changes(request.method()) {
        let referer = request.headers().get(header::REFERER);
        let referer = referer.and_then(|value| Uri::try_from(value.as_bytes()).ok());
        referer.map_or_else(|| "/".to_owned(), |uri| uri.path().to_owned())
    } else {
        request.uri().path().to_owned()
    };
    path.replace('%', "%25").replace('&', "%26").replace('+', "%2B")
}

/// For a page, "sign in", "prove the password" and "choose a password" are other pages.
fn redirected(answer: Response, route: &Declaration, look: Look, here: &str) -> Response {
    let Some(problem) = answer.extensions().get::<Problem>() else { return answer };
    if !look.html || !matches!(route.kind, Kind::Page | Kind::App) {
        return answer;
    }
    let to = match problem.code {
        "sign_in_needed" if here == "/" => "/sign-in".to_owned(),
        "sign_in_needed" => format!("/sign-in?next={here}"),
        "step_up_needed" => format!("/step-up?next={here}"),
        "password_change_needed" => "/account/password".to_owned(),
        _ => return answer,
    };
    Redirect::to(&to).into_response()
}

fn finish(answer: Response, kind: Kind, look: Look, hsts: bool) -> Response {
    let mut answer = match answer.extensions().get::<Problem>().cloned() {
        Some(problem) => render(&answer, &problem, look),
        None => answer,
    };
    headers::secure(answer.headers_mut(), kind, hsts);
    answer
}

/// Gives a problem its body; headers that the handler set stay.
fn render(answer: &Response, problem: &Problem, look: Look) -> Response {
    let mut rendered = if look.html { problem.html(look.theme) } else { problem.json() };
    for (name, value) in answer.headers() {
        if name != header::CONTENT_LENGTH {
            rendered.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    rendered
}

/// How the sender wants an answer to look.
#[derive(Clone, Copy)]
struct Look {
    /// A browser that opens a page says so; scripts and machines do not.
    html: bool,
    theme: Theme,
}

impl Look {
    fn of(headers: &HeaderMap) -> Self {
        let html = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"));
        Self { html, theme: cookie(headers, THEME_COOKIE).map_or(Theme::Device, Theme::parse) }
    }
}

/// This crate is an edge: it reads the clock, and hands the time down as a value.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
