//! The pages as a browser without scripts uses them, against the real store, ledger and identity.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use belfry_certs::{Certificates, Names};
use belfry_http::walk::{Pass, unauthorised};
use belfry_http::{EventKind, Gate, Peer, now};
use belfry_identity::{DemoSignIn, Identity, Policy};
use belfry_keys::Keys;
use belfry_ledger::Ledger;
use belfry_model::{LessonId, Outside, Pii, Role, SchoolId, Timestamp};
use belfry_ops::{Ops, Reach};
use belfry_settings::Settings;
use belfry_store::{Band, NewLesson, Store};
use http::{Request, StatusCode};
use tokio::sync::watch;
use tower::ServiceExt;

use crate::{Admin, Custody, Live, Trust, routes};

mod auditor;
mod erase;

struct Kit {
    dir: tempfile::TempDir,
    admin: Admin,
    router: Router,
    demo: Vec<DemoSignIn>,
}

/// What a browser got.
struct Answer {
    status: StatusCode,
    location: String,
    cookie: String,
    text: String,
}

impl Answer {
    fn csrf(&self) -> &str {
        let (_, rest) =
            self.text.split_once("name=\"csrf\" value=\"").expect("the page has a form");
        rest.split_once('"').expect("the attribute ends").0
    }
}

async fn kit() -> Kit {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let store = Store::open(&dir.path().join("belfry.db")).expect("a database can be made");
    let ledger = Ledger::open(&dir.path().join("audit.db")).expect("a record can be made");
    let keys = Arc::new(Keys::open(&dir.path().join("keys")).expect("keys can be made"));
    let identity = Identity::new(store.clone(), ledger.clone(), keys, Policy::default());
    let identity = identity.expect("it hashes");
    let demo = identity.seed_demo(now()).await.expect("a school can be made");
    let demo = demo.expect("the database was empty").people;
    let trust = trust(dir.path());
    let district = store.district().await.expect("the database answers").expect("it is made").id;
    let ops = Ops::start(belfry_ops::Config {
        store: store.clone(),
        district,
        links: tokio::sync::mpsc::channel(1).1,
        keep_days: Box::new(|| 30),
        reach: Reach::default(),
    });
    let admin = Admin {
        store,
        identity: identity.clone(),
        ledger: ledger.clone(),
        custody: Arc::new(Custody::new(&[1; 32], &[2; 32])),
        ops,
        settings: Arc::new(watch::Sender::new(Arc::new(Settings::default()))),
        live: Arc::new(Live::default),
        trust: Arc::new(move || trust.clone()),
    };
    let gate = Gate::new(Arc::new(identity), ledger, district);
    let router = gate.close(routes().into_router(&gate, admin.clone()));
    Kit { dir, admin, router, demo }
}

fn trust(dir: &std::path::Path) -> Trust {
    let key = || belfry_certs::generate_key().expect("a key can be made");
    let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST)].into();
    let names = Names { hosts: vec!["class.test".to_owned()], addresses };
    let made = Certificates::open(&dir.join("certs"), &names, &key(), key(), now());
    Trust::of(&made.expect("certificates can be made"), &names)
}

impl Kit {
    fn demo(&self, role: Role) -> &DemoSignIn {
        self.demo.iter().find(|person| person.role == role).expect("one of each role")
    }

