//! The JSON API of the application's pages.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use belfry_audit::{Class, Detail, Lesson};
use belfry_http::{Audit, Caller, Problem, now};
use belfry_model::{ClassId, LessonId, Outside, PersonId, Pii, Timestamp};
use belfry_session::OpenError;
use belfry_store::{
    self as store, Band, Day, EnrolledAs, LessonChanges, NewLesson, TimetableEntry,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use crate::{Web, standing, wire};

type Answer = Result<Json<Value>, Problem>;

/// What somebody is told who wants one lesson more than the district allows at a time.
pub(crate) const TOO_MANY_LESSONS: &str =
    "As many lessons are running as this appliance holds. Try again when one of them has ended.";
/// Bytes of chance in a guest link.
const GUEST_CODE_BYTES: usize = 16;
/// Ad-hoc lessons of one teacher that have not ended.
const AD_HOC_MAX: usize = 10;

pub(crate) async fn me(State(web): State<Web>, caller: Caller) -> Answer {
    let school = web.store.school(caller.school).await.map_err(failed("read a school"))?;
    Ok(Json(json!({
        "name": caller.name().reveal(),
        "role": caller.role().map_or("guest", belfry_model::Role::as_str),
        "csrf": caller.csrf,
        "school": school.map(|school| school.name),
    })))
}

pub(crate) async fn today(State(web): State<Web>, caller: Caller) -> Answer {
    let person = person(&caller)?;
    let now = now();
    let day = Day::at(now, (web.utc_offset_minutes)(now));
    let entries = web.store.timetable_of(person, day).await.map_err(failed("read a timetable"))?;
    let mut classes = Vec::with_capacity(entries.len());
    let timetabled: Vec<_> = entries.iter().map(|entry| entry.class.id).collect();
    for entry in entries {
        classes.push((entry.starts_at, class(&web, entry).await?));
    }
    classes.extend(outside_timetable(&web, &caller, person, &timetabled).await?);
    classes.sort_by_key(|(starts_at, _)| *starts_at);
    let classes: Vec<_> = classes.into_iter().map(|(_, entry)| entry).collect();
    Ok(Json(json!({ "now": now.0, "classes": classes })))
}

/// Lessons that run and are on no timetable today: of the person's classes, and the person's own
/// without a class.
async fn outside_timetable(
    web: &Web,
    caller: &Caller,
    person: PersonId,
    timetabled: &[ClassId],
) -> Result<Vec<(Timestamp, Value)>, Problem> {
    let mut found = Vec::new();
    let classes = web.store.classes_of(person).await.map_err(failed("list classes"))?;
    for (class, _) in classes.into_iter().filter(|(class, _)| !timetabled.contains(&class.id)) {
        let running = web.store.running_lesson(class.id).await.map_err(failed("read a lesson"))?;
        let Some(running) = running else { continue };
        let enrolled = web.store.enrolled(class.id).await.map_err(failed("list enrolments"))?;
        let teachers = enrolled.iter().filter(|one| one.enrolled_as == EnrolledAs::Teacher);
        let teachers: Vec<_> = teachers.map(|one| one.name.reveal().as_str()).collect();
        found.push((running.created_at, lasting(web, &running, &teachers.join(", ")).await));
    }
    for lesson in web.store.ad_hoc_lessons(person).await.map_err(failed("list lessons"))? {
        found.push((lesson.created_at, lasting(web, &lesson, caller.name().reveal()).await));
    }
    Ok(found)
}

/// A running lesson as an entry of its own.
async fn lasting(web: &Web, lesson: &store::Lesson, teacher: &str) -> Value {
    json!({
        "class": lesson.class.map(|class| class.to_string()),
        "name": lesson.name,
        "band": lesson.band.as_str(),
        "teacher": teacher,
        "starts_at": lesson.created_at.0,
        "ends_at": null,
        "lesson": running_now(web, lesson.id).await,
    })
}

async fn running_now(web: &Web, lesson: LessonId) -> Value {
    let live = web.sessions.summary(lesson).await;
    let phase = live.map_or("before_teacher", |live| live.phase.as_str());
    let present = live.map_or(0, |live| live.present_count);
    json!({ "lesson": lesson.to_string(), "phase": phase, "present": present })
}

/// Guests have no account, and nothing to start.
fn person(caller: &Caller) -> Result<PersonId, Problem> {
    caller.person().ok_or_else(Problem::forbidden)
}

async fn class(web: &Web, entry: TimetableEntry) -> Result<Value, Problem> {
    let TimetableEntry { class, teachers, starts_at, ends_at, .. } = entry;
    let running = web.store.running_lesson(class.id).await.map_err(failed("read a lesson"))?;
    let lesson = match running {
        Some(running) => Some(running_now(web, running.id).await),
        None => None,
    };
    let teachers: Vec<_> = teachers.iter().map(|name| name.reveal().as_str()).collect();
    Ok(json!({
        "class": class.id.to_string(),
        "name": class.name,
        "band": class.band.as_str(),
        "teacher": teachers.join(", "),
        "starts_at": starts_at.0,
        "ends_at": ends_at.0,
        "lesson": lesson,
    }))
}

pub(crate) async fn start(
    State(web): State<Web>,
    caller: Caller,
    audit: Audit,
    Path(class): Path<i64>,
) -> Answer {
    let person = person(&caller)?;
    let class = ClassId(class);
    let enrolled = web.store.enrolment(class, person).await.map_err(failed("read an enrolment"))?;
    if enrolled != Some(EnrolledAs::Teacher) {
        return Err(Problem::not_found());
    }
    let class = web.store.class(class).await.map_err(failed("read a class"))?;
    let class = class.filter(|class| !class.archived).ok_or_else(Problem::not_found)?;
    let new = NewLesson {
        school: class.school,
        class: Some(class.id),
        name: class.name,
        band: class.band,
        started_by: person,
        guest_code: guest_code(),
    };
    let (lesson, made) = begin(&web, new).await?;
    if made {
        let started =
            Detail::LessonStarted { lesson: Lesson(lesson.id.0), class: Some(Class(class.id.0)) };
        audit.record(started).await;
    } else {
        audit.keep();
    }
    Ok(Json(json!({ "lesson": lesson.id.to_string() })))
}

pub(crate) async fn ad_hoc(
    State(web): State<Web>,
    caller: Caller,
    audit: Audit,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let person = person(&caller)?;
    let new = wire::NEW_LESSONS.parse(Outside::new(&body)).map_err(|_| Problem::malformed())?;
    refuse_too_many(&web, person).await?;
    let guest_links = web.sessions.policy().guest_links;
    let code = guest_code();
    let new = NewLesson {
        school: caller.school,
        class: None,
        name: new.name,
        band: Band::Grades6To12,
        started_by: person,
        guest_code: code.clone(),
    };
    let (lesson, _) = begin(&web, new).await?;
    let id = Lesson(lesson.id.0);
    audit.record(Detail::LessonStarted { lesson: id, class: None }).await;
    let mut link = None;
    if guest_links {
        audit.record(Detail::GuestLinkCreated { lesson: id }).await;
        link = guest_link(&headers, &code);
    }
    Ok(Json(json!({ "lesson": lesson.id.to_string(), "guest_link": link })))
}

async fn refuse_too_many(web: &Web, person: PersonId) -> Result<(), Problem> {
    let open = web.store.ad_hoc_lessons(person).await.map_err(failed("list lessons"))?;
    if open.len() < AD_HOC_MAX {
        return Ok(());
    }
    let text = "You have too many lessons open. End one of them first.";
    Err(Problem::new(StatusCode::CONFLICT, "too_many_lessons", text))
}

async fn begin(web: &Web, new: NewLesson) -> Result<(store::Lesson, bool), Problem> {
    let full =
        || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_lessons", TOO_MANY_LESSONS);
    let running = match new.class {
        Some(class) => web.store.running_lesson(class).await.map_err(failed("read a lesson"))?,
        None => None,
    };
    if running.is_none() && !web.sessions.has_place().await {
        return Err(full());
    }
    let begun = web.store.start_lesson(new, now()).await.map_err(failed("start a lesson"))?;
    match web.sessions.wake(begun.0.id).await {
        Ok(()) => Ok(begun),
        // Others were quicker.
        Err(OpenError::TooManyLessons) if begun.1 => {
            let ended = LessonChanges { ended: true, ..LessonChanges::default() };
            let kept = web.store.keep_lesson(begun.0.id, ended, now()).await;
            kept.map_err(failed("end a lesson that cannot be held"))?;
            Err(full())
        }
        Err(OpenError::TooManyLessons) => Err(full()),
        Err(error) => Err(Problem::failed("bring a lesson to life", &error)),
    }
}

pub(crate) async fn lesson(
    State(web): State<Web>,
    caller: Caller,
    Path(lesson): Path<i64>,
) -> Answer {
    let lesson = find(&web, lesson).await?;
    let standing = standing::of(&web.store, &caller, &lesson).await?;
    let standing = standing.ok_or_else(Problem::not_found)?;
    let live = web.sessions.summary(lesson.id).await;
    let phase = match (lesson.ended_at, live) {
        (Some(_), _) => "ended",
        (None, Some(live)) => live.phase.as_str(),
        (None, None) => "before_teacher",
    };
    Ok(Json(json!({
        "lesson": lesson.id.to_string(),
        "name": lesson.name,
        "phase": phase,
        "role": wire::role(standing::role(standing)),
    })))
}

pub(crate) async fn find(web: &Web, lesson: i64) -> Result<store::Lesson, Problem> {
    let found = web.store.lesson(LessonId(lesson)).await.map_err(failed("read a lesson"))?;
    found.ok_or_else(Problem::not_found)
}

/// The link as the teacher passes it on: to the name under which she reached us.
pub(crate) fn guest_link(headers: &HeaderMap, code: &Pii<String>) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    Some(format!("https://{host}/guest/{}", code.reveal()))
}

fn guest_code() -> Pii<String> {
    Pii::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; GUEST_CODE_BYTES]>()))
}

pub(crate) fn failed(what: &'static str) -> impl Fn(store::Error) -> Problem {
    move |error| Problem::failed(what, &error)
}
