use belfry_http::{EventKind, now};
use belfry_model::Role;
use http::{Request, StatusCode};

use super::kit;

#[tokio::test]
async fn an_auditor_lands_on_the_record_and_sees_no_other_section() {
    let kit = kit().await;
    let auditor = kit.demo(Role::Auditor);
    let body = format!("username={}&password={}&next=/", auditor.username, *auditor.password);
    let answer = kit.send(Request::post("/sign-in"), body).await;
    assert_eq!(answer.location, "/admin/record");
    let pass = kit.pass(Role::Auditor, now()).await;
    let page = kit.get("/admin/record", &pass.token).await;
    assert_eq!(page.status, StatusCode::OK);
    for section in ["people", "classes", "connections", "settings", "certificate"] {
        let path = format!("/admin/{section}");
        assert!(!page.text.contains(&format!("href=\"{path}\"")), "{path} is offered");
        assert_eq!(kit.get(&path, &pass.token).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(kit.get("/admin", &pass.token).await.status, StatusCode::FORBIDDEN);
    let admin = kit.pass(Role::Admin, now()).await;
    let page = kit.get("/admin/record", &admin.token).await;
    assert!(page.text.contains("href=\"/admin/people\""), "an administrator sees all of them");
}

#[tokio::test]
async fn an_auditor_checks_the_log_and_takes_evidence_but_not_with_all_names() {
    let kit = kit().await;
    let auditor = kit.pass(Role::Auditor, now()).await;
    let page = kit.get("/admin/record/evidence", &auditor.token).await;
    assert!(page.text.contains("value=\"auditor\"") && !page.text.contains("value=\"full\""));
    let checked = kit.post("/admin/record/verify", &auditor, "").await;
    assert!(checked.text.contains("The log is sound"), "{}", checked.text);
    let full = kit.post("/admin/record/evidence", &auditor, "level=full").await;
    assert_eq!(full.status, StatusCode::FORBIDDEN);
    assert_eq!(kit.recorded(EventKind::EvidenceExporting), 0);
    let taken = kit.post("/admin/record/evidence", &auditor, "level=auditor").await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.text);
    let exported = kit.admin.ledger.page_blocking(None, 1, Some(EventKind::EvidenceExporting));
    let exported = exported.expect("it can be read").entries.remove(0);
    let who = kit.admin.identity.session(&auditor.token, now()).await.expect("it answers");
    let who = who.expect("signed in").person().expect("an account").person;
    assert_eq!(exported.actor_id, Some(who.to_string()), "the export is the auditor's");
}

#[tokio::test]
async fn an_administrator_makes_an_auditor() {
    let kit = kit().await;
    let admin = kit.pass(Role::Admin, now()).await;
    let made = kit.post("/admin/people/new", &admin, "name=Ida+Berg&username=i.berg&role=auditor");
    let made = made.await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let log = kit.get("/admin/record", &admin.token).await;
    assert!(log.text.contains("made an account for Ida Berg (Auditor)"), "{}", log.text);
    assert!(log.text.contains("Then known as Ida Berg, user name i.berg."), "{}", log.text);
    let form = kit.get("/admin/classes/1", &admin.token).await;
    let enrolled = kit.post("/admin/classes/1/teachers", &admin, "usernames=i.berg").await;
    assert_eq!(enrolled.status, StatusCode::UNPROCESSABLE_ENTITY, "auditors do not teach");
    assert!(!form.text.contains("Ida Berg"));
}