    async fn pass(&self, role: Role, at: Timestamp) -> Pass {
        let person = self.demo(role);
        let peer = Pii::new(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let issued = self.admin.identity.sign_in(person.username, &person.password, peer, at).await;
        let issued = issued.expect("a demo person can sign in");
        Pass { role, token: issued.token.expose().to_owned(), csrf: issued.who.csrf }
    }

    async fn send(&self, request: http::request::Builder, body: String) -> Answer {
        self.send_as("application/x-www-form-urlencoded", request, body).await
    }

    async fn send_as(
        &self,
        media_type: &str,
        request: http::request::Builder,
        body: String,
    ) -> Answer {
        let peer = Peer(Pii::new(SocketAddr::from(([127, 0, 0, 1], 40_000))));
        let request = request
            .header("host", "class.test")
            .header("accept", "text/html")
            .header("content-type", media_type)
            .extension(peer)
            .body(Body::from(body))
            .expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("a router answers");
        let header = |name| {
            let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (status, location, cookie) =
            (answer.status(), header("location"), header("set-cookie"));
        let bytes = to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status, location, cookie, text }
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        let cookie = format!("__Host-session={token}");
        self.send(Request::get(path).header("cookie", cookie), String::new()).await
    }

    async fn post(&self, path: &str, pass: &Pass, body: &str) -> Answer {
        let cookie = format!("__Host-session={}", pass.token);
        let body = format!("csrf={}&{body}", pass.csrf);
        self.send(Request::post(path).header("cookie", cookie), body).await
    }

    /// A lesson that a teacher of the demo school holds.
    async fn lesson(&self) -> LessonId {
        let teacher = self.pass(Role::Teacher, now()).await;
        let who = self.admin.identity.session(&teacher.token, now()).await.expect("it answers");
        let who = who.expect("the teacher is signed in");
        let who = who.person().expect("an account");
        let new = NewLesson {
            school: who.school,
            class: None,
            name: "Parents".to_owned(),
            band: Band::Grades6To12,
            started_by: who.person,
            guest_code: Pii::new("code".to_owned()),
        };
        self.admin.store.start_lesson(new, now()).await.expect("a lesson").0.id
    }

    fn recorded(&self, kind: EventKind) -> usize {
        let page = self.admin.ledger.page_blocking(None, 100, Some(kind));
        page.expect("the record can be read").entries.len()
    }
}

#[tokio::test]
async fn no_route_lets_in_whom_it_is_not_for() {
    let kit = kit().await;
    let mut passes = Vec::new();
    for role in Role::ALL {
        passes.push(kit.pass(role, now().plus_ms(-11 * 60_000)).await);
    }
    let table = routes().table();
    assert!(table.len() > 30, "{} routes", table.len());
    assert_eq!(unauthorised(&kit.router, &table, &passes).await, Vec::<String>::new());
}

#[tokio::test]
async fn every_page_opens_for_an_administrator() {
    let kit = kit().await;
    let pass = kit.pass(Role::Admin, now()).await;
    for route in routes().table() {
        if route.method != http::Method::GET || route.path.starts_with("/assets") {
            continue;
        }
        let answer =
            kit.get(&route.path.replace("{id}", "1").replace("{slot}", "1"), &pass.token).await;
        let expected = if route.path == "/sign-in" { 303 } else { 200 };
        assert_eq!(answer.status, expected, "{}: {}", route.path, answer.text);
    }
    assert!(kit.dir.path().exists());
}

#[tokio::test]
async fn signing_in_leads_to_the_own_pages_and_nowhere_else() {
    let kit = kit().await;
    let admin = kit.demo(Role::Admin);
    let password = admin.password.as_str();
    let sign_in = |name: &str, password: &str, next: &str| {
        let body = format!("username={name}&password={password}&next={next}");
        kit.send(Request::post("/sign-in"), body)
    };
    let answer = sign_in(admin.username, password, "/").await;
    assert_eq!((answer.status, answer.location.as_str()), (StatusCode::SEE_OTHER, "/admin"));
    assert!(answer.cookie.starts_with("__Host-session=") && answer.cookie.contains("HttpOnly"));
    let student = kit.demo(Role::Student);
    let answer = sign_in(student.username, &student.password, "//evil.test").await;
    assert_eq!(answer.location, "/");
    let answer = sign_in(admin.username, "wrong", "/admin/people").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text.contains(&format!("value=\"{}\"", admin.username)), "the name is kept");
    assert!(answer.text.contains("value=\"/admin/people\""), "the way is kept");
    for _ in 0..5 {
        sign_in(admin.username, "wrong", "/").await;
    }
    let answer = sign_in(admin.username, password, "/").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{}", answer.text);
}

