//! The first page: how things stand, and what is left to set up.

use axum::extract::State;
use axum::response::Response;
use belfry_admin_ui::{Section, Status, Todo, say};
use belfry_http::{Caller, Problem};
use belfry_model::Role;

use crate::certificate::{ends_soon, fingerprint, state};
use crate::reader::{Reader, shown};
use crate::{Admin, store_problem};

pub(crate) async fn show(
    State(admin): State<Admin>,
    caller: Caller,
    reader: Reader,
) -> Result<Response, Problem> {
    let status = status(&admin, &caller).await?;
    let todo = |icon, section: Section, label, text| Todo {
        icon,
        href: section.href().to_owned(),
        label: say(label),
        text: say(text),
    };
    let mut todos = Vec::new();
    if status.teachers == 0 || status.students == 0 {
        todos.push(todo("people", Section::People, "home-todo-people", "home-todo-people-text"));
    }
    if status.classes == 0 {
        todos.push(todo("shield", Section::Certificate, "home-todo-trust", "home-todo-trust-text"));
        todos.push(todo(
            "classes",
            Section::Classes,
            "home-todo-classes",
            "home-todo-classes-text",
        ));
    }
    let frame = reader.section(Section::Home);
    Ok(shown(&belfry_admin_ui::Home { frame, status, todo: todos }))
}

/// The figures alone, for the page that refreshes them.
pub(crate) async fn fragment(
    State(admin): State<Admin>,
    caller: Caller,
) -> Result<Response, Problem> {
    Ok(shown(&status(&admin, &caller).await?))
}

async fn status(admin: &Admin, caller: &Caller) -> Result<Status, Problem> {
    let count = async |role| {
        let counted = admin.store.enabled_count(caller.district, role).await;
        counted.map_err(|error| store_problem(&error))
    };
    let (admins, teachers, students) =
        (count(Role::Admin).await?, count(Role::Teacher).await?, count(Role::Student).await?);
    let classes =
        admin.store.classes(caller.school).await.map_err(|error| store_problem(&error))?;
    let live = (admin.live)();
    let trust = (admin.trust)();
    Ok(Status {
        lessons: live.lessons,
        participants: live.participants,
        people: admins + teachers + students,
        teachers,
        students,
        admins,
        classes: classes.len() as u64,
        certificate_state: state(&trust),
        certificate_soon: ends_soon(&trust),
        fingerprint: fingerprint(&trust),
    })
}
