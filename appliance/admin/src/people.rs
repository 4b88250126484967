//! Accounts: the list, one account, making and switching off, new passwords.

use axum::extract::{Path, State};
use axum::response::Response;
use belfry_admin_ui::{
    Choice, Control, Field, Flash, Form, FormPage, Pager, PersonRow, Secret, Section, Weight, say,
    say_with,
};
use belfry_http::{Audit, Caller, Fields, Problem, now};
use belfry_identity::{
    AccountChange, Created, Error, NameError, NewAccount, SignedIn, USERNAME_CHARS_MAX,
};
use belfry_ledger::About;
use belfry_model::limits::NAME_CHARS_MAX;
use belfry_model::{PersonId, Pii, Role};
use belfry_store::Person;

use crate::reader::{Reader, attention, danger, refused, shown, went};
use crate::record;
use crate::{Admin, identity_problem, name_error, signed_in, store_problem};

/// Accounts on one page of the list.
const PAGE_ROWS: u32 = 50;

pub(crate) fn role_label(role: Role) -> String {
    match role {
        Role::Admin => say("role-admin"),
        Role::Auditor => say("role-auditor"),
        Role::Teacher => say("role-teacher"),
        Role::Student => say("role-student"),
    }
}

pub(crate) async fn list(
    State(admin): State<Admin>,
    caller: Caller,
    reader: Reader,
) -> Result<Response, Problem> {
    let search = reader.query.text("q").to_owned();
    let page: u32 = reader.query.text("page").parse().unwrap_or(1).clamp(1, u32::MAX / PAGE_ROWS);
    let offset = (page - 1) * PAGE_ROWS;
    let wanted = (!search.is_empty()).then(|| Pii::new(search.clone()));
    let found = admin.store.people(caller.school, wanted, offset, PAGE_ROWS).await;
    let found = found.map_err(|error| store_problem(&error))?;
    let shown_to = u64::from(offset) + found.people.len() as u64;
    let href = |page: u32| format!("/admin/people?page={page}&q={}", query_value(&search));
    let (from, to, total) = (u64::from(offset) + 1, shown_to, found.total);
    let pager = Pager {
        text: say_with("pager-range", &[("from", from), ("to", to), ("total", total)]),
        previous: (page > 1).then(|| href(page - 1)),
        next: (shown_to < found.total).then(|| href(page + 1)),
    };
    Ok(shown(&belfry_admin_ui::People {
        frame: reader.section(Section::People),
        filtered: !search.is_empty(),
        search: Field::new("q", say("people-search"), Control::Search).value(search).optional(),
        rows: found.people.into_iter().map(row).collect(),
        pager,
    }))
}