#[tokio::test]
async fn a_person_is_added_signs_in_and_chooses_a_password() {
    let kit = kit().await;
    let admin = kit.pass(Role::Admin, now()).await;
    let wrong = kit.post("/admin/people/new", &admin, "name=&username=a+b&role=teacher").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("value=\"a b\"") && wrong.text.contains("Enter a name."));
    let entry = "name=Ines+Vidal&username=i.vidal&role=student";
    let added = kit.post("/admin/people/new", &admin, entry).await;
    assert_eq!(added.status, StatusCode::OK, "{}", added.text);
    let (_, rest) = added.text.split_once("<dd class=\"mono big\">").expect("it is shown");
    let password = rest.split_once('<').expect("the element ends").0;
    let taken = kit.post("/admin/people/new", &admin, entry).await;
    assert!(taken.text.contains("This user name is taken."), "{}", taken.text);
    let body = format!("username=i.vidal&password={password}&next=/");
    let answer = kit.send(Request::post("/sign-in"), body).await;
    assert_eq!(answer.location, "/account/password");
    let token = answer.cookie.split(['=', ';']).nth(1).expect("a cookie").to_owned();
    let page = kit.get("/account/password", &token).await;
    let pass = Pass { role: Role::Student, token, csrf: page.csrf().to_owned() };
    let body = format!("current={password}&new=short&repeat=short");
    let answer = kit.post("/account/password", &pass, &body).await;
    assert!(answer.text.contains("too short"), "{}", answer.text);
    let body = format!("current={password}&new=violet-harbour-62&repeat=violet-harbour-62");
    let answer = kit.post("/account/password", &pass, &body).await;
    assert_eq!((answer.status, answer.location.as_str()), (StatusCode::SEE_OTHER, "/"));
    assert_eq!(kit.recorded(EventKind::PasswordChanged), 1);
}

