//! A list of people taken over: shown first as what it would do, line by line, then done at once.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::response::Response;
use belfry_admin_ui::{
    Control, Field, Form, FormPage, ImportPreview, Imported, Section, SheetRow, say, say_with,
};
use belfry_http::{Audit, Caller, Fields, Files, Problem, now};
use belfry_identity::{IMPORT_NEW_MAX, ImportList, ImportedAccount, normalise_username};
use belfry_model::outside::{Outside, Refusal};
use belfry_model::{Pii, Role};
use belfry_store::{Band, EnrolledAs, Known};

use crate::people::{role_label, username_text};
use crate::reader::{Reader, danger, refused, shown};
use crate::roster_csv::{CSV_BYTES_MAX, CSV_LINES_MAX, Line, ROSTER_CSV, Table, TableError};
use crate::{Admin, identity_problem, name_error, signed_in, store_problem};

/// Lines that a preview shows; all of them are checked.
const PREVIEW_ROWS_MAX: usize = 100;

fn upload_page(reader: &Reader, error: Option<String>) -> FormPage {
    let form = Form::new("/admin/people/import", say("import-check"))
        .csrf(reader.csrf())
        .upload()
        .cancel("/admin/people")
        .field(Field::new("file", say("import-file"), Control::File).error(error));
    let frame = reader.below(Section::People, say("import-title"));
    FormPage { frame, intro: say_with("import-intro", &[("lines", CSV_LINES_MAX as u64)]), form }
}

pub(crate) async fn form(reader: Reader) -> Response {
    shown(&upload_page(&reader, None))
}

/// Shows what a file would do; nothing is kept of it.
pub(crate) async fn preview(
    State(admin): State<Admin>,
    caller: Caller,
    reader: Reader,
    files: Files,
) -> Result<Response, Problem> {
    let bytes = files.get("file").unwrap_or_default();
    if bytes.is_empty() {
        return Ok(refused(&upload_page(&reader, Some(say("error-import-none")))));
    }
    let table = match ROSTER_CSV.parse(Outside::new(bytes)) {
        Ok(table) => table,
        Err(refusal) => return Ok(refused(&upload_page(&reader, Some(refusal_text(&refusal))))),
    };
    let plan = plan(&admin, &caller, &table).await?;
    // The parser has seen that it is UTF-8.
    Ok(shown(&preview_page(&reader, &table, &plan, String::from_utf8_lossy(bytes).into_owned())))
}

fn refusal_text(refusal: &Refusal<TableError>) -> String {
    let source = match refusal {
        Refusal::TooLong { .. } => {
            return say_with("error-import-long", &[("kib", (CSV_BYTES_MAX / 1024) as u64)]);
        }
        Refusal::Malformed { source, .. } => source,
    };
    match source {
        TableError::NotText => say("error-import-text"),
        TableError::NoColumn(name) => say_with("error-import-column", &[("name", *name)]),
        TableError::TooManyLines => {
            say_with("error-import-lines", &[("max", CSV_LINES_MAX as u64)])
        }
        TableError::Line(line) => say_with("error-import-line", &[("line", *line)]),
        TableError::Empty => say("error-import-empty"),
    }
}

/// What a list would do, or what is wrong with it.
#[derive(Debug, Default)]
struct Plan {
    list: ImportList,
    /// Accounts that are there already; they are enrolled, not changed.
    known: BTreeSet<String>,
    /// By line.
    errors: Vec<(u64, String)>,
}

async fn plan(admin: &Admin, caller: &Caller, table: &Table) -> Result<Plan, Problem> {
    let usernames: BTreeSet<String> = table
        .lines
        .iter()
        .filter_map(|line| normalise_username(&line.username).ok().map(Pii::into_inner))
        .collect();
    let classes: BTreeSet<String> =
        table.lines.iter().flat_map(class_names).map(str::to_owned).collect();
    let usernames = usernames.into_iter().map(Pii::new).collect();
    let known = admin.store.known(caller.school, usernames, classes.into_iter().collect()).await;
    let known = known.map_err(|error| store_problem(&error))?;
    let mut plan = Plan::default();
    let mut first: BTreeMap<String, (String, Role)> = BTreeMap::new();
    for line in &table.lines {
        if let Err(text) = plan.take(line, caller, &known, &mut first) {
            plan.errors.push((line.number, text));
        }
    }
    if plan.list.people.len() > IMPORT_NEW_MAX {
        let text = say_with("error-import-new", &[("max", IMPORT_NEW_MAX as u64)]);
        plan.errors.push((0, text));
    }
    Ok(plan)
}

/// Several classes stand in one entry with bars between them.
fn class_names(line: &Line) -> impl Iterator<Item = &str> {
    line.class.split('|').map(str::trim).filter(|name| !name.is_empty())
}

