//! Classes: the list, one class, its roster and its timetable.

use axum::extract::{Path, State};
use axum::response::Response;
use belfry_admin_ui::{
    Choice, ClassRow, Control, Field, Form, Member, Roster, Section, Slot as SlotView, Weight, say,
    say_with,
};
use belfry_audit::{Class as AuditClass, Person as AuditPerson, PersonRole};
use belfry_http::{Audit, Caller, Detail, Fields, Problem, now};
use belfry_model::{ClassId, PersonId, Pii, Role};
use belfry_store::{
    Band, Class, Enrolled, EnrolledAs, Error, NewClass, NewSlot, Person, Slot, SlotDay,
};

use crate::reader::{Reader, attention, refused, shown, went};
use crate::when::{minute_of_day, time_of_day};
use crate::{Admin, name_error, store_problem};

/// User names of one "add" form.
const ADD_USERNAMES_MAX: usize = 200;

/// What was entered and what is wrong with it.
#[derive(Debug, Default)]
struct Details {
    name: String,
    name_error: Option<String>,
    band: String,
    band_error: Option<String>,
}

impl Details {
    fn of(class: &Class) -> Self {
        Self { name: class.name.clone(), band: class.band.as_str().to_owned(), ..Self::default() }
    }

    /// The parsed form, or the form with its errors.
    fn read(form: &Fields) -> Result<(String, Band), Self> {
        let name = form.text("name").to_owned();
        let band = Band::parse(form.text("band"));
        match (name_error(&name), band) {
            (None, Some(band)) => Ok((name, band)),
            (name_error, band) => Err(Self {
                name,
                name_error,
                band: form.text("band").to_owned(),
                band_error: band.is_none().then(|| say("error-band")),
            }),
        }
    }

    fn taken(name: String, band: Band) -> Self {
        let name_error = Some(say("error-class-taken"));
        Self { name, name_error, band: band.as_str().to_owned(), band_error: None }
    }

    fn into_form(self, action: &str, submit: String, csrf: &str) -> Form {
        let bands = Band::ALL.map(|band| Choice::new(band.as_str(), band_label(band)));
        Form::new(action, submit)
            .csrf(csrf)
            .field(
                Field::new("name", say("class-name"), Control::Text)
                    .value(self.name)
                    .help(say("class-name-help"))
                    .autocomplete("off")
                    .error(self.name_error),
            )
            .field(
                Field::new("band", say("class-band"), Control::Select(bands.into()))
                    .value(self.band)
                    .help(say("class-band-help"))
                    .error(self.band_error),
            )
    }
}

fn band_label(band: Band) -> String {
    match band {
        Band::K5 => say("class-band-k5"),
        Band::Grades6To12 => say("class-band-6-12"),
    }
}

pub(crate) async fn list(
    State(admin): State<Admin>,
    caller: Caller,
    reader: Reader,
) -> Result<Response, Problem> {
    let classes =
        admin.store.classes(caller.school).await.map_err(|error| store_problem(&error))?;
    let rows = classes.into_iter().map(|listed| ClassRow {
        id: listed.class.id.0,
        name: listed.class.name,
        band: band_label(listed.class.band),
        teachers: listed
            .teachers
            .iter()
            .map(|name| name.reveal().as_str())
            .collect::<Vec<_>>()
            .join(", "),
        students: listed.students_count,
    });
    let frame = reader.section(Section::Classes);
    Ok(shown(&belfry_admin_ui::Classes { frame, rows: rows.collect() }))
}

fn new_page(reader: &Reader, details: Details, wrong: bool) -> belfry_admin_ui::FormPage {
    let mut frame = reader.below(Section::Classes, say("class-new-title"));
    if wrong {
        frame.flash = Some(attention());
    }
    let form = details.into_form("/admin/classes/new", say("class-new-go"), &reader.csrf());
    belfry_admin_ui::FormPage { frame, intro: String::new(), form: form.cancel("/admin/classes") }
}

pub(crate) async fn new(reader: Reader) -> Response {
    let details = Details { band: Band::Grades6To12.as_str().to_owned(), ..Details::default() };
    shown(&new_page(&reader, details, false))
}

pub(crate) async fn create(
    State(admin): State<Admin>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let (name, band) = match Details::read(&form) {
        Ok(read) => read,
        Err(details) => return Ok(refused(&new_page(&reader, details, true))),
    };
    let class = NewClass { school: caller.school, name: name.clone(), band };
    match admin.store.create_class(class, now()).await {
        Ok(id) => {
            // The number is known only now; a class that cannot be recorded is taken back.
            if let Err(problem) =
                audit.append(Detail::ClassCreated { class: AuditClass(id.0) }).await
            {
                admin.store.delete_class(id).await.map_err(|error| store_problem(&error))?;
                return Err(problem);
            }
            Ok(went(&format!("/admin/classes/{id}"), "class-added"))
        }
        Err(Error::Taken { .. }) => {
            Ok(refused(&new_page(&reader, Details::taken(name, band), true)))
        }
        Err(error) => Err(store_problem(&error)),
    }
}

