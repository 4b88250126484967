//! Every page from fixtures, without an appliance: for looking at them and for tests.

use crate::form::{Choice, Control, Field, Form, Weight};
use crate::frame::{Crumb, Flash, Frame, Me, Section, Theme, Tone};
use crate::page::{
    Action, Certificate, Class, ClassRow, Classes, Erase, Evidence, FormPage, Guide, Home,
    ImportPreview, Imported, Member, Page, Pager, People, Person, PersonRow, PlainForm, Problem,
    Record, RecordAbout, RecordRow, Roster, Secret, Settings, SettingsGroup, SheetRow, SignIn,
    Slot, Status, Todo,
};

const FINGERPRINT: &str = "3F:0A:91:5C:7E:22:B8:D4 19:6F:A3:5B:C0:8E:47:12 9D:E1:64:7B:0C:58:F2:36 AB:91:4D:E7:23:8F:50:CA";

/// Every page: its name and its document.
pub fn pages() -> Vec<(&'static str, String)> {
    let mut pages = vec![
        ("sign-in", sign_in(None).html()),
        ("sign-in-wrong", sign_in(Some((Tone::Danger, "The password is not right."))).html()),
        ("sign-in-throttled", sign_in(Some((Tone::Warn, "Wait 30 seconds."))).html()),
        ("step-up", step_up().html()),
        ("password", password().html()),
        ("problem", problem().html()),
        ("home", home().html()),
        ("people", people(true).html()),
        ("people-empty", people(false).html()),
        ("person-new", person_new().html()),
        ("person", person().html()),
        ("erase", erase().html()),
        ("secret", secret().html()),
        ("import", import().html()),
        ("import-preview", import_preview().html()),
        ("imported", imported().html()),
        ("classes", classes(true).html()),
        ("classes-empty", classes(false).html()),
        ("class", class().html()),
        ("settings", settings().html()),
        ("record", record(true).html()),
        ("record-empty", record(false).html()),
        ("evidence", evidence().html()),
        ("certificate", certificate().html()),
    ];
    pages.extend(crate::connections::gallery::pages());
    pages
}

fn plain(title: &str) -> Frame {
    Frame {
        title: title.to_owned(),
        place: "Lakeside Unified School District".to_owned(),
        path: "/sign-in".to_owned(),
        ..Frame::default()
    }
}

pub(crate) fn shell(section: Section, title: &str, crumbs: Vec<Crumb>) -> Frame {
    Frame {
        me: Some(Me { name: "Robin Okafor".to_owned(), csrf: "c5RfT0k3n".to_owned() }),
        section: Some(section),
        crumbs,
        path: section.href().to_owned(),
        theme: Theme::Device,
        ..plain(title)
    }
}

fn good(text: &str) -> Flash {
    Flash { tone: Tone::Good, text: text.to_owned() }
}

fn sign_in(flash: Option<(Tone, &str)>) -> SignIn {
    let flash = flash.map(|(tone, text)| Flash { tone, text: text.to_owned() });
    SignIn {
        form: Form::new("/sign-in", "Sign in")
            .hidden("next", "/")
            .field(
                Field::new("username", "User name", Control::Text)
                    .value(if flash.is_some() { "r.okafor" } else { "" })
                    .autocomplete("username")
                    .code(),
            )
            .field(
                Field::new("password", "Password", Control::Password)
                    .autocomplete("current-password"),
            ),
        frame: Frame { flash, ..plain("Sign in") },
    }
}

fn step_up() -> PlainForm {
    PlainForm {
        frame: plain("Confirm that it is you"),
        intro: "Enter your password again; it counts for ten minutes.".to_owned(),
        form: Form::new("/step-up", "Continue").cancel("/admin").field(Field::new(
            "password",
            "Password",
            Control::Password,
        )),
    }
}

fn password() -> PlainForm {
    PlainForm {
        frame: plain("Choose a password"),
        intro: "Use at least 12 characters.".to_owned(),
        form: Form::new("/account/password", "Save the password")
            .field(Field::new("current", "Password now", Control::Password))
            .field(
                Field::new("new", "New password", Control::Password)
                    .help("Several words are easy to remember.")
                    .error(Some("The password is too short. Use at least 12 characters.".into())),
            ),
    }
}

