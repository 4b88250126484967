use belfry_http::{EventKind, now};
use belfry_ledger::{About, Search};
use belfry_model::Role;
use http::StatusCode;

use super::kit;

/// A number of an account of this role that is in the demo school.
async fn number(kit: &super::Kit, role: Role) -> i64 {
    let pass = kit.pass(role, now()).await;
    let session = kit.admin.identity.session(&pass.token, now()).await.expect("it answers");
    session.expect("signed in").person().expect("an account").person.0
}

#[tokio::test]
async fn a_person_is_erased_in_two_steps_and_the_log_says_erased_person() {
    let kit = kit().await;
    let admin = kit.pass(Role::Admin, now()).await;
    let (student, own) = (number(&kit, Role::Student).await, number(&kit, Role::Admin).await);
    let path = format!("/admin/people/{student}/erase");
    let page = kit.get(&path, &admin.token).await;
    assert!(page.text.contains("What goes") && page.text.contains("Choose a reason"));

    let no_reason = kit.post(&path, &admin, "reason=").await;
    assert_eq!(no_reason.status, StatusCode::UNPROCESSABLE_ENTITY);
    let second = kit.post(&path, &admin, "reason=asked").await;
    assert!(second.text.contains("Step 2 of 2"), "{}", second.text);
    let username = kit.demo(Role::Student).username;
    let other = kit.post(&path, &admin, "reason=asked&sure=yes&username=somebody").await;
    assert!(other.text.contains("This is not the user name"), "{}", other.text);
    assert_eq!(kit.recorded(EventKind::PersonErased), 0, "nothing was erased so far");

    let body = format!("reason=asked&sure=yes&username={username}");
    let own = kit.post(&format!("/admin/people/{own}/erase"), &admin, &body).await;
    assert!(own.text.contains("your own account"), "{}", own.text);
    let done = kit.post(&path, &admin, &body).await;
    assert_eq!(done.location, "/admin/people?done=person-erased", "{}", done.text);
    assert_eq!(kit.recorded(EventKind::PersonErased), 1);
    assert_eq!(kit.get(&path, &admin.token).await.status, StatusCode::NOT_FOUND);
    let history = kit.get(&format!("/admin/record?about=p{student}"), &admin.token).await;
    assert!(history.text.contains(&format!("erased person {student}")), "{}", history.text);
    assert!(history.text.contains("a parent asked for it"), "{}", history.text);
    let people = kit.get("/admin/people", &admin.token).await;
    assert!(!people.text.contains(username), "{}", people.text);
}

#[tokio::test]
async fn nobody_in_a_running_lesson_is_erased() {
    let kit = kit().await;
    let admin = kit.pass(Role::Admin, now()).await;
    kit.lesson().await;
    let teacher = number(&kit, Role::Teacher).await;
    let path = format!("/admin/people/{teacher}/erase");
    let said = "End that lesson, then erase.";
    assert!(kit.get(&path, &admin.token).await.text.contains(said));
    let username = kit.demo(Role::Teacher).username;
    let body = format!("reason=ordered&sure=yes&username={username}");
    let refused = kit.post(&path, &admin, &body).await;
    assert!(refused.text.contains(said), "{}", refused.text);
    assert_eq!(kit.recorded(EventKind::PersonErased), 0);
    let search = Search { about: Some(About::Person(teacher)), ..Search::default() };
    let found = kit.admin.ledger.search_blocking(&search, 10).expect("it can be read");
    assert!(found.entries.iter().all(|entry| entry.op != "person.disabled"));
}