/// What is entered in the forms of a class's page, where it is not what is stored.
#[derive(Debug, Default)]
struct Entered {
    details: Option<Details>,
    /// For which roster, what was entered, what is wrong.
    roster: Option<(EnrolledAs, String, String)>,
    slot: Option<SlotEntry>,
}

#[derive(Debug, Default)]
struct SlotEntry {
    day: String,
    start: String,
    end: String,
    day_error: Option<String>,
    start_error: Option<String>,
    end_error: Option<String>,
}

/// The class, if it is of the reader's school.
async fn find(admin: &Admin, caller: &Caller, id: i64) -> Result<Class, Problem> {
    let class = admin.store.class(ClassId(id)).await.map_err(|error| store_problem(&error))?;
    class.filter(|class| class.school == caller.school).ok_or_else(Problem::not_found)
}

async fn page(
    admin: &Admin,
    reader: &Reader,
    class: &Class,
    entered: Entered,
) -> Result<belfry_admin_ui::Class, Problem> {
    let enrolled = admin.store.enrolled(class.id).await.map_err(|error| store_problem(&error))?;
    let slots = admin.store.slots(class.id).await.map_err(|error| store_problem(&error))?;
    let mut frame = reader.below(Section::Classes, class.name.clone());
    let wrong = entered.details.is_some() || entered.roster.is_some() || entered.slot.is_some();
    if wrong {
        frame.flash = Some(attention());
    }
    let path = format!("/admin/classes/{}", class.id);
    let csrf = reader.csrf();
    let details = entered.details.unwrap_or_else(|| Details::of(class));
    let roster =
        |enrolled_as| roster(&path, &csrf, enrolled_as, &enrolled, entered.roster.as_ref());
    Ok(belfry_admin_ui::Class {
        frame,
        form: details.into_form(&path, say("class-save"), &csrf),
        rosters: vec![roster(EnrolledAs::Teacher), roster(EnrolledAs::Student)],
        slots: slots.iter().map(|slot| slot_view(&path, &csrf, slot)).collect(),
        add_slot: slot_form(&path, &csrf, entered.slot.unwrap_or_default()),
    })
}