fn problem() -> Problem {
    Problem {
        frame: plain("That did not work"),
        text: "There is nothing at this address.".to_owned(),
        status: "404".to_owned(),
        code: "not_found".to_owned(),
    }
}

fn home() -> Home {
    Home {
        frame: shell(Section::Home, "Overview", Vec::new()),
        status: Status {
            lessons: 4,
            participants: 87,
            people: 412,
            teachers: 31,
            students: 378,
            admins: 3,
            classes: 26,
            certificate_state: "Valid until 24 December 2027".to_owned(),
            certificate_soon: false,
            fingerprint: FINGERPRINT.to_owned(),
        },
        todo: vec![Todo {
            icon: "shield",
            href: "/admin/certificate".to_owned(),
            label: "Let devices trust this appliance".to_owned(),
            text: "Install the certificate on the school's devices.".to_owned(),
        }],
    }
}

fn role_choices() -> Vec<Choice> {
    vec![Choice::new("teacher", "Teacher"), Choice::new("student", "Student")]
}

fn people(any: bool) -> People {
    let row = |id, name: &str, username: &str, role: &str, state: &str, state_class| PersonRow {
        id,
        name: name.to_owned(),
        username: username.to_owned(),
        role: role.to_owned(),
        state: state.to_owned(),
        state_class,
    };
    let rows = vec![
        row(1, "Amara Nwosu", "a.nwosu", "Student", "Active", "good"),
        row(
            2,
            "Bartholomew Featherstonehaugh-Montgomery",
            "b.featherstonehaugh",
            "Student",
            "Has a starting password",
            "warn",
        ),
        row(3, "Chen Wei", "c.wei", "Teacher", "Active", "good"),
        row(4, "Dilnoza Karimova", "d.karimova", "Student", "Switched off", "danger"),
        row(5, "Robin Okafor", "r.okafor", "Administrator", "Active", "good"),
    ];
    People {
        frame: Frame {
            flash: any.then(|| good("The account was added.")),
            ..shell(Section::People, "People", Vec::new())
        },
        search: Field::new("q", "Name or user name", Control::Search).optional(),
        filtered: !any,
        rows: if any { rows } else { Vec::new() },
        pager: Pager {
            text: "1 to 5 of 412".to_owned(),
            previous: None,
            next: Some("/admin/people?page=2".to_owned()),
        },
    }
}

fn person_form(action: &str, submit: &str) -> Form {
    Form::new(action, submit)
        .csrf("c5RfT0k3n")
        .field(
            Field::new("name", "Name", Control::Text)
                .value("Amara Nwosu")
                .help("As it is shown in lessons."),
        )
        .field(
            Field::new("username", "User name", Control::Text)
                .value("a.nwosu")
                .code()
                .error(Some("This user name is taken. Choose another one.".to_owned())),
        )
        .field(Field::new("role", "Role", Control::Select(role_choices())).value("student"))
}

fn person_new() -> FormPage {
    FormPage {
        frame: Frame {
            flash: Some(Flash { tone: Tone::Danger, text: "Some entries need you.".to_owned() }),
            ..shell(Section::People, "Add a person", vec![Crumb::section(Section::People)])
        },
        intro: "The first password is made here and shown once.".to_owned(),
        form: person_form("/admin/people/new", "Add and show the password").cancel("/admin/people"),
    }
}

fn person() -> Person {
    Person {
        frame: shell(Section::People, "Amara Nwosu", vec![Crumb::section(Section::People)]),
        disabled: false,
        form: person_form("/admin/people/1", "Save"),
        reset: Form::new("/admin/people/1/password", "New password").weight(Weight::Plain),
        toggle: Some(Form::new("/admin/people/1/disable", "Switch off").weight(Weight::Danger)),
        erase_href: Some("/admin/people/1/erase".to_owned()),
        record_href: "/admin/record?about=p5".to_owned(),
    }
}

fn erase() -> Erase {
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    let field = Field::new("username", "Type the user name amara.n", Control::Text)
        .code()
        .error(Some("This is not the user name of the person to be erased.".to_owned()));
    Erase {
        frame: shell(Section::People, "Erase Amara Nwosu?", vec![Crumb::section(Section::People)]),
        intro: "This cannot be undone by anybody.".to_owned(),
        goes: lines(&["The account", "Chat messages"]),
        stays: lines(&["The entries of the audit log", "What has left the appliance"]),
        heading: "Step 2 of 2: make sure".to_owned(),
        form: Form::new("/admin/people/1/erase", "Erase for good")
            .weight(Weight::Danger)
            .field(field)
            .cancel("/admin/people/1"),
    }
}

