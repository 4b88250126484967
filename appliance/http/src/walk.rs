//! Walks every declared route with too little authority and says what is not refused.
//!
//! For the tests of whoever has routes: nobody has to remember to test a new one.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use belfry_identity::COOKIE_NAME;
use belfry_model::Role;
use http::{Method, Request, StatusCode, header};
use tower::ServiceExt;

use crate::access::Need;
use crate::route::Declaration;

/// A session for the walk: its token and its CSRF token.
#[derive(Clone, Debug)]
pub struct Pass {
    pub role: Role,
    pub token: String,
    pub csrf: String,
}

/// Sends to every route of the table what it must refuse: no session, a session of every role
/// that it is not for, no step-up (none of `passes` may have one), no CSRF token, a foreign
/// origin. Returns one line for each answer that is not the refusal; empty is good.
pub async fn unauthorised(router: &Router, table: &[Declaration], passes: &[Pass]) -> Vec<String> {
    let mut failures = Vec::new();
    for route in table {
        for attempt in attempts(route, passes) {
            let answer = router
                .clone()
                .oneshot(attempt.request)
                .await
                .expect("a router answers every request");
            if !is_refusal(&answer, &attempt.status) {
                let (method, path, status) = (&route.method, route.path, answer.status());
                failures.push(format!("{method} {path}: {} got {status}", attempt.what));
            }
        }
    }
    failures
}

struct Attempt {
    what: String,
    request: Request<Body>,
    status: Vec<StatusCode>,
}

fn is_refusal(answer: &Response, expected: &[StatusCode]) -> bool {
    expected.contains(&answer.status())
}

fn attempts(route: &Declaration, passes: &[Pass]) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    let mut add = |what: String, request, status: &[StatusCode]| {
        attempts.push(Attempt { what, request, status: status.to_vec() });
    };
    let changes = !matches!(route.method, Method::GET | Method::HEAD);
    let allowed: &[Role] = match route.access.need {
        Need::Public(_) => return attempts,
        Need::Token(_) => {
            add("no token".to_owned(), request(route, None, true), &[StatusCode::UNAUTHORIZED]);
            return attempts;
        }
        Need::Session(roles) | Need::Roles(roles) => roles,
    };
    add("no session".to_owned(), request(route, None, true), &[StatusCode::UNAUTHORIZED]);
    let forged = Pass { role: Role::Admin, token: "forged".to_owned(), csrf: "x".to_owned() };
    add(
        "a forged session".to_owned(),
        request(route, Some(&forged), true),
        &[StatusCode::UNAUTHORIZED],
    );
    for pass in passes {
        let role = pass.role.as_str();
        if !allowed.contains(&pass.role) {
            add(
                format!("the role {role}"),
                request(route, Some(pass), true),
                &[StatusCode::FORBIDDEN],
            );
            continue;
        }
        if route.access.step_up {
            add(
                format!("{role} without step-up"),
                request(route, Some(pass), true),
                &[StatusCode::FORBIDDEN],
            );
        }
        if changes {
            add(
                format!("{role} without CSRF token"),
                request(route, Some(pass), false),
                &[StatusCode::FORBIDDEN],
            );
        }
        if changes || route.kind == crate::Kind::Socket {
            let mut foreign = request(route, Some(pass), true);
            foreign
                .headers_mut()
                .insert("sec-fetch-site", http::HeaderValue::from_static("cross-site"));
            add(format!("{role} from a foreign page"), foreign, &[StatusCode::FORBIDDEN]);
        }
    }
    attempts
}

/// As a script sends it, so that refusals are statuses and not redirects.
fn request(route: &Declaration, pass: Option<&Pass>, with_csrf: bool) -> Request<Body> {
    let path = route.path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
    let path = path.collect::<Vec<_>>().join("/");
    let mut builder = Request::builder()
        .method(route.method.clone())
        .uri(path)
        .header(header::HOST, "belfry.test")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(pass) = pass {
        builder = builder.header(header::COOKIE, format!("{COOKIE_NAME}={}", pass.token));
        if with_csrf {
            builder = builder.header("x-csrf", &pass.csrf);
        }
    }
    builder.body(Body::empty()).expect("declared paths are valid addresses")
}
