//! Classes: the list, one class, putting it away and deleting it.

use axum::extract::{Path, State};
use axum::response::Response;
use belfry_admin_ui::{
    Action, Choice, ClassRow, Control, Field, Form, FormPage, Section, Weight, say, say_with,
};
use belfry_audit::Class as AuditClass;
use belfry_http::{Audit, Caller, Detail, Fields, Problem, now};
use belfry_ledger::About;
use belfry_model::ClassId;
use belfry_store::{Band, Class, EnrolledAs, Error, NewClass};

use crate::reader::{Reader, attention, danger, refused, shown, went};
use crate::record;
use crate::roster::roster;
use crate::slots::{self, SlotEntry};
use crate::{Admin, name_error, store_problem};

/// What was entered and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Details {
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
        archived: listed.class.archived,
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
pub(crate) struct Entered {
    pub(crate) details: Option<Details>,
    /// For which roster, what was entered, what is wrong.
    pub(crate) roster: Option<(EnrolledAs, String, String)>,
    pub(crate) slot: Option<SlotEntry>,
}

/// The class, if it is of the reader's school.
pub(crate) async fn find(admin: &Admin, caller: &Caller, id: i64) -> Result<Class, Problem> {
    let class = admin.store.class(ClassId(id)).await.map_err(|error| store_problem(&error))?;
    class.filter(|class| class.school == caller.school).ok_or_else(Problem::not_found)
}

pub(crate) async fn page(
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
        slots: slots.iter().map(|slot| slots::view(&path, &csrf, slot)).collect(),
        add_slot: slots::form(&path, &csrf, entered.slot.unwrap_or_default()),
        archived: class.archived,
        actions: actions(&path, &csrf, class),
        record_href: record::about(About::Class(class.id.0)),
    })
}

/// What can be done to the class as a whole.
fn actions(path: &str, csrf: &str, class: &Class) -> Vec<Action> {
    let put_away = if class.archived {
        let form = Form::new(format!("{path}/restore"), say("class-restore"));
        Action::form(say("class-restore-help"), form.csrf(csrf).weight(Weight::Plain))
    } else {
        Action::link(say("class-archive-help"), format!("{path}/archive"), say("class-archive"))
    };
    let delete =
        Action::link(say("class-delete-help"), format!("{path}/delete"), say("class-delete"));
    vec![put_away, delete.danger()]
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

/// Asks before something is done that is not undone with one click.
fn confirm(reader: &Reader, class: &Class, what: Ending) -> FormPage {
    let path = format!("/admin/classes/{}", class.id);
    let values = [("name", class.name.as_str())];
    let (title, intro, go, action) = match what {
        Ending::Archive => (
            say_with("class-archive-title", &values),
            say("class-archive-intro"),
            say("class-archive"),
            format!("{path}/archive"),
        ),
        Ending::Delete => (
            say_with("class-delete-title", &values),
            say("class-delete-intro"),
            say("class-delete"),
            format!("{path}/delete"),
        ),
    };
    let form = Form::new(action, go).csrf(reader.csrf()).weight(Weight::Danger).cancel(path);
    FormPage { frame: reader.below(Section::Classes, title), intro, form }
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Archive,
    Delete,
}

pub(crate) async fn archive_form(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    reader: Reader,
) -> Result<Response, Problem> {
    let class = find(&admin, &caller, id).await?;
    Ok(shown(&confirm(&reader, &class, Ending::Archive)))
}

pub(crate) async fn archive(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    audit: Audit,
) -> Result<Response, Problem> {
    let class = find(&admin, &caller, id).await?;
    audit.append(Detail::ClassArchived { class: AuditClass(id) }).await?;
    set_archived(&admin, &class, true, "class-archived").await
}

pub(crate) async fn restore(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    audit: Audit,
) -> Result<Response, Problem> {
    let class = find(&admin, &caller, id).await?;
    audit.append(Detail::ClassRestored { class: AuditClass(id) }).await?;
    set_archived(&admin, &class, false, "class-restored").await
}

async fn set_archived(
    admin: &Admin,
    class: &Class,
    archived: bool,
    done: &str,
) -> Result<Response, Problem> {
    let set = admin.store.set_archived(class.id, archived, now()).await;
    set.map_err(|error| store_problem(&error))?;
    Ok(went(&format!("/admin/classes/{}", class.id), done))
}

pub(crate) async fn delete_form(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    reader: Reader,
) -> Result<Response, Problem> {
    let class = find(&admin, &caller, id).await?;
    Ok(shown(&confirm(&reader, &class, Ending::Delete)))
}

/// What was held stays in the record; a lesson that is under way is ended first, by its teacher.
pub(crate) async fn delete(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
) -> Result<Response, Problem> {
    let class = find(&admin, &caller, id).await?;
    let running = admin.store.running_lesson(class.id).await;
    if running.map_err(|error| store_problem(&error))?.is_some() {
        let mut page = confirm(&reader, &class, Ending::Delete);
        page.frame.flash = Some(danger(say("error-class-in-lesson")));
        return Ok(refused(&page));
    }
    audit.append(Detail::ClassDeleted { class: AuditClass(id) }).await?;
    admin.store.delete_class(class.id).await.map_err(|error| store_problem(&error))?;
    Ok(went("/admin/classes", "class-deleted"))
}
