//! Reports as a browser sends them, behind the gate, with a real database and record.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use belfry_http::walk::Pass;
use belfry_http::{Gate, Peer, now};
use belfry_identity::{Identity, Policy};
use belfry_keys::Keys;
use belfry_ledger::Ledger;
use belfry_model::{LessonId, Pii, Role};
use belfry_ops::{Ops, REPORT_BYTES_MAX, REPORTS, Reach};
use belfry_session::{Config, Sessions};
use belfry_signalling::{IceServer, IceServers, token::Signer};
use belfry_store::{Band, NewLesson, Store};
use http::{Request, StatusCode};
use tokio::sync::mpsc;
use tower::ServiceExt;

use crate::Web;

struct Kit {
    _dir: tempfile::TempDir,
    router: Router,
    ops: Ops,
    teacher: Pass,
    student: Pass,
    /// Held by the teacher, for whoever is let in.
    lesson: LessonId,
}

async fn pass(identity: &Identity, person: &belfry_identity::DemoSignIn) -> Pass {
    let peer = Pii::new(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let issued = identity.sign_in(person.username, &person.password, peer, now()).await;
    let issued = issued.expect("a demo person can sign in");
    Pass { role: person.role, token: issued.token.expose().to_owned(), csrf: issued.who.csrf }
}

async fn kit() -> Kit {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let store = Store::open(&dir.path().join("belfry.db")).expect("a database can be made");
    let ledger = Ledger::open(&dir.path().join("audit.db")).expect("a record can be made");
    let keys = Arc::new(Keys::open(&dir.path().join("keys")).expect("keys can be made"));
    let identity = Identity::new(store.clone(), ledger.clone(), keys, Policy::default());
    let identity = identity.expect("it hashes");
    let demo = identity.seed_demo(now()).await.expect("a school can be made");
    let people = demo.expect("the database was empty").people;
    let of = |role: Role| people.iter().find(|person| person.role == role).expect("one of each");
    let (teacher, student) =
        (pass(&identity, of(Role::Teacher)).await, pass(&identity, of(Role::Student)).await);
    let district = store.district().await.expect("it answers").expect("it is made").id;
    let school = store.schools(district).await.expect("it answers")[0].id;
    let me = identity.session(&teacher.token, now()).await.expect("it answers");
    let me = me.and_then(|session| session.person().map(|person| person.person));
    let new = NewLesson {
        school,
        class: None,
        name: "Parents".to_owned(),
        band: Band::Grades6To12,
        started_by: me.expect("the teacher is signed in"),
        guest_code: Pii::new("code".to_owned()),
    };
    let (lesson, _) = store.start_lesson(new, now()).await.expect("a lesson");
    let ops = Ops::start(belfry_ops::Config {
        store: store.clone(),
        district,
        links: mpsc::channel(1).1,
        keep_days: Box::new(|| 30),
        reach: Reach::default(),
    });
    let signer = Signer::new("test", &[7; 32]);
    let urls = vec!["stun:127.0.0.1:443".to_owned()];
    let stun = IceServer { urls, username: String::new(), credential: String::new() };
    let ice = IceServers::new(vec![stun]);
    let commands = mpsc::channel(1).0;
    let sessions = Sessions::new(Config::new(store.clone(), ledger.clone(), signer, ice, commands));
    let gate = Gate::new(Arc::new(identity.clone()), ledger, district);
    let web = Web { store, sessions, identity, ops: ops.clone(), utc_offset_minutes: |_| 0 };
    let router = gate.close(crate::router(&gate, web));
    Kit { _dir: dir, router, ops, teacher, student, lesson: lesson.id }
}

impl Kit {
    fn report(&self) -> String {
        let seed = std::str::from_utf8(belfry_model::outside::Target::seed(&REPORTS));
        seed.expect("it is text").replace("\"12\"", &format!("\"{}\"", self.lesson))
    }

    async fn send(&self, pass: Option<&Pass>, csrf: bool, body: String) -> (StatusCode, String) {
        let mut request = Request::post("/app/api/telemetry")
            .header("host", "class.test")
            .header("content-type", "application/json")
            .extension(Peer(Pii::new(SocketAddr::from(([10, 4, 7, 9], 40_000)))));
        if let Some(pass) = pass {
            request = request.header("cookie", format!("__Host-session={}", pass.token));
            if csrf {
                request = request.header("x-csrf", &pass.csrf);
            }
        }
        let request = request.body(Body::from(body)).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("a router answers");
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[tokio::test]
async fn a_report_of_somebody_in_the_lesson_is_taken() {
    let kit = kit().await;
    let (status, text) = kit.send(Some(&kit.teacher), true, kit.report()).await;
    assert_eq!((status, text.as_str()), (StatusCode::NO_CONTENT, ""));
    let live = kit.ops.live(now());
    assert_eq!((live.len(), live[0].lesson, live[0].recent.len()), (1, kit.lesson, 2));
    assert_eq!(live[0].ways[0].subnet, "10.4.7.0/24");
}

#[tokio::test]
async fn nobody_reports_without_a_session_or_its_proof() {
    let kit = kit().await;
    assert_eq!(kit.send(None, false, kit.report()).await.0, StatusCode::UNAUTHORIZED);
    let forged = kit.send(Some(&kit.teacher), false, kit.report()).await;
    assert_eq!(forged.0, StatusCode::FORBIDDEN);
    assert!(kit.ops.live(now()).is_empty());
}

#[tokio::test]
async fn of_a_lesson_that_is_not_there_nobody_reports() {
    let kit = kit().await;
    let elsewhere = kit.report().replace(&format!("\"{}\"", kit.lesson), "\"999\"");
    assert_eq!(kit.send(Some(&kit.student), true, elsewhere).await.0, StatusCode::NOT_FOUND);
    assert!(kit.ops.live(now()).is_empty());
}

#[tokio::test]
async fn what_is_not_a_report_or_too_long_is_refused() {
    let kit = kit().await;
    let more = kit.report().replacen("{\"lesson\"", "{\"name\":\"Ada\",\"lesson\"", 1);
    for (body, status) in [
        ("{}".to_owned(), StatusCode::BAD_REQUEST),
        (more, StatusCode::BAD_REQUEST),
        (" ".repeat(REPORT_BYTES_MAX + 1), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        assert_eq!(kit.send(Some(&kit.teacher), true, body).await.0, status);
    }
    assert!(kit.ops.live(now()).is_empty());
}

#[tokio::test]
async fn a_flood_is_told_to_slow_down_and_others_are_not() {
    let kit = kit().await;
    let mut refused = Vec::new();
    for _ in 0..40 {
        let (status, text) = kit.send(Some(&kit.teacher), true, kit.report()).await;
        if status != StatusCode::NO_CONTENT {
            refused.push((status, text));
        }
    }
    assert!(refused.len() >= 20, "{} of 40 were refused", refused.len());
    let (status, text) = &refused[0];
    assert_eq!(*status, StatusCode::TOO_MANY_REQUESTS);
    assert!(text.contains("\"slow_down\"") && text.contains("Close other windows"), "{text}");
    let (status, _) = kit.send(Some(&kit.student), true, kit.report()).await;
    assert_ne!(status, StatusCode::TOO_MANY_REQUESTS, "each session has its own rate");
}