impl Plan {
    fn take(
        &mut self,
        line: &Line,
        caller: &Caller,
        known: &Known,
        first: &mut BTreeMap<String, (String, Role)>,
    ) -> Result<(), String> {
        let username = normalise_username(&line.username).map_err(username_text)?.into_inner();
        if let Some(error) = name_error(&line.name) {
            return Err(error);
        }
        let role = match line.role.to_lowercase().as_str() {
            "" | "student" => Role::Student,
            "teacher" => Role::Teacher,
            _ => return Err(say("error-import-role")),
        };
        match known.people.get(&username) {
            Some(person) if person.school != caller.school || person.role != role => {
                return Err(say_with("error-import-taken", &[("username", username)]));
            }
            Some(_) => drop(self.known.insert(username.clone())),
            None => self.add(line, &username, role, first)?,
        }
        let enrolled_as =
            if role == Role::Teacher { EnrolledAs::Teacher } else { EnrolledAs::Student };
        for class in class_names(line) {
            self.place(line, class, known)?;
            self.list.enrolments.push((Pii::new(username.clone()), class.to_owned(), enrolled_as));
        }
        Ok(())
    }

    /// A new account; the same person may stand on several lines, one for each class.
    fn add(
        &mut self,
        line: &Line,
        username: &str,
        role: Role,
        first: &mut BTreeMap<String, (String, Role)>,
    ) -> Result<(), String> {
        match first.get(username) {
            Some((name, as_role)) if *name == line.name && *as_role == role => Ok(()),
            Some(_) => Err(say_with("error-import-twice", &[("username", username)])),
            None => {
                first.insert(username.to_owned(), (line.name.clone(), role));
                let (username, name) = (Pii::new(username.to_owned()), Pii::new(line.name.clone()));
                self.list.people.push(ImportedAccount { username, name, role });
                Ok(())
            }
        }
    }

    /// The class is there already, or will be.
    fn place(&mut self, line: &Line, class: &str, known: &Known) -> Result<(), String> {
        match known.classes.get(class) {
            Some(true) => return Err(say_with("error-import-archived", &[("name", class)])),
            Some(false) => return Ok(()),
            None => {}
        }
        if let Some(error) = name_error(class) {
            return Err(error);
        }
        let band = match line.band.as_str() {
            "" => Band::Grades6To12,
            text => Band::parse(&text.to_lowercase()).ok_or_else(|| say("error-import-band"))?,
        };
        if !self.list.classes.iter().any(|(name, _)| name == class) {
            self.list.classes.push((class.to_owned(), band));
        }
        Ok(())
    }
}

fn preview_page(reader: &Reader, table: &Table, plan: &Plan, text: String) -> ImportPreview {
    let mut frame = reader.below(Section::People, say("import-preview-title"));
    if !plan.errors.is_empty() {
        frame.flash = Some(danger(say("error-import")));
    }
    let list = &plan.list;
    let apply = Form::new("/admin/people/import/apply", say("import-go"))
        .csrf(reader.csrf())
        .hidden("csv", text)
        .cancel("/admin/people/import");
    let line = |(number, text): &(u64, String)| match number {
        0 => text.clone(),
        number => say_with("import-line", &[("line", number.to_string()), ("text", text.clone())]),
    };
    let row = |person: &ImportedAccount| SheetRow {
        name: person.name.reveal().clone(),
        username: person.username.reveal().clone(),
        last: role_label(person.role),
    };
    ImportPreview {
        frame,
        summary: say_with(
            "import-summary",
            &[
                ("lines", table.lines.len() as u64),
                ("people", list.people.len() as u64),
                ("known", plan.known.len() as u64),
                ("classes", list.classes.len() as u64),
                ("enrolments", list.enrolments.len() as u64),
            ],
        ),
        classes: list.classes.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(", "),
        errors: plan.errors.iter().map(line).collect(),
        rows: list.people.iter().take(PREVIEW_ROWS_MAX).map(row).collect(),
        more: list.people.len().saturating_sub(PREVIEW_ROWS_MAX) as u64,
        apply: plan.errors.is_empty().then_some(apply),
    }
}

/// Does it, and shows the first passwords this once.
pub(crate) async fn apply(
    State(admin): State<Admin>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let text = form.get("csv").unwrap_or_default();
    audit.keep();
    let table = match ROSTER_CSV.parse(Outside::new(text.as_bytes())) {
        Ok(table) => table,
        Err(refusal) => return Ok(refused(&upload_page(&reader, Some(refusal_text(&refusal))))),
    };
    // Something may have changed since it was shown.
    let plan = plan(&admin, &caller, &table).await?;
    if !plan.errors.is_empty() {
        return Ok(refused(&preview_page(&reader, &table, &plan, text.to_owned())));
    }
    let made = admin.identity.import(signed_in(&caller)?, plan.list, now()).await;
    let made = made.map_err(|error| identity_problem(&error))?;
    let row = |first: &belfry_identity::FirstPassword| SheetRow {
        name: first.account.name.reveal().clone(),
        username: first.account.username.reveal().clone(),
        last: first.password.as_str().to_owned(),
    };
    Ok(shown(&Imported {
        frame: reader.below(Section::People, say("import-done-title")),
        rows: made.iter().map(row).collect(),
        done: "/admin/people".to_owned(),
    }))
}
