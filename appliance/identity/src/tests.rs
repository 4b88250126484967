use std::net::IpAddr;
use std::sync::Arc;

use belfry_audit::EventKind;
use belfry_keys::Keys;
use belfry_ledger::{Entry, Ledger};
use belfry_model::{LessonId, PersonId, Pii, Role, SchoolId, Timestamp};
use belfry_settings::Settings;
use belfry_store::Store;
use tokio::sync::watch;

use crate::{
    AccountChange, DemoSignIns, Error, Identity, Issued, NewAccount, PasswordRule, Policy, Session,
    SignedIn, ThrottleLimits,
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const MINUTE_MS: i64 = 60_000;

/// The demo school with everything real.
struct School {
    dir: tempfile::TempDir,
    identity: Identity,
    ledger: Ledger,
    demo: DemoSignIns,
}

impl School {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = open(dir.path());
        let demo = identity.seed_demo(NOW).await.unwrap().unwrap();
        Self { ledger: identity.ledger.clone(), dir, identity, demo }
    }

    fn password(&self, username: &str) -> &str {
        let person = self.demo.people.iter().find(|person| person.username == username);
        &person.expect("somebody of the demo school").password
    }

    async fn sign_in(&self, username: &str) -> Issued<SignedIn> {
        let password = self.password(username);
        self.identity.sign_in(username, password, peer(), NOW).await.unwrap()
    }

    async fn try_sign_in(
        &self,
        username: &str,
        password: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.identity.sign_in(username, password, peer(), now).await.map(drop)
    }

    async fn session(&self, token: &str, now: Timestamp) -> Option<Session> {
        self.identity.session(token, now).await.unwrap()
    }

    fn school(&self) -> SchoolId {
        self.demo.school
    }

    /// What was recorded of a kind; an append before makes sure that it is written.
    async fn recorded(&self, kind: EventKind) -> Vec<Entry> {
        self.ledger
            .append(belfry_audit::Event {
                at_ms: 0,
                scope: belfry_audit::Scope::district(1),
                actor: belfry_audit::Actor::Appliance,
                detail: belfry_audit::Detail::ApplianceStopped {},
            })
            .await
            .unwrap();
        self.ledger.page_blocking(None, 500, Some(kind)).unwrap().entries
    }
}

fn open(dir: &std::path::Path) -> Identity {
    let store = Store::open(&dir.join("belfry.db")).unwrap();
    let ledger = Ledger::open(&dir.join("audit.db")).unwrap();
    let keys = Arc::new(Keys::open(&dir.join("keys")).unwrap());
    Identity::new(store, ledger, keys, Policy::default()).unwrap()
}

