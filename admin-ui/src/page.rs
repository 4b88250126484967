//! The pages, one view struct each. Rendering cannot fail but for memory.

use askama::Template;

use crate::form::{Field, Form};
use crate::frame::Frame;

/// A page that can be turned into a document.
pub trait Page {
    fn html(&self) -> String;
}

macro_rules! pages {
    ($($name:ident),* $(,)?) => {$(
        impl Page for $name {
            fn html(&self) -> String {
                self.render().expect("templates write to memory only")
            }
        }
    )*};
}

pages!(
    Evidence,
    SignIn,
    PlainForm,
    Problem,
    FormPage,
    Home,
    Status,
    People,
    Person,
    Erase,
    Secret,
    ImportPreview,
    Imported,
    Classes,
    Class,
    Settings,
    Record,
    Certificate
);

/// The sign-in page.
#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignIn {
    pub frame: Frame,
    pub form: Form,
}

/// A form outside the administration: prove the password, choose a password.
#[derive(Debug, Template)]
#[template(path = "plain_form.html")]
pub struct PlainForm {
    pub frame: Frame,
    pub intro: String,
    pub form: Form,
}

/// An error answer.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub struct Problem {
    pub frame: Frame,
    pub text: String,
    pub status: String,
    pub code: String,
}

/// A page of the administration that is one form.
#[derive(Debug, Template)]
#[template(path = "form_page.html")]
pub struct FormPage {
    pub frame: Frame,
    pub intro: String,
    pub form: Form,
}

/// The first page of the administration.
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub struct Home {
    pub frame: Frame,
    pub status: Status,
    pub todo: Vec<Todo>,
}

/// Something that is left to set up.
#[derive(Debug)]
pub struct Todo {
    pub icon: &'static str,
    pub href: String,
    pub label: String,
    pub text: String,
}

/// The figures of the first page; a fragment that is refreshed by itself.
#[derive(Debug, Template)]
#[template(path = "status.html")]
pub struct Status {
    pub lessons: u64,
    pub participants: u64,
    pub people: u64,
    pub teachers: u64,
    pub students: u64,
    pub admins: u64,
    pub classes: u64,
    pub certificate_state: String,
    pub certificate_soon: bool,
    pub fingerprint: String,
}

/// The list of accounts.
#[derive(Debug, Template)]
#[template(path = "people.html")]
pub struct People {
    pub frame: Frame,
    pub search: Field,
    /// Something was searched for.
    pub filtered: bool,
    pub rows: Vec<PersonRow>,
    pub pager: Pager,
}

#[derive(Debug)]
pub struct PersonRow {
    pub id: i64,
    pub name: String,
    pub username: String,
    pub role: String,
    pub state: String,
    /// `good`, `warn` or `danger`.
    pub state_class: &'static str,
}

/// The way through a long list.
#[derive(Debug, Default, Template)]
#[template(path = "pager.html")]
pub struct Pager {
    pub text: String,
    pub previous: Option<String>,
    pub next: Option<String>,
}

/// One account.
#[derive(Debug, Template)]
#[template(path = "person.html")]
pub struct Person {
    pub frame: Frame,
    pub disabled: bool,
    pub form: Form,
    pub reset: Form,
    /// Disable or enable; nobody can disable the own account.
    pub toggle: Option<Form>,
    /// To the page that asks before all of it is erased; nobody erases the own account.
    pub erase_href: Option<String>,
    /// To what the log says about the person.
    pub record_href: String,
}

/// Asks before a person is erased: what goes and what stays.
#[derive(Debug, Template)]
#[template(path = "erase.html")]
pub struct Erase {
    pub frame: Frame,
    pub intro: String,
    pub goes: Vec<String>,
    pub stays: Vec<String>,
    pub heading: String,
    pub form: Form,
}

/// A new password, shown this once.
#[derive(Debug, Template)]
#[template(path = "secret.html")]
pub struct Secret {
    pub frame: Frame,
    pub name: String,
    pub username: String,
    pub password: String,
    pub done: String,
}

/// What a list of people would do.
#[derive(Debug, Template)]
#[template(path = "import_preview.html")]
pub struct ImportPreview {
    pub frame: Frame,
    pub summary: String,
    /// The new classes.
    pub classes: String,
    pub errors: Vec<String>,
    /// The new accounts; the last column is the role.
    pub rows: Vec<SheetRow>,
    /// How many more there are.
    pub more: u64,
    /// Absent while something is wrong.
    pub apply: Option<Form>,
}