/// Text as a value of a query.
fn query_value(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn row(person: Person) -> PersonRow {
    let (state, state_class) = match (person.disabled, person.must_change) {
        (true, _) => (say("person-disabled"), "danger"),
        (false, true) => (say("person-must-change"), "warn"),
        (false, false) => (say("person-active"), "good"),
    };
    PersonRow {
        id: person.id.0,
        name: person.name.into_inner(),
        username: person.username.into_inner(),
        role: role_label(person.role),
        state,
        state_class,
    }
}

/// What was entered and what is wrong with it.
#[derive(Debug, Default)]
struct Entered {
    name: String,
    username: String,
    role: String,
    name_error: Option<String>,
    username_error: Option<String>,
    role_error: Option<String>,
}

impl Entered {
    fn of(person: &Person) -> Self {
        Self {
            name: person.name.reveal().clone(),
            username: person.username.reveal().clone(),
            role: person.role.as_str().to_owned(),
            ..Self::default()
        }
    }

    /// The entries and the role, or the entries with what is wrong.
    fn read(form: &Fields) -> Result<(Self, Role), Box<Self>> {
        let mut entered = Self {
            name: form.text("name").to_owned(),
            username: form.text("username").to_owned(),
            role: form.text("role").to_owned(),
            ..Self::default()
        };
        entered.name_error = name_error(&entered.name);
        let username = belfry_identity::normalise_username(&entered.username);
        entered.username_error = username.err().map(username_text);
        let role = Role::parse(&entered.role);
        entered.role_error = role.is_none().then(|| say("error-role"));
        match role {
            Some(role) if entered.name_error.is_none() && entered.username_error.is_none() => {
                Ok((entered, role))
            }
            _ => Err(Box::new(entered)),
        }
    }

    /// Adds what the account's owner crate found wrong; what is no matter of an entry is a problem.
    fn refused_by(mut self, error: &Error) -> Result<Self, Problem> {
        match error {
            Error::UsernameTaken => self.username_error = Some(say("error-username-taken")),
            Error::Name(NameError::Character) => self.name_error = Some(say("error-name-form")),
            Error::Name(_) => self.name_error = name_error(&self.name),
            Error::LastAdmin => self.role_error = Some(say("error-last-admin")),
            error => return Err(identity_problem(error)),
        }
        Ok(self)
    }

    fn into_form(self, action: String, submit: String, csrf: String) -> Form {
        let roles = Role::ALL.map(|role| Choice::new(role.as_str(), role_label(role)));
        Form::new(action, submit)
            .csrf(csrf)
            .field(
                Field::new("name", say("person-name"), Control::Text)
                    .value(self.name)
                    .help(say("person-name-help"))
                    .autocomplete("off")
                    .error(self.name_error),
            )
            .field(
                Field::new("username", say("person-username"), Control::Text)
                    .value(self.username)
                    .help(say("person-username-help"))
                    .autocomplete("off")
                    .code()
                    .error(self.username_error),
            )
            .field(
                Field::new("role", say("person-role"), Control::Select(roles.into()))
                    .value(self.role)
                    .help(say("person-role-help"))
                    .error(self.role_error),
            )
    }
}

pub(crate) fn username_text(error: NameError) -> String {
    match error {
        NameError::Empty => say("error-username-empty"),
        NameError::TooLong | NameError::Character => say_with(
            "error-username-form",
            &[("max", USERNAME_CHARS_MAX.min(NAME_CHARS_MAX) as u64)],
        ),
    }
}

fn new_page(reader: &Reader, entered: Entered, flash: Option<Flash>) -> FormPage {
    let mut frame = reader.below(Section::People, say("person-new-title"));
    frame.flash = flash;
    let action = "/admin/people/new".to_owned();
    let form = entered.into_form(action, say("person-new-go"), reader.csrf());
    FormPage { frame, intro: say("person-new-intro"), form: form.cancel("/admin/people") }
}

pub(crate) async fn new(reader: Reader) -> Response {
    let entered = Entered { role: Role::Student.as_str().to_owned(), ..Entered::default() };
    shown(&new_page(&reader, entered, None))
}

pub(crate) async fn create(
    State(admin): State<Admin>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let (entered, role) = match Entered::read(&form) {
        Ok(read) => read,
        Err(entered) => return Ok(refused(&new_page(&reader, *entered, Some(attention())))),
    };
    audit.keep();
    let account = NewAccount {
        school: caller.school,
        username: Pii::new(entered.username.clone()),
        name: Pii::new(entered.name.clone()),
        role,
    };
    match admin.identity.create_account(signed_in(&caller)?, account, now()).await {
        Ok(created) => secret(&admin, &reader, &created).await,
        Err(error) => {
            Ok(refused(&new_page(&reader, entered.refused_by(&error)?, Some(attention()))))
        }
    }
}

/// The page that shows a password, once.
async fn secret(admin: &Admin, reader: &Reader, created: &Created) -> Result<Response, Problem> {
    let person = admin.store.person(created.person).await.map_err(|error| store_problem(&error))?;
    let person = person.ok_or_else(Problem::not_found)?;
    Ok(shown(&Secret {
        frame: reader.below(Section::People, say("secret-title")),
        name: person.name.into_inner(),
        username: person.username.into_inner(),
        password: created.password.to_string(),
        done: format!("/admin/people/{}", person.id),
    }))
}

/// The account, if it is of the reader's school.
pub(crate) async fn find(admin: &Admin, caller: &Caller, id: i64) -> Result<Person, Problem> {
    let person = admin.store.person(PersonId(id)).await.map_err(|error| store_problem(&error))?;
    person.filter(|person| person.school == caller.school).ok_or_else(Problem::not_found)
}

fn page(
    reader: &Reader,
    who: &SignedIn,
    person: &Person,
    entered: Entered,
) -> belfry_admin_ui::Person {
    let path = format!("/admin/people/{}", person.id);
    let action = |name: &str, label, weight| {
        Form::new(format!("{path}/{name}"), label).csrf(reader.csrf()).weight(weight)
    };
    let toggle = if person.disabled {
        action("enable", say("person-enable"), Weight::Plain)
    } else {
        action("disable", say("person-disable"), Weight::Danger)
    };
    belfry_admin_ui::Person {
        frame: reader.below(Section::People, person.name.reveal().clone()),
        disabled: person.disabled,
        form: entered.into_form(path.clone(), say("person-save"), reader.csrf()),
        reset: action("password", say("person-reset"), Weight::Plain),
        toggle: (who.person != person.id).then_some(toggle),
        erase_href: (who.person != person.id).then(|| format!("{path}/erase")),
        record_href: record::about(About::Person(person.id.0)),
    }
}

pub(crate) async fn show(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    reader: Reader,
) -> Result<Response, Problem> {
    let person = find(&admin, &caller, id).await?;
    Ok(shown(&page(&reader, signed_in(&caller)?, &person, Entered::of(&person))))
}

pub(crate) async fn change(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let who = signed_in(&caller)?;
    let person = find(&admin, &caller, id).await?;
    let again = |entered| {
        let mut page = page(&reader, who, &person, entered);
        page.frame.flash = Some(attention());
        refused(&page)
    };
    let (mut entered, role) = match Entered::read(&form) {
        Ok(read) => read,
        Err(entered) => return Ok(again(*entered)),
    };
    if person.id == who.person && role != person.role {
        entered.role_error = Some(say("error-own-account"));
        return Ok(again(entered));
    }
    audit.keep();
    let change = AccountChange {
        username: Pii::new(entered.username.clone()),
        name: Pii::new(entered.name.clone()),
        role,
    };
    match admin.identity.change_account(who, person.id, change, now()).await {
        Ok(()) => Ok(went(&format!("/admin/people/{id}"), "person-saved")),
        Err(error) => Ok(again(entered.refused_by(&error)?)),
    }
}

pub(crate) async fn disable(
    state: State<Admin>,
    id: Path<i64>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
) -> Result<Response, Problem> {
    set_disabled(state, id, &caller, &reader, &audit, true).await
}

pub(crate) async fn enable(
    state: State<Admin>,
    id: Path<i64>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
) -> Result<Response, Problem> {
    set_disabled(state, id, &caller, &reader, &audit, false).await
}

async fn set_disabled(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: &Caller,
    reader: &Reader,
    audit: &Audit,
    disabled: bool,
) -> Result<Response, Problem> {
    let who = signed_in(caller)?;
    let person = find(&admin, caller, id).await?;
    let not = |key| {
        let mut page = page(reader, who, &person, Entered::of(&person));
        page.frame.flash = Some(danger(say(key)));
        refused(&page)
    };
    if person.id == who.person {
        return Ok(not("error-own-account"));
    }
    audit.keep();
    match admin.identity.set_disabled(who, person.id, disabled, now()).await {
        Ok(()) => {
            let done = if disabled { "person-disabled" } else { "person-enabled" };
            Ok(went(&format!("/admin/people/{id}"), done))
        }
        Err(Error::LastAdmin) => Ok(not("error-last-admin")),
        Err(error) => Err(identity_problem(&error)),
    }
}

pub(crate) async fn reset_password(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
) -> Result<Response, Problem> {
    let person = find(&admin, &caller, id).await?;
    audit.keep();
    let reset = admin.identity.reset_password(signed_in(&caller)?, person.id, now()).await;
    let created = reset.map_err(|error| identity_problem(&error))?;
    secret(&admin, &reader, &created).await
}
