//! The gate, from outside.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use belfry_identity::{DemoSignIn, Identity, Policy};
use belfry_keys::Keys;
use belfry_ledger::Ledger;
use belfry_model::{DistrictId, Pii, Role, Timestamp};
use belfry_store::Store;
use http::{Method, Request, StatusCode};
use tower::ServiceExt;

use crate::walk::{self, Pass};
use crate::{
    Access, Audit, Declaration, Declared, Detail, Draft, EventKind, Fields, Gate, Problem, Routes,
    no_audit, now,
};

struct Kit {
    _dir: tempfile::TempDir,
    ledger: Ledger,
    router: Router,
    table: Vec<Declaration>,
    identity: Identity,
    demo: Vec<DemoSignIn>,
    /// A session of each role that has not proved its password for eleven minutes.
    passes: Vec<Pass>,
}

async fn pass(identity: &Identity, person: &DemoSignIn, at: Timestamp) -> Pass {
    let peer = Pii::new(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let issued = identity.sign_in(person.username, &person.password, peer, at).await;
    let issued = issued.expect("a demo person can sign in");
    let (token, csrf) = (issued.token.expose().to_owned(), issued.who.csrf);
    Pass { role: person.role, token, csrf }
}

/// The demo school, and sign-ins of it.
async fn school(dir: &std::path::Path, ledger: &Ledger) -> (Identity, Vec<DemoSignIn>, Vec<Pass>) {
    let store = Store::open(&dir.join("belfry.db")).expect("a database can be made");
    let keys = Arc::new(Keys::open(&dir.join("keys")).expect("keys can be made"));
    let identity =
        Identity::new(store, ledger.clone(), keys, Policy::default()).expect("it hashes");
    let seeded = identity.seed_demo(now()).await.expect("a demo school can be made");
    let people = seeded.expect("the database was empty").people;
    let mut passes = Vec::new();
    for role in Role::ALL {
        let person = people.iter().find(|person| person.role == role).expect("one of each role");
        passes.push(pass(&identity, person, now().plus_ms(-11 * 60_000)).await);
    }
    (identity, people, passes)
}

async fn kit() -> Kit {
    let admin = Access::roles(&[Role::Admin]);
    let routes = Routes::new()
        .add(
            Draft::page(Method::GET, "/open")
                .access(Access::public("for tests"))
                .audit(no_audit!("for tests"))
                .handle(async || "open"),
        )
        .add(
            Draft::page(Method::GET, "/panic")
                .access(Access::public("for tests"))
                .audit(no_audit!("for tests"))
                .handle(panics),
        )
        .add(
            Draft::page(Method::GET, "/admin/{id}")
                .access(admin)
                .audit(no_audit!("for tests"))
                .handle(async || "admin"),
        )
        .add(
            Draft::page(Method::POST, "/admin/{id}")
                .access(admin.with_step_up())
                .audit(Declared::Audited(EventKind::PersonChanged))
                .handle(change),
        )
        .add(
            Draft::socket("/socket")
                .access(Access::guest())
                .audit(no_audit!("for tests"))
                .handle(async || "socket"),
        )
        .add(
            Draft::api(Method::POST, "/machine")
                .access(Access::token("for tests"))
                .audit(no_audit!("for tests"))
                .body_bytes_max(8)
                .handle(async || "machine"),
        );
    let dir = tempfile::tempdir().expect("a directory can be made");
    let ledger = Ledger::open(&dir.path().join("audit.db")).expect("a record can be made");
    let (identity, demo, passes) = school(dir.path(), &ledger).await;
    let gate = Gate::new(Arc::new(identity.clone()), ledger.clone(), DistrictId(1));
    let table = routes.table();
    let router = gate.close(routes.into_router(&gate, ()));
    Kit { _dir: dir, ledger, router, table, identity, demo, passes }
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
        body: impl Into<Body>,
    ) -> (Response, String) {
        let request = request.header("host", "b.test").body(body.into()).expect("a request");
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
    let kit = kit().await;
    let none: Vec<String> = Vec::new();
    assert_eq!(walk::unauthorised(&kit.router, &kit.table, &kit.passes).await, none);
    // The walk finds what it is for: the same router, declared stricter than it is.
    let mut stricter = kit.table.clone();
    stricter[0].access = Access::roles(&[Role::Admin]);
    assert_eq!(walk::unauthorised(&kit.router, &stricter, &kit.passes).await.len(), 5);
}

#[tokio::test]
async fn a_form_with_its_token_passes_and_is_recorded() {
    let kit = kit().await;
    let admin = kit.demo.iter().find(|person| person.role == Role::Admin).expect("an admin");
    let fresh = pass(&kit.identity, admin, now()).await;
    let body = format!("csrf={}&name=+Ada+", fresh.csrf);
    let (answer, text) = kit.send(post("/admin/1", &fresh.token), body).await;
    assert_eq!((answer.status(), text.as_str()), (StatusCode::OK, "Ada"));
    let kind = Some(EventKind::PersonChanged);
    let page = kit.ledger.page_blocking(None, 10, kind).expect("the record can be read");
    assert_eq!((page.entries.len(), page.entries[0].actor_kind.as_str()), (1, "person"));
    let (answer, _) = kit.send(post("/admin/1", &fresh.token), "csrf=wrong").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_browser_is_sent_to_the_page_that_helps() {
    let kit = kit().await;
    let token = |role| {
        let pass = kit.passes.iter().find(|pass| pass.role == role).expect("one of each role");
        format!("__Host-session={}", pass.token)
    };
    let get = |cookie: &str| {
        Request::get("/admin/1?q=x").header("accept", "text/html").header("cookie", cookie)
    };
    let (answer, _) = kit.send(get("__Host-session=none"), "").await;
    assert_eq!(answer.headers()["location"], "/sign-in?next=/admin/1");
    let (answer, text) = kit.send(get(&token(Role::Student)), "").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(text.starts_with("<!doctype html>"), "{text}");
    let form = Request::post("/admin/1")
        .header("accept", "text/html")
        .header("referer", "https://b.test/admin/1?q=x")
        .header("cookie", token(Role::Admin));
    let (answer, _) = kit.send(form, "").await;
    assert_eq!(answer.headers()["location"], "/step-up?next=/admin/1");
}

#[tokio::test]
async fn every_answer_has_the_headers_and_every_problem_a_body() {
    let kit = kit().await;
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
    let kit = kit().await;
    let request = || Request::post("/machine").header("authorization", "Bearer x");
    let (answer, _) = kit.send(request(), "12345678").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let (answer, text) = kit.send(request(), "123456789").await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(text.contains("too_large"));
}