fn peer() -> Pii<IpAddr> {
    Pii::new(IpAddr::from([192, 168, 7, 9]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_password_gives_a_session_that_survives_a_restart() {
    let school = School::new().await;
    let issued = school.identity.sign_in(" M.OKAFOR ", school.password("m.okafor"), peer(), NOW);
    let issued = issued.await.unwrap();
    assert_eq!((issued.who.role, issued.who.school), (Role::Teacher, school.school()));
    assert_eq!(issued.who.name.reveal(), "Maya Okafor");

    let found = school.session(issued.token.expose(), NOW).await.unwrap();
    assert_eq!(found, Session::Person(issued.who.clone()));
    assert!(found.csrf_is(&issued.who.csrf) && !found.csrf_is("") && !found.csrf_is("x"));
    assert_eq!(found.identity().as_str(), format!("p{}", issued.who.person));
    assert_eq!(school.recorded(EventKind::SignedIn).await.len(), 1);

    let School { dir, identity, ledger, .. } = school;
    drop((identity, ledger));
    let reopened = open(dir.path());
    let again = reopened.session(issued.token.expose(), NOW).await.unwrap();
    assert_eq!(again, Some(Session::Person(issued.who)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_holds_neither_token_nor_password_nor_address() {
    let school = School::new().await;
    let issued = school.sign_in("m.okafor").await;
    let _ = school.try_sign_in("m.okafor", "wrong", NOW).await;
    let password = school.password("m.okafor").to_owned();
    let token = issued.token.expose().to_owned();
    let School { dir, identity, ledger, .. } = school;
    drop((identity, ledger));
    for file in ["belfry.db", "belfry.db-wal", "audit.db", "audit.db-wal"] {
        let Ok(bytes) = std::fs::read(dir.path().join(file)) else { continue };
        for secret in [token.as_str(), &password, "192.168.7.9"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{file} holds a secret");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_wrong_and_disabled_look_the_same_and_are_recorded_apart() {
    let school = School::new().await;
    let admin = school.sign_in("admin").await.who;
    let kim = school.sign_in("grace.k").await.who.person;
    school.identity.set_disabled(&admin, kim, true, NOW).await.unwrap();
    let attempts = [
        ("nobody", "whatever it is"),
        ("two words", "whatever it is"),
        ("m.okafor", "wrong"),
        ("grace.k", school.password("grace.k")),
    ];
    for (username, password) in attempts {
        let refused = school.try_sign_in(username, password, NOW).await;
        assert!(matches!(refused, Err(Error::Wrong)), "{username}: {refused:?}");
    }
    let mut because: Vec<_> = school.recorded(EventKind::SignInRefused).await;
    because.reverse();
    let because: Vec<_> = because.iter().map(|entry| entry.fields[0].1.as_str()).collect();
    assert_eq!(because, ["unknown_name", "unknown_name", "wrong_password", "disabled"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_even_with_attempts_at_once_and_across_restarts() {
    let school = School::new().await;
    let attempts: Vec<_> = (0..12)
        .map(|number| {
            let identity = school.identity.clone();
            tokio::spawn(async move {
                identity.sign_in("m.okafor", &format!("guess {number}"), peer(), NOW).await
            })
        })
        .collect();
    let mut tried = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            Err(Error::Wrong) => tried += 1,
            Err(Error::Throttled { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(tried, 5, "the free attempts, however many come at once");
    let right = school.password("m.okafor").to_owned();
    let School { dir, identity, ledger, .. } = school;
    drop((identity, ledger));
    let identity = open(dir.path());
    let waits = identity.sign_in("m.okafor", &right, peer(), NOW).await;
    let Err(Error::Throttled { retry_after_ms }) = waits else { panic!("{waits:?}") };
    assert_eq!(retry_after_ms, 1_000);
    identity.sign_in("m.okafor", &right, peer(), NOW.plus_ms(retry_after_ms)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_of_thirty_signs_in_at_once_from_one_address() {
    let school = School::new().await;
    let people = school.demo.people.iter().filter(|one| one.role == Role::Student).cloned();
    let tasks: Vec<_> = people
        .map(|pupil| {
            let identity = school.identity.clone();
            tokio::spawn(async move {
                identity.sign_in(pupil.username, &pupil.password, peer(), NOW).await.map(drop)
            })
        })
        .collect();
    assert_eq!(tasks.len(), 30);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_idle_at_its_absolute_end_and_when_signed_out() {
    let school = School::new().await;
    let admin = school.sign_in("admin").await;
    let token = admin.token.expose();
    let after = |minutes: i64| NOW.plus_ms(minutes * MINUTE_MS);
    for minutes in [14, 28, 42, 56] {
        assert!(school.session(token, after(minutes)).await.is_some(), "used each 14 minutes");
    }
    assert!(school.session(token, after(60)).await.is_none(), "an hour is the end");

    let idle = school.sign_in("admin").await;
    assert!(school.session(idle.token.expose(), after(15)).await.is_none());
    assert!(school.session(idle.token.expose(), after(1)).await.is_none(), "it stays ended");

    let teacher = school.sign_in("m.okafor").await;
    let session = Session::Person(teacher.who);
    assert!(school.identity.sign_out(&session, NOW).await.unwrap());
    assert!(!school.identity.sign_out(&session, NOW).await.unwrap());
    assert!(school.session(teacher.token.expose(), NOW).await.is_none());
    assert!(school.session("no such token", NOW).await.is_none());
    assert_eq!(school.recorded(EventKind::SignedOut).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn stepping_up_gives_a_new_token_and_lasts_ten_minutes() {
    let school = School::new().await;
    let first = school.sign_in("admin").await;
    let later = NOW.plus_ms(11 * MINUTE_MS);
    let Some(Session::Person(stale)) = school.session(first.token.expose(), later).await else {
        panic!("still signed in")
    };
    assert!(!stale.stepped_up(later));
    let kim = school.sign_in("grace.k").await.who.person;
    let refused = school.identity.reset_password(&stale, kim, later).await;
    assert!(matches!(refused, Err(Error::StepUpNeeded)), "{refused:?}");

    let wrong = school.identity.step_up(&stale, "wrong", peer(), later).await;
    assert!(matches!(wrong, Err(Error::Wrong)));
    let password = school.password("admin");
    let second = school.identity.step_up(&stale, password, peer(), later).await.unwrap();
    assert!(second.who.stepped_up(later) && second.who.csrf != stale.csrf);
    assert!(school.session(first.token.expose(), later).await.is_none(), "the old token is gone");
    let found = school.session(second.token.expose(), later).await;
    assert_eq!(found, Some(Session::Person(second.who.clone())));
    school.identity.reset_password(&second.who, kim, later).await.unwrap();
    let reused = school.identity.step_up(&stale, password, peer(), later).await;
    assert!(matches!(reused, Err(Error::SessionEnded)), "{reused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_every_other_session() {
    let school = School::new().await;
    let here = school.sign_in("m.okafor").await;
    let elsewhere = school.sign_in("m.okafor").await;
    let old = school.password("m.okafor");
    let change =
        |new: &'static str| school.identity.change_password(&here.who, old, new, peer(), NOW);
    let short = change("short").await;
    assert!(matches!(short, Err(Error::Password(PasswordRule::TooShort { chars_min: 10 }))));
    let fresh = change("a much longer one").await.unwrap();
    for token in [&here.token, &elsewhere.token] {
        assert!(school.session(token.expose(), NOW).await.is_none());
    }
    assert!(school.session(fresh.token.expose(), NOW).await.is_some());
    assert!(matches!(school.try_sign_in("m.okafor", old, NOW).await, Err(Error::Wrong)));
    school.try_sign_in("m.okafor", "a much longer one", NOW).await.unwrap();
    assert_eq!(school.recorded(EventKind::PasswordChanged).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_makes_changes_and_disables_accounts_and_each_step_is_recorded() {
    let school = School::new().await;
    let admin = school.sign_in("admin").await.who;
    let new = |username: &str, role| NewAccount {
        school: school.school(),
        username: Pii::new(username.to_owned()),
        name: Pii::new("Noor Haddad".to_owned()),
        role,
    };
    let created =
        school.identity.create_account(&admin, new("Noor.H", Role::Student), NOW).await.unwrap();
    let noor = school.identity.sign_in("noor.h", &created.password, peer(), NOW).await.unwrap();
    assert!(noor.who.must_change);
    let taken = school.identity.create_account(&admin, new("noor.h", Role::Student), NOW).await;
    assert!(matches!(taken, Err(Error::UsernameTaken)), "{taken:?}");

    let change = AccountChange {
        username: Pii::new("n.haddad".to_owned()),
        name: Pii::new("Noor Haddad".to_owned()),
        role: Role::Teacher,
    };
    school.identity.change_account(&admin, created.person, change, NOW).await.unwrap();
    assert!(
        school.session(noor.token.expose(), NOW).await.is_none(),
        "another role, another session"
    );
    let reset = school.identity.reset_password(&admin, created.person, NOW).await.unwrap();
    let again = school.identity.sign_in("n.haddad", &reset.password, peer(), NOW).await.unwrap();
    assert_eq!(again.who.role, Role::Teacher);
    school.identity.set_disabled(&admin, created.person, true, NOW).await.unwrap();
    assert!(school.session(again.token.expose(), NOW).await.is_none());
    for kind in [
        EventKind::PersonCreated,
        EventKind::PersonChanged,
        EventKind::PersonRoleChanged,
        EventKind::PasswordReset,
        EventKind::PersonDisabled,
    ] {
        let entries = school.recorded(kind).await;
        assert_eq!(entries.len(), 1, "{}", kind.name());
        assert_eq!(entries[0].actor_id, Some(admin.person.to_string()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_an_admin_changes_accounts_and_one_admin_stays() {
    let school = School::new().await;
    let admin = school.sign_in("admin").await.who;
    let teacher = school.sign_in("m.okafor").await.who;
    let refused = school.identity.set_disabled(&teacher, admin.person, true, NOW).await;
    assert!(matches!(refused, Err(Error::NotAllowed)));
    let refused = school.identity.reset_password(&teacher, admin.person, NOW).await;
    assert!(matches!(refused, Err(Error::NotAllowed)));
    let last = school.identity.set_disabled(&admin, admin.person, true, NOW).await;
    assert!(matches!(last, Err(Error::LastAdmin)));
    let nobody = school.identity.set_disabled(&admin, PersonId(9_999), true, NOW).await;
    assert!(matches!(nobody, Err(Error::NoSuchPerson)));
    assert!(school.recorded(EventKind::PersonDisabled).await.is_empty());
    let own = school.identity.end_sessions(&teacher, teacher.person, NOW).await.unwrap();
    assert_eq!(own, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_in_one_lesson_without_an_account_and_leaves_with_it() {
    let school = School::new().await;
    let district = school.sign_in("admin").await.who.district;
    let (place, from) = ((district, school.school()), peer());
    let sign_in =
        |name: &'static str| school.identity.sign_in_guest(place, LessonId(7), name, &from, NOW);
    assert!(matches!(sign_in(" \u{200b} ").await, Err(Error::Name(_))));
    let guest = sign_in("  Grandpa   Joe ").await.unwrap();
    assert_eq!(guest.who.name.reveal(), "Grandpa Joe");
    let found = school.session(guest.token.expose(), NOW).await.unwrap();
    assert!(found.person().is_none());
    assert_eq!(found.guest(), Some(&guest.who));
    assert!(found.identity().as_str().starts_with('g') && found.identity().as_str().len() == 17);
    assert_eq!(school.recorded(EventKind::GuestSignedIn).await.len(), 1);
    assert_eq!(school.identity.end_guests(LessonId(7)).await.unwrap(), 1);
    assert!(school.session(guest.token.expose(), NOW).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_signs_in_by_what_the_console_shows_until_it_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let set_up = async |identity: &Identity| {
        identity.set_up("Elm Valley".to_owned(), "Elm Street".to_owned(), NOW).await.unwrap()
    };
    let first = open(dir.path());
    let district = set_up(&first).await;
    let shown = first.first_sign_in().await.unwrap().unwrap();
    drop(first);

    let identity = open(dir.path());
    assert_eq!(set_up(&identity).await, district, "the second start makes nothing new");
    let again = identity.first_sign_in().await.unwrap().unwrap();
    assert_eq!((again.username, &again.password), (shown.username, &shown.password));
    let signed_in = identity.sign_in(shown.username, &shown.password, peer(), NOW).await.unwrap();
    assert_eq!((signed_in.who.role, signed_in.who.must_change), (Role::Admin, true));
    let new = "violet-harbour-62";
    let password = &shown.password;
    identity.change_password(&signed_in.who, password, new, peer(), NOW).await.unwrap();
    assert!(identity.first_sign_in().await.unwrap().is_none());
    set_up(&identity).await;
    assert!(identity.first_sign_in().await.unwrap().is_none());
    let old = identity.sign_in(shown.username, password, peer(), NOW).await;
    assert!(matches!(old, Err(Error::Wrong)), "{old:?}");

    let recorded = |kind| identity.ledger.page_blocking(None, 9, Some(kind)).unwrap().entries;
    for kind in [EventKind::SchoolCreated, EventKind::PersonCreated] {
        let entries = recorded(kind);
        assert_eq!(entries.len(), 1, "{}", kind.name());
        assert_eq!(entries[0].actor_kind, "console");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_was_cut_short_is_finished_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let identity = open(dir.path());
    // A district without anybody, as a first start leaves behind that ends at the wrong moment.
    let set_up = belfry_store::SetUp { district: "Elm".to_owned(), school: "Oak".to_owned() };
    identity.store.set_up(set_up, NOW).await.unwrap();
    assert!(identity.first_sign_in().await.unwrap().is_none());
    identity.set_up("Elm".to_owned(), "Oak".to_owned(), NOW).await.unwrap();
    let shown = identity.first_sign_in().await.unwrap().unwrap();
    identity.sign_in(shown.username, &shown.password, peer(), NOW).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_are_slowed_down_and_a_lesson_takes_so_many() {
    let school = School::new().await;
    let place = (school.sign_in("admin").await.who.district, school.school());
    let free = ThrottleLimits::default().guests_free;
    for number in 0..free {
        let lesson = LessonId(7 + number / 10);
        school.identity.sign_in_guest(place, lesson, "Joe", &peer(), NOW).await.unwrap();
    }
    let waits = school.identity.sign_in_guest(place, LessonId(7), "Joe", &peer(), NOW).await;
    assert!(matches!(waits, Err(Error::Throttled { retry_after_ms: 1_000 })), "{waits:?}");
    assert_eq!(school.recorded(EventKind::SignInThrottled).await.len(), 1);
    let elsewhere = |number: u8| Pii::new(IpAddr::from([10, 0, number, 1]));
    let mut refused = 0;
    for number in 0..200 {
        let peer = elsewhere(number);
        match school.identity.sign_in_guest(place, LessonId(7), "Joe", &peer, NOW).await {
            Ok(_) => {}
            Err(Error::TooManyGuests) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, 10, "ten were in already");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_limits_hold_at_once_for_sessions_that_have_begun_too() {
    let school = School::new().await;
    let settings = watch::Sender::new(Arc::new(Settings::default()));
    let identity = school.identity.clone().following(settings.subscribe());
    let password = school.password("m.okafor");
    let token = identity.sign_in("m.okafor", password, peer(), NOW).await.unwrap().token;
    let after = |minutes: i64| NOW.plus_ms(minutes * MINUTE_MS);
    let alive =
        async |minutes| identity.session(token.expose(), after(minutes)).await.unwrap().is_some();
    assert!(alive(100).await);
    let mut narrow = Settings::default();
    narrow.set("session.teacher_hours", "2").unwrap();
    narrow.set("sign_in.account_failures_free", "3").unwrap();
    settings.send_replace(Arc::new(narrow));
    assert!(alive(119).await);
    assert!(!alive(120).await, "two hours are the end now");
    for _ in 0..3 {
        assert!(identity.sign_in("m.okafor", "wrong", peer(), NOW).await.is_err());
    }
    let waits = identity.sign_in("m.okafor", password, peer(), NOW).await;
    assert!(matches!(waits, Err(Error::Throttled { .. })), "{waits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_removes_what_has_ended() {
    let school = School::new().await;
    school.sign_in("grace.k").await;
    assert_eq!(school.identity.sweep(NOW).await.unwrap(), 0);
    assert_eq!(school.identity.sweep(NOW.plus_ms(8 * 60 * MINUTE_MS)).await.unwrap(), 1);
}

#[test]
fn every_parser_of_outside_bytes_accepts_its_seed() {
    for parser in crate::PARSERS {
        assert!(parser.feed(parser.seed()), "{}", parser.name());
    }
}