fn secret() -> Secret {
    Secret {
        frame: shell(Section::People, "New password", vec![Crumb::section(Section::People)]),
        name: "Amara Nwosu".to_owned(),
        username: "a.nwosu".to_owned(),
        password: "tunic-hazel-orbit-46".to_owned(),
        done: "/admin/people/1".to_owned(),
    }
}

fn import() -> FormPage {
    FormPage {
        frame: shell(
            Section::People,
            "Take over a list of people",
            vec![Crumb::section(Section::People)],
        ),
        intro: "A CSV file with the columns name and username.".to_owned(),
        form: Form::new("/admin/people/import", "Check the file").upload().field(
            Field::new("file", "CSV file", Control::File).error(Some("Choose a file.".to_owned())),
        ),
    }
}

fn sheet(last: &str) -> Vec<SheetRow> {
    [
        ("Amara Nwosu", "a.nwosu"),
        ("Bartholomew Featherstonehaugh-Montgomery", "b.featherstonehaugh"),
    ]
    .map(|(name, username)| SheetRow {
        name: name.to_owned(),
        username: username.to_owned(),
        last: last.to_owned(),
    })
    .into()
}

fn import_preview() -> ImportPreview {
    ImportPreview {
        frame: shell(
            Section::People,
            "What the file would do",
            vec![Crumb::section(Section::People)],
        ),
        summary: "Lines: 31. New accounts: 29.".to_owned(),
        classes: "Latin 8a, Latin 8b".to_owned(),
        errors: vec!["Line 7: Enter a name.".to_owned()],
        rows: sheet("Student"),
        more: 27,
        apply: Some(Form::new("/admin/people/import/apply", "Take it over")),
    }
}

fn imported() -> Imported {
    Imported {
        frame: shell(
            Section::People,
            "The list was taken over",
            vec![Crumb::section(Section::People)],
        ),
        rows: sheet("mgr7-x2wd4-9qbt"),
        done: "/admin/people".to_owned(),
    }
}

fn classes(any: bool) -> Classes {
    let row = |id, name: &str, band: &str, teachers: &str, students| ClassRow {
        id,
        name: name.to_owned(),
        band: band.to_owned(),
        teachers: teachers.to_owned(),
        students,
        archived: id == 2,
    };
    let rows = vec![
        row(1, "Mathematics 7b", "Grades 6 to 12", "Chen Wei", 30),
        row(2, "Reading circle", "Up to grade 5", "Chen Wei, Maria da Silva", 12),
    ];
    Classes {
        frame: shell(Section::Classes, "Classes", Vec::new()),
        rows: if any { rows } else { Vec::new() },
    }
}

fn remove(action: &str) -> Form {
    Form::new(action, "Remove").of("Chen Wei").weight(Weight::Quiet)
}

fn roster(id: &'static str, title: &str, any: bool) -> Roster {
    let member = Member {
        id: 3,
        name: "Chen Wei".to_owned(),
        username: "c.wei".to_owned(),
        remove: remove("/admin/classes/1/remove"),
    };
    Roster {
        id,
        title: title.to_owned(),
        none: "Nobody yet.".to_owned(),
        members: if any { vec![member] } else { Vec::new() },
        add: Form::new(format!("/admin/classes/1/{id}"), format!("Add {id}"))
            .weight(Weight::Plain)
            .field(
                Field::new("usernames", format!("Add {id}"), Control::Area { rows: 3 })
                    .within(id)
                    .help("User names, one on each line."),
            ),
    }
}

