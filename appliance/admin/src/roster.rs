//! Who belongs to a class.

use axum::extract::{Path, State};
use axum::response::Response;
use belfry_admin_ui::{Control, Field, Form, Member, Roster, Weight, say, say_with};
use belfry_audit::{Class as AuditClass, Person as AuditPerson, PersonRole};
use belfry_http::{Audit, Caller, Detail, Fields, Problem, now};
use belfry_model::{PersonId, Pii, Role};
use belfry_store::{Class, Enrolled, EnrolledAs, Person};

use crate::classes::{self, Entered};
use crate::reader::{Reader, refused, went};
use crate::{Admin, store_problem};

/// User names of one "add" form.
const ADD_USERNAMES_MAX: usize = 200;

pub(crate) fn roster(
    path: &str,
    csrf: &str,
    enrolled_as: EnrolledAs,
    enrolled: &[Enrolled],
    entered: Option<&(EnrolledAs, String, String)>,
) -> Roster {
    let (id, title, none, add) = match enrolled_as {
        EnrolledAs::Teacher => (
            "teachers",
            say("class-teachers"),
            say("class-teachers-none"),
            say("class-add-teachers"),
        ),
        EnrolledAs::Student => (
            "students",
            say("class-students"),
            say("class-students-none"),
            say("class-add-students"),
        ),
    };
    let members = enrolled.iter().filter(|member| member.enrolled_as == enrolled_as);
    let (text, error) = entered
        .filter(|(for_roster, ..)| *for_roster == enrolled_as)
        .map_or((String::new(), None), |(_, text, error)| (text.clone(), Some(error.clone())));
    let field = Field::new("usernames", add.clone(), Control::Area { rows: 3 })
        .within(id)
        .help(say("class-add-help"))
        .value(text)
        .code()
        .error(error);
    Roster {
        id,
        title,
        none,
        members: members.map(|member| member_view(path, csrf, member)).collect(),
        add: Form::new(format!("{path}/{id}"), add).csrf(csrf).weight(Weight::Plain).field(field),
    }
}

fn member_view(path: &str, csrf: &str, member: &Enrolled) -> Member {
    Member {
        id: member.person.0,
        name: member.name.reveal().clone(),
        username: member.username.reveal().clone(),
        remove: Form::new(format!("{path}/remove"), say("class-remove"))
            .of(member.name.reveal())
            .csrf(csrf)
            .weight(Weight::Quiet)
            .hidden("person", member.person.to_string()),
    }
}

pub(crate) async fn add_teachers(
    state: State<Admin>,
    id: Path<i64>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    add(state, id, caller, reader, audit, form, EnrolledAs::Teacher).await
}

pub(crate) async fn add_students(
    state: State<Admin>,
    id: Path<i64>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    add(state, id, caller, reader, audit, form, EnrolledAs::Student).await
}

async fn add(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
    form: Fields,
    enrolled_as: EnrolledAs,
) -> Result<Response, Problem> {
    let class = classes::find(&admin, &caller, id).await?;
    let text = form.text("usernames").to_owned();
    let people = match people_named(&admin, &class, enrolled_as, &text).await? {
        Ok(people) => people,
        Err(error) => {
            let roster = Some((enrolled_as, text, error));
            let entered = Entered { roster, ..Entered::default() };
            return Ok(refused(&classes::page(&admin, &reader, &class, entered).await?));
        }
    };
    let role = match enrolled_as {
        EnrolledAs::Teacher => PersonRole::Teacher,
        EnrolledAs::Student => PersonRole::Student,
    };
    for person in people {
        let (class_id, person_id) = (AuditClass(id), AuditPerson(person.0));
        audit.append(Detail::EnrolmentAdded { class: class_id, person: person_id, role }).await?;
        let enrolled = admin.store.enrol(class.id, person, enrolled_as, now()).await;
        enrolled.map_err(|error| store_problem(&error))?;
    }
    Ok(went(&format!("/admin/classes/{id}"), "roster-added"))
}

/// The people of a list of user names, or a sentence about those that cannot be added.
async fn people_named(
    admin: &Admin,
    class: &Class,
    enrolled_as: EnrolledAs,
    text: &str,
) -> Result<Result<Vec<PersonId>, String>, Problem> {
    let names = text.split([',', ';', '\n', '\r', '\t', ' ']).filter(|name| !name.is_empty());
    let (mut people, mut unknown, mut other) = (Vec::new(), Vec::new(), Vec::new());
    for name in names.take(ADD_USERNAMES_MAX) {
        let username = Pii::new(name.to_lowercase());
        let found =
            admin.store.credential(username).await.map_err(|error| store_problem(&error))?;
        match found.map(|credential| credential.person) {
            Some(person) if person.school != class.school => unknown.push(name),
            Some(person) if fits(&person, enrolled_as) => people.push(person.id),
            Some(_) => other.push(name),
            None => unknown.push(name),
        }
    }
    let sentence = |key, names: &[&str]| say_with(key, &[("names", names.join(", "))]);
    Ok(match (people.is_empty(), unknown.is_empty(), other.is_empty()) {
        (_, false, _) => Err(sentence("error-roster-unknown", &unknown)),
        (_, _, false) => Err(sentence("error-roster-role", &other)),
        (true, ..) => Err(say("error-roster-empty")),
        _ => Ok(people),
    })
}

fn fits(person: &Person, enrolled_as: EnrolledAs) -> bool {
    match enrolled_as {
        EnrolledAs::Teacher => person.role == Role::Teacher,
        EnrolledAs::Student => person.role == Role::Student,
    }
}

pub(crate) async fn remove(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let class = classes::find(&admin, &caller, id).await?;
    let person = form.text("person").parse().map(PersonId).map_err(|_| Problem::malformed())?;
    let (class_id, person_id) = (AuditClass(id), AuditPerson(person.0));
    audit.append(Detail::EnrolmentRemoved { class: class_id, person: person_id }).await?;
    admin.store.unenrol(class.id, person).await.map_err(|error| store_problem(&error))?;
    Ok(went(&format!("/admin/classes/{id}"), "roster-removed"))
}