fn roster(
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

const DAYS: [&str; 7] = [
    "day-monday",
    "day-tuesday",
    "day-wednesday",
    "day-thursday",
    "day-friday",
    "day-saturday",
    "day-sunday",
];

fn slot_view(path: &str, csrf: &str, slot: &Slot) -> SlotView {
    let (start, end) = (time_of_day(slot.starts_minute), time_of_day(slot.ends_minute));
    let day = match slot.day {
        SlotDay::Weekday(number) => {
            DAYS.get(usize::from(number).wrapping_sub(1)).map(|key| say(key)).unwrap_or_default()
        }
        SlotDay::Once(day) => crate::when::date(belfry_model::Timestamp(day * 86_400_000)),
    };
    let label = say_with("class-slot", &[("day", &*day), ("start", &*start), ("end", &*end)]);
    let remove = Form::new(format!("{path}/slots/remove"), say("class-remove"))
        .of(label.clone())
        .csrf(csrf)
        .weight(Weight::Quiet)
        .hidden("slot", slot.id.to_string());
    SlotView { label, remove }
}

fn slot_form(path: &str, csrf: &str, entered: SlotEntry) -> Form {
    let days =
        (1..=DAYS.len()).zip(DAYS).map(|(number, key)| Choice::new(number.to_string(), say(key)));
    Form::new(format!("{path}/slots"), say("class-slot-add"))
        .csrf(csrf)
        .weight(Weight::Plain)
        .inline()
        .field(
            Field::new("day", say("class-slot-day"), Control::Select(days.collect()))
                .value(entered.day)
                .error(entered.day_error),
        )
        .field(
            Field::new("start", say("class-slot-start"), Control::Time)
                .value(entered.start)
                .error(entered.start_error),
        )
        .field(
            Field::new("end", say("class-slot-end"), Control::Time)
                .value(entered.end)
                .error(entered.end_error),
        )
}

pub(crate) async fn show(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    reader: Reader,
) -> Result<Response, Problem> {
    let class = find(&admin, &caller, id).await?;
    Ok(shown(&page(&admin, &reader, &class, Entered::default()).await?))
}

pub(crate) async fn change(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let class = find(&admin, &caller, id).await?;
    let wrong = |details| Entered { details: Some(details), ..Entered::default() };
    let (name, band) = match Details::read(&form) {
        Ok(read) => read,
        Err(details) => return Ok(refused(&page(&admin, &reader, &class, wrong(details)).await?)),
    };
    audit.append(Detail::ClassChanged { class: AuditClass(id) }).await?;
    match admin.store.change_class(class.id, name.clone(), band, now()).await {
        Ok(()) => Ok(went(&format!("/admin/classes/{id}"), "class-saved")),
        Err(Error::Taken { .. }) => {
            let entered = wrong(Details::taken(name, band));
            Ok(refused(&page(&admin, &reader, &class, entered).await?))
        }
        Err(error) => Err(store_problem(&error)),
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
    let class = find(&admin, &caller, id).await?;
    let text = form.text("usernames").to_owned();
    let people = match people_named(&admin, &class, enrolled_as, &text).await? {
        Ok(people) => people,
        Err(error) => {
            let roster = Some((enrolled_as, text, error));
            let entered = Entered { roster, ..Entered::default() };
            return Ok(refused(&page(&admin, &reader, &class, entered).await?));
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
    let class = find(&admin, &caller, id).await?;
    let person = form.text("person").parse().map(PersonId).map_err(|_| Problem::malformed())?;
    let (class_id, person_id) = (AuditClass(id), AuditPerson(person.0));
    audit.append(Detail::EnrolmentRemoved { class: class_id, person: person_id }).await?;
    admin.store.unenrol(class.id, person).await.map_err(|error| store_problem(&error))?;
    Ok(went(&format!("/admin/classes/{id}"), "roster-removed"))
}

/// The parsed time, or what was entered with what is wrong with it.
fn read_slot(form: &Fields) -> Result<NewSlot, Box<SlotEntry>> {
    let (day, start, end) = (form.text("day"), form.text("start"), form.text("end"));
    let weekday = day.parse().ok().filter(|number: &u8| (1..=7).contains(number));
    let (starts, ends) = (minute_of_day(start), minute_of_day(end));
    let ordered = starts.zip(ends).is_none_or(|(starts, ends)| starts < ends);
    if let (Some(day), Some(starts_minute), Some(ends_minute), true) =
        (weekday, starts, ends, ordered)
    {
        return Ok(NewSlot { day: SlotDay::Weekday(day), starts_minute, ends_minute });
    }
    let time_error = |time: Option<u16>| time.is_none().then(|| say("error-slot-time"));
    Err(Box::new(SlotEntry {
        day: day.to_owned(),
        start: start.to_owned(),
        end: end.to_owned(),
        day_error: weekday.is_none().then(|| say("error-slot-day")),
        start_error: time_error(starts),
        end_error: time_error(ends).or_else(|| (!ordered).then(|| say("error-slot-order"))),
    }))
}

pub(crate) async fn add_slot(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let class = find(&admin, &caller, id).await?;
    let mut slots = stored_slots(&admin, class.id).await?;
    let slot = read_slot(&form).and_then(|slot| {
        let overlaps = slots.iter().any(|(_, other)| {
            other.day == slot.day
                && other.starts_minute < slot.ends_minute
                && slot.starts_minute < other.ends_minute
        });
        let taken = || SlotEntry {
            day: form.text("day").to_owned(),
            start: form.text("start").to_owned(),
            end: form.text("end").to_owned(),
            start_error: Some(say("error-slot-taken")),
            ..SlotEntry::default()
        };
        if overlaps { Err(Box::new(taken())) } else { Ok(slot) }
    });
    match slot {
        Ok(slot) => slots.push((0, slot)),
        Err(slot) => {
            let entered = Entered { slot: Some(*slot), ..Entered::default() };
            return Ok(refused(&page(&admin, &reader, &class, entered).await?));
        }
    }
    save_slots(&admin, &audit, class.id, slots).await?;
    Ok(went(&format!("/admin/classes/{id}"), "slot-added"))
}

pub(crate) async fn remove_slot(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let class = find(&admin, &caller, id).await?;
    let gone: i64 = form.text("slot").parse().map_err(|_| Problem::malformed())?;
    let mut slots = stored_slots(&admin, class.id).await?;
    slots.retain(|(slot, _)| *slot != gone);
    save_slots(&admin, &audit, class.id, slots).await?;
    Ok(went(&format!("/admin/classes/{id}"), "slot-removed"))
}

async fn stored_slots(admin: &Admin, class: ClassId) -> Result<Vec<(i64, NewSlot)>, Problem> {
    let slots = admin.store.slots(class).await.map_err(|error| store_problem(&error))?;
    let slots = slots.into_iter().map(|slot| {
        let Slot { id, day, starts_minute, ends_minute, .. } = slot;
        (id, NewSlot { day, starts_minute, ends_minute })
    });
    Ok(slots.collect())
}

async fn save_slots(
    admin: &Admin,
    audit: &Audit,
    class: ClassId,
    slots: Vec<(i64, NewSlot)>,
) -> Result<(), Problem> {
    audit.append(Detail::TimetableChanged { class: AuditClass(class.0) }).await?;
    let slots = slots.into_iter().map(|(_, slot)| slot).collect();
    admin.store.set_slots(class, slots).await.map_err(|error| store_problem(&error))
}