fn class() -> Class {
    let days = vec![Choice::new("1", "Monday"), Choice::new("2", "Tuesday")];
    Class {
        frame: shell(Section::Classes, "Mathematics 7b", vec![Crumb::section(Section::Classes)]),
        form: Form::new("/admin/classes/1", "Save")
            .field(Field::new("name", "Name of the class", Control::Text).value("Mathematics 7b")),
        rosters: vec![roster("teachers", "Teachers", true), roster("students", "Students", false)],
        slots: vec![Slot {
            label: "Monday, 09:45 to 10:30".to_owned(),
            change: "/admin/classes/1/slots/1".to_owned(),
            remove: Form::new("/admin/classes/1/slots/1/remove", "Remove")
                .of("Monday, 09:45 to 10:30")
                .weight(Weight::Quiet),
        }],
        add_slot: Form::new("/admin/classes/1/slots", "Add the time")
            .weight(Weight::Plain)
            .inline()
            .field(Field::new("day", "Day", Control::Select(days)))
            .field(Field::new("date", "Date", Control::Date).optional())
            .field(Field::new("start", "From", Control::Time).value("09:45"))
            .field(Field::new("end", "To", Control::Time)),
        archived: true,
        actions: vec![
            Action::form(
                "Puts the class back.".to_owned(),
                Form::new("/admin/classes/1/restore", "Restore").weight(Weight::Plain),
            ),
            Action::link(
                "Deletes the class for good.".to_owned(),
                "/admin/classes/1/delete".to_owned(),
                "Delete".to_owned(),
            )
            .danger(),
        ],
        record_href: "/admin/record?about=c3".to_owned(),
    }
}

fn settings() -> Settings {
    let form = Form::new("/admin/settings", "Save lessons")
        .field(
            Field::new("lesson.grace", "Grace time", Control::Number { min: 10, max: 600 })
                .value("5")
                .help("Seconds that a lesson stays open after its teacher's connection is lost.")
                .default_is("120")
                .error(Some("Enter a number from 10 to 600.".to_owned())),
        )
        .field(
            Field::new("lesson.focus", "Focus mode up to grade 5", Control::Check)
                .value("on")
                .help("Students see the teacher only."),
        )
        .field(
            Field::new("mail.password", "Mail password", Control::Secret { is_set: true })
                .help("Kept encrypted."),
        );
    Settings {
        frame: shell(Section::Settings, "Settings", Vec::new()),
        groups: vec![SettingsGroup { title: "Lessons".to_owned(), form }],
    }
}

fn record(any: bool) -> Record {
    let row = |seq, actor: &str, text: &str, refused: bool| RecordRow {
        seq,
        at: "22 November 2026, 13:05:09".to_owned(),
        at_iso: "2026-11-22T13:05:09Z".to_owned(),
        actor: actor.to_owned(),
        actor_href: actor.starts_with('A').then(|| "/admin/record?about=p5".to_owned()),
        text: text.to_owned(),
        beside: refused.then(|| "Typed: kim.l".to_owned()),
        refused,
    };
    let rows = vec![
        row(1042, "Ada Okafor", "set a new password for Kim Lee", false),
        row(1041, "Not signed in", "could not sign in as Kim Lee: wrong password", true),
        row(1040, "Appliance", "started, release 0.1.0", false),
    ];
    Record {
        frame: shell(Section::Record, "Audit log", Vec::new()),
        search: vec![
            Field::new("kind", "Kind", Control::Select(vec![Choice::new("", "Everything")])),
            Field::new("since", "From", Control::Date).optional(),
        ],
        about: any.then(|| RecordAbout {
            value: "p5".to_owned(),
            label: "Only what is about Ada Okafor".to_owned(),
        }),
        filtered: any,
        rows: if any { rows } else { Vec::new() },
        pager: Pager {
            text: "Entries 1042 to 1040".to_owned(),
            previous: Some("/admin/record".to_owned()),
            next: Some("/admin/record?before=1040".to_owned()),
        },
    }
}

fn evidence() -> Evidence {
    let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Evidence {
        frame: shell(Section::Record, "Evidence", Vec::new()),
        facts: vec![fact("Entries", "1042"), fact("Fingerprint", "SHA256:Qm9vIQ")],
        verify: Form::new("/admin/record/verify", "Check the whole log").csrf("token"),
        export: Form::new("/admin/record/evidence", "Take evidence").csrf("token").download(),
    }
}

fn certificate() -> Certificate {
    Certificate {
        frame: shell(Section::Certificate, "Certificate", Vec::new()),
        state: "Valid until 24 December 2027".to_owned(),
        soon: false,
        names: "class.lakeside.example, 10.20.0.5".to_owned(),
        fingerprint: FINGERPRINT.to_owned(),
        guides: vec![Guide {
            title: "Chromebooks (Google Admin console)".to_owned(),
            text: "Devices, Networks, Certificates, Add certificate.".to_owned(),
        }],
    }
}