#[tokio::test]
async fn a_class_gets_its_people_and_times() {
    let kit = kit().await;
    let admin = kit.pass(Role::Admin, now()).await;
    let added = kit.post("/admin/classes/new", &admin, "name=Latin+8a&band=6-12").await;
    assert_eq!(added.status, StatusCode::SEE_OTHER, "{}", added.text);
    let path = added.location.split_once('?').expect("a message").0.to_owned();
    let again = kit.post("/admin/classes/new", &admin, "name=Latin+8a&band=6-12").await;
    assert!(again.text.contains("There is a class of that name."), "{}", again.text);
    let student = kit.demo(Role::Student).username;
    let wrong =
        kit.post(&format!("{path}/students"), &admin, &format!("usernames={student}+nobody")).await;
    assert!(wrong.text.contains("There is no account named nobody."), "{}", wrong.text);
    let wrong =
        kit.post(&format!("{path}/teachers"), &admin, &format!("usernames={student}")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let enrolled =
        kit.post(&format!("{path}/students"), &admin, &format!("usernames={student}")).await;
    assert_eq!(enrolled.status, StatusCode::SEE_OTHER, "{}", enrolled.text);
    let slots = format!("{path}/slots");
    let wrong = kit.post(&slots, &admin, "day=1&start=10:00&end=09:00").await;
    assert!(wrong.text.contains("The end must be after the start."), "{}", wrong.text);
    let slot = kit.post(&slots, &admin, "day=1&start=09:00&end=09:45").await;
    assert_eq!(slot.status, StatusCode::SEE_OTHER);
    let overlap = kit.post(&slots, &admin, "day=1&start=09:30&end=10:00").await;
    assert!(overlap.text.contains("The class meets at that time already."));
    let page = kit.get(&path, &admin.token).await;
    assert!(page.text.contains("Monday, 09:00 to 09:45") && page.text.contains(student));
    assert_eq!(kit.recorded(EventKind::EnrolmentAdded), 1);
}

#[tokio::test]
async fn a_time_is_entered_once_or_weekly_changed_and_removed() {
    let kit = kit().await;
    let admin = kit.pass(Role::Admin, now()).await;
    let added = kit.post("/admin/classes/new", &admin, "name=Latin+8a&band=6-12").await;
    let path = added.location.split_once('?').expect("a message").0.to_owned();
    let slots = format!("{path}/slots");
    for (date, says) in
        [("", "Enter a date."), ("2026-02-30", "Enter a date."), ("2020-01-01", "has passed")]
    {
        let body = format!("day=once&date={date}&start=09:00&end=09:45");
        let wrong = kit.post(&slots, &admin, &body).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(wrong.text.contains(says), "{date}: {}", wrong.text);
    }
    let once = kit.post(&slots, &admin, "day=once&date=2099-12-24&start=09:00&end=09:45").await;
    assert_eq!(once.status, StatusCode::SEE_OTHER, "{}", once.text);
    let page = kit.get(&path, &admin.token).await;
    assert!(page.text.contains("24 December 2099, 09:00 to 09:45"), "{}", page.text);
    let (_, rest) = page.text.split_once(&format!("{slots}/")).expect("a link to change it");
    let slot = format!("{slots}/{}", rest.split_once('"').expect("the link ends").0);
    let form = kit.get(&slot, &admin.token).await;
    assert!(form.text.contains("value=\"2099-12-24\"") && form.text.contains("value=\"09:00\""));
    let wrong = kit.post(&slot, &admin, "day=3&start=noon&end=10:45").await;
    assert!(wrong.text.contains("Enter a time such as 09:45."), "{}", wrong.text);
    let changed = kit.post(&slot, &admin, "day=3&start=10:00&end=10:45").await;
    assert_eq!(changed.status, StatusCode::SEE_OTHER, "{}", changed.text);
    let page = kit.get(&path, &admin.token).await;
    assert!(page.text.contains("Wednesday, 10:00 to 10:45") && !page.text.contains("2099"));
    let id = slot.rsplit_once('/').expect("a path").1;
    kit.post(&format!("{slots}/remove"), &admin, &format!("slot={id}")).await;
    assert!(!kit.get(&path, &admin.token).await.text.contains("Wednesday, 10:00"));
    assert_eq!(kit.get(&slot, &admin.token).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_class_is_archived_restored_and_deleted_after_asking_and_with_the_password() {
    let kit = kit().await;
    let late = kit.pass(Role::Admin, now().plus_ms(-11 * 60_000)).await;
    let path = "/admin/classes/1";
    let (archive, delete) = (format!("{path}/archive"), format!("{path}/delete"));
    let asks = kit.get(&delete, &late.token).await;
    assert_eq!(asks.location, format!("/step-up?next={delete}"));
    let admin = kit.pass(Role::Admin, now()).await;
    let asks = kit.get(&archive, &admin.token).await;
    assert!(asks.text.contains("Archive Science 7B?"), "{}", asks.text);
    let archived = kit.post(&archive, &admin, "").await;
    assert_eq!(archived.location, format!("{path}?done=class-archived"));
    assert!(kit.get("/admin/classes", &admin.token).await.text.contains("Archived"));
    let restored = kit.post(&format!("{path}/restore"), &admin, "").await;
    assert_eq!(restored.location, format!("{path}?done=class-restored"));

    let class = belfry_model::ClassId(1);
    let found = kit.admin.store.class(class).await.expect("it answers").expect("it is there");
    let enrolled = kit.admin.store.enrolled(class).await.expect("it answers");
    let lesson = belfry_store::NewLesson {
        school: found.school,
        class: Some(class),
        name: found.name,
        band: found.band,
        started_by: enrolled[0].person,
        guest_code: Pii::new("code".to_owned()),
    };
    let lesson = kit.admin.store.start_lesson(lesson, now()).await.expect("it starts").0;
    let refused = kit.post(&delete, &admin, "").await;
    assert!(refused.text.contains("The class is in a lesson now."), "{}", refused.text);
    let ended = belfry_store::LessonChanges { ended: true, ..Default::default() };
    kit.admin.store.keep_lesson(lesson.id, ended, now()).await.expect("it ends");
    let deleted = kit.post(&delete, &admin, "").await;
    assert_eq!(deleted.location, "/admin/classes?done=class-deleted");
    assert_eq!(kit.get(path, &admin.token).await.status, StatusCode::NOT_FOUND);
    for kind in [EventKind::ClassArchived, EventKind::ClassRestored, EventKind::ClassDeleted] {
        assert_eq!(kit.recorded(kind), 1, "{}", kind.name());
    }
}

#[tokio::test]
async fn a_list_of_people_is_checked_line_by_line_and_taken_over_at_once() {
    let kit = kit().await;
    let admin = kit.pass(Role::Admin, now()).await;
    let teacher = kit.demo(Role::Teacher).username;
    let upload = |csv: &str| {
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{}\r\n--b\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"list.csv\"\r\n\r\n{csv}\r\n--b--\r\n",
            admin.csrf
        );
        let request = Request::post("/admin/people/import")
            .header("cookie", format!("__Host-session={}", admin.token));
        kit.send_as("multipart/form-data; boundary=b", request, body)
    };
    let none = upload("").await;
    assert!(none.text.contains("Choose a file."), "{}", none.text);
    let wrong = upload(&format!(
        "\u{feff}name;username;role;class;band\r\n;kim.l;student;4b;k5\r\nAda;a da;;;\r\n\
         Max;{teacher};student;;\r\nZoe;zoe;boss;;\r\n"
    ))
    .await;
    for says in [
        "Line 2: Enter a name.",
        "Line 3: Use only letters",
        "Line 4: The user name",
        "Line 5: The role",
    ] {
        assert!(wrong.text.contains(says), "{says}: {}", wrong.text);
    }
    assert!(!wrong.text.contains("import/apply"), "nothing to take over");

    let csv = format!(
        "\u{feff}name;username;role;class;band\r\nKim Löw;kim.l;student;4b|Science 7B;k5\r\n\
         Maya;{teacher};teacher;4b;\r\n"
    );
    let good = upload(&csv).await;
    assert_eq!(good.status, StatusCode::OK, "{}", good.text);
    assert!(
        good.text
            .contains("New accounts: 1. Known accounts, which are not changed: 1. New classes: 1.")
    );
    assert_eq!(kit.recorded(EventKind::PeopleImported), 0, "only looked at");
    let encoded = csv.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let done = kit.post("/admin/people/import/apply", &admin, &format!("csv={encoded}")).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    let (_, rest) = done.text.split_once("kim.l</td><td class=\"mono\">").expect("a password");
    let password = rest.split_once('<').expect("the cell ends").0;
    let body = format!("username=kim.l&password={password}&next=/");
    let signed_in = kit.send(Request::post("/sign-in"), body).await;
    assert_eq!(signed_in.location, "/account/password");
    let classes = kit.get("/admin/classes", &admin.token).await;
    assert!(classes.text.contains(">4b</a>"), "{}", classes.text);
    let counts = [EventKind::PeopleImported, EventKind::PersonCreated, EventKind::EnrolmentAdded];
    assert_eq!(counts.map(|kind| kit.recorded(kind)), [1, 1, 3]);
    let again = kit.post("/admin/people/import/apply", &admin, &format!("csv={encoded}")).await;
    assert!(again.text.contains("Nobody needed a new account."), "{}", again.text);
    assert_eq!(counts.map(|kind| kit.recorded(kind)), [2, 1, 3]);
}

#[test]
fn every_parser_of_outside_bytes_accepts_its_seed() {
    for parser in crate::PARSERS {
        assert!(parser.feed(parser.seed()), "{}", parser.name());
    }
}

#[tokio::test]
async fn the_log_is_told_in_words_and_found_by_whom_it_is_about() {
    let kit = kit().await;
    let admin = kit.pass(Role::Admin, now()).await;
    let student = kit.demo(Role::Student).username;
    let wanted = Some(Pii::new(student.to_owned()));
    let found = kit.admin.store.people(SchoolId(1), wanted, 0, 1).await.expect("it answers");
    let (student, name) = (found.people[0].id, found.people[0].name.reveal().clone());
    kit.post(&format!("/admin/people/{student}/disable"), &admin, "").await;
    let all = kit.get("/admin/record", &admin.token).await.text;
    assert!(all.contains(&format!("disabled the account of {name}")), "{all}");
    assert!(all.contains("asked to see this log"), "looking is in it, too");
    let about = kit.get(&format!("/admin/record?about=p{student}"), &admin.token).await.text;
    assert!(about.contains(&format!("Only what is about {name}")));
    assert!(about.contains("disabled the account of") && !about.contains("asked to see this log"));
    let elsewhere = kit.get("/admin/record?kind=lesson&refused=on", &admin.token).await.text;
    assert!(elsewhere.contains("No entry of the log fits this."), "{elsewhere}");
    let wrong = kit.get("/admin/record?since=yesterday", &admin.token).await.text;
    assert!(wrong.contains("Enter a day as year, month and day"), "{wrong}");
}

#[tokio::test]
async fn the_log_is_verified_and_evidence_taken_away_is_in_it() {
    let kit = kit().await;
    let admin = kit.pass(Role::Admin, now()).await;
    let page = kit.get("/admin/record/evidence", &admin.token).await.text;
    assert!(page.contains("SHA256:"), "{page}");
    let verified = kit.post("/admin/record/verify", &admin, "").await.text;
    assert!(verified.contains("The log is sound:"), "{verified}");
    let wrong = kit.post("/admin/record/evidence", &admin, "nonce=xyz&count=0").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("even number of hexadecimal digits"), "{}", wrong.text);
    assert!(wrong.text.contains("Enter a number from 1 to 1000."), "{}", wrong.text);
    assert_eq!(kit.recorded(EventKind::EvidenceExporting), 0);
    let taken = kit.post("/admin/record/evidence", &admin, "level=auditor&nonce=00ff").await;
    assert_eq!(taken.status, StatusCode::OK);
    assert!(taken.text.starts_with("PK"), "a ZIP file");
    assert_eq!(kit.recorded(EventKind::EvidenceExporting), 1);
}

#[tokio::test]
async fn a_setting_is_checked_recorded_and_in_force_at_once() {
    let kit = kit().await;
    let admin = kit.pass(Role::Admin, now()).await;
    let lesson = "group=lesson&lesson.k5_focus=on&lesson.chat=on&lesson.at_once_max=";
    let wrong = kit.post("/admin/settings", &admin, &format!("{lesson}0")).await;
    assert!(wrong.text.contains("Enter a whole number from 1 to 500."), "{}", wrong.text);
    let answer = kit.post("/admin/settings", &admin, &format!("{lesson}7")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    assert_eq!(kit.admin.settings.borrow().lessons_max(), 7);
    assert_eq!(kit.recorded(EventKind::SettingChanged), 1);
}

#[tokio::test]
async fn a_network_without_udp_is_seen_and_looking_at_its_people_is_recorded() {
    let kit = kit().await;
    let admin = kit.pass(Role::Admin, now()).await;
    let empty = kit.get("/admin/connections", &admin.token).await;
    assert!(empty.text.contains("Nobody has been in a lesson in this time."), "{}", empty.text);
    let lesson = kit.lesson().await;
    let told = r#"{"ago_ms":0,"why":"joined","down":{"way":"ice_tcp","rtt_ms":38}}"#;
    for person in 1..=3 {
        let body = format!(
            r#"{{"lesson":"{lesson}","device":{{"browser":"firefox","major":153,"system":"windows","memory":"unknown","cores":"8"}},"samples":[{told}]}}"#
        );
        let report = belfry_ops::REPORTS.parse(Outside::new(body.as_bytes())).expect("a report");
        let address = Pii::new(IpAddr::from([10, 4, 7, 9]));
        let identity = format!("p{person}").into();
        kit.admin.ops.report(&identity, &address, report, now()).expect("it is taken");
    }
    let page = kit.get("/admin/connections?days=7", &admin.token).await;
    assert!(page.text.contains("All 3 participants from 10.4.7.0/24"), "{}", page.text);
    let csv = kit.get("/admin/connections/networks.csv", &admin.token).await;
    assert!(csv.text.contains("\"10.4.7.0/24\",3,0,3,0,"), "{}", csv.text);
    assert_eq!(kit.recorded(EventKind::ConnectionsRead), 0, "counts are nobody's record");
    let people = "/admin/connections/participants?subnet=10.4.7.0/24";
    let list = kit.get(people, &admin.token).await;
    assert!(list.text.contains("/admin/connections/people/2"), "{}", list.text);
    let one = kit.get("/admin/connections/people/2", &admin.token).await;
    assert!(one.text.contains("Joined over TCP, because UDP did not come through"), "{}", one.text);
    assert!(one.text.contains("Firefox 153 on Windows") && one.text.contains("38 ms"));
    assert_eq!(kit.recorded(EventKind::ConnectionsRead), 2);
    let unknown = kit.get("/admin/connections/people/999", &admin.token).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}
