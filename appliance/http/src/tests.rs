//! The gate, from outside.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use belfry_ledger::Ledger;
use belfry_model::{DistrictId, PersonId, Pii, Role, SchoolId, Timestamp};
use http::{Method, Request, StatusCode};
use tower::ServiceExt;

use crate::walk::{self, Pass};
use crate::{
    Access, Audit, Caller, Declaration, Declared, Detail, EventKind, Fields, Gate, Problem,
    Resolving, Route, Routes, Sessions, Who, no_audit,
};

/// Sessions whose token names the role; `stepped-` before it has proved the password, `new-`
/// still has a password of somebody else's.
struct ByName;

impl Sessions for ByName {
    fn resolve<'a>(&'a self, token: &'a str, now: Timestamp) -> Resolving<'a> {
        Box::pin(async move {
            let role = token.rsplit('-').next().and_then(Role::parse);
            Ok(role.map(|role| Caller {
                who: Who::Person { person: PersonId(7), role, name: Pii::new("A".to_owned()) },
                district: DistrictId(1),
                school: SchoolId(1),
                csrf: "token".to_owned(),
                stepped_up_until: token.starts_with("stepped-").then(|| now.plus_ms(1000)),
                must_change_password: token.starts_with("new-"),
                token: Pii::new(token.to_owned()),
            }))
        })
    }
}

struct Kit {
    _dir: tempfile::TempDir,
    ledger: Ledger,
    router: Router,
    table: Vec<Declaration>,
}

fn kit() -> Kit {
    let admin = Access::roles(&[Role::Admin]);
    let routes = Routes::new()
        .add(
            Route::<()>::page(Method::GET, "/open")
                .access(Access::public("for tests"))
                .audit(no_audit!("for tests"))
                .handle(async || "open"),
        )
        .add(
            Route::<()>::page(Method::GET, "/panic")
                .access(Access::public("for tests"))
                .audit(no_audit!("for tests"))
                .handle(panics),
        )
        .add(
            Route::<()>::page(Method::GET, "/admin/{id}")
                .access(admin)
                .audit(no_audit!("for tests"))
                .handle(async || "admin"),
        )
        .add(
            Route::<()>::page(Method::POST, "/admin/{id}")
                .access(admin.with_step_up())
                .audit(Declared::Audited(EventKind::PersonChanged))
                .handle(change),
        )
        .add(
            Route::<()>::socket("/socket")
                .access(Access::guest())
                .audit(no_audit!("for tests"))
                .handle(async || "socket"),
        )
        .add(
            Route::<()>::api(Method::POST, "/machine")
                .access(Access::token("for tests"))
                .audit(no_audit!("for tests"))
                .body_bytes_max(8)
                .handle(async || "machine"),
        );
    let dir = tempfile::tempdir().expect("a directory can be made");
    let ledger = Ledger::open(&dir.path().join("audit.db")).expect("a record can be made");
    let gate = Gate::new(Arc::new(ByName), ledger.clone(), DistrictId(1));
    let table = routes.table();
    let router = gate.close(routes.into_router(&gate, ()));
    Kit { _dir: dir, ledger, router, table }
}

async fn panics() -> &'static str {
    panic!("planted")
}

async fn change(audit: Audit, form: Fields) -> Result<String, Problem> {
    audit.append(Detail::PersonChanged { person: belfry_audit::Person(1) }).await?;
    Ok(form.text("name").to_owned())
}

impl Kit {
    async fn send(
        &self,
        request: http::request::Builder,
        body: &'static str,
    ) -> (Response, String) {
        let request = request.header("host", "b.test").body(Body::from(body)).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("a router answers");
        let (parts, body) = answer.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body");
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        (Response::from_parts(parts, Body::empty()), text)
    }
}

fn post(path: &str, cookie: &str) -> http::request::Builder {
    Request::post(path)
        .header("cookie", format!("__Host-session={cookie}"))
        .header("content-type", "application/x-www-form-urlencoded")
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_on_every_route() {
    let kit = kit();
    let passes: Vec<_> = Role::ALL
        .into_iter()
        .map(|role| Pass { role, token: role.as_str().to_owned(), csrf: "token".to_owned() })
        .collect();
    let none: Vec<String> = Vec::new();
    assert_eq!(walk::unauthorised(&kit.router, &kit.table, &passes).await, none);
    // The walk finds what it is for: the same router, declared stricter than it is.
    let mut stricter = kit.table.clone();
    stricter[0].access = Access::roles(&[Role::Admin]);
    assert_eq!(walk::unauthorised(&kit.router, &stricter, &passes).await.len(), 4);
}

#[tokio::test]
async fn a_form_with_its_token_passes_and_is_recorded() {
    let kit = kit();
    let (answer, text) = kit.send(post("/admin/1", "stepped-admin"), "csrf=token&name=+Ada+").await;
    assert_eq!((answer.status(), text.as_str()), (StatusCode::OK, "Ada"));
    let page = kit.ledger.page_blocking(None, 10, None).expect("the record can be read");
    assert_eq!(page.entries[0].kind, Some(EventKind::PersonChanged));
    assert_eq!(page.entries[0].actor_id.as_deref(), Some("7"));
    let (answer, _) = kit.send(post("/admin/1", "stepped-admin"), "csrf=wrong").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_browser_is_sent_to_the_page_that_helps() {
    let kit = kit();
    let to = |cookie: &str| {
        let request = Request::get("/admin/1?q=x").header("accept", "text/html");
        kit.send(request.header("cookie", format!("__Host-session={cookie}")), "")
    };
    let (answer, _) = to("none").await;
    assert_eq!(answer.headers()["location"], "/sign-in?next=/admin/1");
    let (answer, _) = to("new-admin").await;
    assert_eq!(answer.headers()["location"], "/account/password");
    let (answer, text) = to("student").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(text.starts_with("<!doctype html>"), "{text}");
}

#[tokio::test]
async fn every_answer_has_the_headers_and_every_problem_a_body() {
    let kit = kit();
    for (path, status) in [("/open", 200), ("/nowhere", 404), ("/panic", 500)] {
        let (answer, text) = kit.send(Request::get(path), "").await;
        assert_eq!(answer.status(), status, "{path}");
        for name in ["content-security-policy", "x-content-type-options", "referrer-policy"] {
            assert!(answer.headers().contains_key(name), "{path}: {name}");
        }
        assert!(!answer.headers().contains_key("strict-transport-security"));
        assert!(status == 200 || text.contains("\"code\":"), "{path}: {text}");
    }
    let (answer, _) = kit.send(Request::delete("/open"), "").await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let kit = kit();
    let request = || Request::post("/machine").header("authorization", "Bearer x");
    let (answer, _) = kit.send(request(), "12345678").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let (answer, text) = kit.send(request(), "123456789").await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(text.contains("too_large"));
}