/// First passwords, shown this once, to be printed and cut up.
#[derive(Debug, Template)]
#[template(path = "imported.html")]
pub struct Imported {
    pub frame: Frame,
    pub rows: Vec<SheetRow>,
    pub done: String,
}

#[derive(Debug)]
pub struct SheetRow {
    pub name: String,
    pub username: String,
    pub last: String,
}

/// The list of classes.
#[derive(Debug, Template)]
#[template(path = "classes.html")]
pub struct Classes {
    pub frame: Frame,
    pub rows: Vec<ClassRow>,
}

#[derive(Debug)]
pub struct ClassRow {
    pub id: i64,
    pub name: String,
    pub band: String,
    pub teachers: String,
    pub students: u64,
    pub archived: bool,
}

/// One class: its details, who belongs to it, when it meets.
#[derive(Debug, Template)]
#[template(path = "class.html")]
pub struct Class {
    pub frame: Frame,
    pub form: Form,
    pub rosters: Vec<Roster>,
    pub slots: Vec<Slot>,
    pub add_slot: Form,
    pub archived: bool,
    pub actions: Vec<Action>,
    /// To what the log says about the class.
    pub record_href: String,
}

/// Something that can be done to what a page shows, beside a sentence about it.
#[derive(Debug)]
pub struct Action {
    help: String,
    way: Way,
    danger: bool,
}

#[derive(Debug)]
enum Way {
    Form(Box<Form>),
    /// To a page that asks first.
    Link {
        href: String,
        label: String,
    },
}

impl Action {
    pub fn form(help: String, form: Form) -> Self {
        Self { help, way: Way::Form(Box::new(form)), danger: false }
    }

    pub fn link(help: String, href: String, label: String) -> Self {
        Self { help, way: Way::Link { href, label }, danger: false }
    }

    /// The link is to something that cannot be undone.
    #[must_use]
    pub fn danger(mut self) -> Self {
        self.danger = true;
        self
    }
}

/// The teachers or the students of a class.
#[derive(Debug)]
pub struct Roster {
    pub id: &'static str,
    pub title: String,
    pub none: String,
    pub members: Vec<Member>,
    pub add: Form,
}

#[derive(Debug)]
pub struct Member {
    pub id: i64,
    pub name: String,
    pub username: String,
    pub remove: Form,
}

/// A meeting time.
#[derive(Debug)]
pub struct Slot {
    pub label: String,
    /// The page that changes it.
    pub change: String,
    pub remove: Form,
}

/// All settings, made from their declarations.
#[derive(Debug, Template)]
#[template(path = "settings.html")]
pub struct Settings {
    pub frame: Frame,
    pub groups: Vec<SettingsGroup>,
}

#[derive(Debug)]
pub struct SettingsGroup {
    pub title: String,
    pub form: Form,
}

/// The audit log, newest first.
#[derive(Debug, Template)]
#[template(path = "record.html")]
pub struct Record {
    pub frame: Frame,
    /// What may be looked for, as it is entered now.
    pub search: Vec<Field>,
    pub about: Option<RecordAbout>,
    /// Not the whole log is looked at.
    pub filtered: bool,
    pub rows: Vec<RecordRow>,
    pub pager: Pager,
}

/// Whom or what all entries are about.
#[derive(Debug)]
pub struct RecordAbout {
    /// As the address says it.
    pub value: String,
    pub label: String,
}

#[derive(Debug)]
pub struct RecordRow {
    pub seq: u64,
    pub at: String,
    pub at_iso: String,
    pub actor: String,
    /// To all that the actor did.
    pub actor_href: Option<String>,
    /// What happened, as the rest of a sentence that begins with the actor.
    pub text: String,
    /// What stands beside the entry, and can be erased.
    pub beside: Option<String>,
    pub refused: bool,
}

/// The state of the log, its verification, and an export of evidence.
#[derive(Debug, Template)]
#[template(path = "evidence.html")]
pub struct Evidence {
    pub frame: Frame,
    /// What and which.
    pub facts: Vec<(String, String)>,
    pub verify: Form,
    pub export: Form,
}

/// The appliance's certificate and how devices come to trust it.
#[derive(Debug, Template)]
#[template(path = "certificate.html")]
pub struct Certificate {
    pub frame: Frame,
    pub state: String,
    pub soon: bool,
    pub names: String,
    pub fingerprint: String,
    pub guides: Vec<Guide>,
}

#[derive(Debug)]
pub struct Guide {
    pub title: String,
    pub text: String,
}
