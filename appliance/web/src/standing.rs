//! Who may ask to join a lesson, and as what.

use belfry_classroom::Standing;
use belfry_http::{Caller, Problem};
use belfry_identity::Session;
use belfry_model::{LessonRole, PersonId, Role};
use belfry_store::{EnrolledAs, Lesson, Store};

/// `None`: has no business there, and is told the same as if there were no such lesson.
pub(crate) async fn of(
    store: &Store,
    caller: &Caller,
    lesson: &Lesson,
) -> Result<Option<Standing>, Problem> {
    if caller.school != lesson.school {
        return Ok(None);
    }
    let (person, role) = match caller.session() {
        Session::Guest(guest) => {
            return Ok((guest.lesson == lesson.id).then_some(Standing::Guest));
        }
        Session::Person(signed_in) => (signed_in.person, signed_in.role),
    };
    match (lesson.class, role) {
        // District IT and auditors have no way into lessons.
        (_, Role::Admin | Role::Auditor) => Ok(None),
        (Some(class), _) => {
            let enrolled = store.enrolment(class, person).await;
            let enrolled =
                enrolled.map_err(|error| Problem::failed("look up an enrolment", &error))?;
            Ok(in_class(enrolled, role))
        }
        (None, Role::Teacher | Role::Student) => Ok(Some(ad_hoc(lesson, person))),
    }
}

fn in_class(enrolled: Option<EnrolledAs>, role: Role) -> Option<Standing> {
    match (enrolled, role) {
        (Some(EnrolledAs::Teacher), _) => Some(Standing::Teacher),
        (Some(EnrolledAs::Student), _) => Some(Standing::Rostered),
        // A colleague, as a substitute or an aide: the teacher lets them in and makes them one.
        (None, Role::Teacher) => Some(Standing::Visitor),
        (None, _) => None,
    }
}

fn ad_hoc(lesson: &Lesson, person: PersonId) -> Standing {
    if lesson.started_by == Some(person) { Standing::Teacher } else { Standing::Visitor }
}

pub(crate) fn role(standing: Standing) -> LessonRole {
    match standing {
        Standing::Teacher => LessonRole::Teacher,
        Standing::Rostered | Standing::Visitor => LessonRole::Student,
        Standing::Guest => LessonRole::Guest,
    }
}
