//! Erasing a person, in two steps: why, and then the user name typed by hand.

use axum::extract::{Path, State};
use axum::response::Response;
use belfry_admin_ui::{Choice, Control, Erase, Field, Flash, Form, Section, Weight, say, say_with};
use belfry_audit::ErasedBecause;
use belfry_http::{Audit, Caller, Fields, Problem, now};
use belfry_identity::{Error, normalise_username};
use belfry_model::PersonId;
use belfry_store::{Erased, Person};

use crate::people::find;
use crate::reader::{Reader, attention, danger, refused, shown, went};
use crate::{Admin, identity_problem, signed_in};

const REASONS: [(ErasedBecause, &str); 4] = [
    (ErasedBecause::Asked, "erase-reason-asked"),
    (ErasedBecause::NoLongerNeeded, "erase-reason-no-longer-needed"),
    (ErasedBecause::Mistake, "erase-reason-mistake"),
    (ErasedBecause::Ordered, "erase-reason-ordered"),
];

fn reason(word: &str) -> Option<ErasedBecause> {
    REASONS.iter().map(|(reason, _)| *reason).find(|reason| reason.as_str() == word)
}

fn page(reader: &Reader, person: &Person, heading: String, form: Form) -> Erase {
    let name = person.name.reveal().as_str();
    let goes = vec![
        say("erase-goes-account"),
        say("erase-goes-classes"),
        say("erase-goes-chat"),
        say("erase-goes-record"),
        say("erase-goes-copies"),
    ];
    Erase {
        frame: reader.below(Section::People, say_with("erase-title", &[("name", name)])),
        intro: say("erase-intro"),
        goes,
        stays: vec![
            say_with("erase-stays-record", &[("id", person.id.to_string())]),
            say("erase-stays-written"),
            say("erase-stays-elsewhere"),
        ],
        heading,
        form,
    }
}

fn action(person: &Person, reader: &Reader, submit: String) -> Form {
    let path = format!("/admin/people/{}", person.id);
    Form::new(format!("{path}/erase"), submit).csrf(reader.csrf()).cancel(path)
}

/// The first step: why.
fn ask(reader: &Reader, person: &Person, error: Option<String>) -> Erase {
    let first = Choice::new("", say("erase-reason-none"));
    let reasons = REASONS.iter().map(|(reason, key)| Choice::new(reason.as_str(), say(key)));
    let reasons = std::iter::once(first).chain(reasons).collect();
    let form = action(person, reader, say("erase-next")).field(
        Field::new("reason", say("erase-reason"), Control::Select(reasons))
            .help(say("erase-reason-help"))
            .error(error),
    );
    page(reader, person, say("erase-first"), form)
}

/// The second step: the user name, typed by hand.
fn confirm(
    reader: &Reader,
    person: &Person,
    because: ErasedBecause,
    error: Option<String>,
) -> Erase {
    let username = person.username.reveal().as_str();
    let form = action(person, reader, say("erase-go"))
        .weight(Weight::Danger)
        .hidden("reason", because.as_str())
        .hidden("sure", "yes")
        .field(
            Field::new(
                "username",
                say_with("erase-type", &[("username", username)]),
                Control::Text,
            )
            .autocomplete("off")
            .code()
            .error(error),
        );
    page(reader, person, say("erase-second"), form)
}

/// Why it cannot be done now, in words; `None`: that is no matter of the person.
fn against(error: &Error) -> Option<Flash> {
    let key = match error {
        Error::OwnAccount => "error-own-account",
        Error::LastAdmin => "error-last-admin",
        Error::InLesson => "erase-in-lesson",
        _ => return None,
    };
    Some(danger(say(key)))
}

pub(crate) async fn form(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    reader: Reader,
) -> Result<Response, Problem> {
    let person = find(&admin, &caller, id).await?;
    let mut page = ask(&reader, &person, None);
    if let Err(error) = admin.identity.may_erase(signed_in(&caller)?, person.id, now()).await {
        page.frame.flash = Some(against(&error).ok_or_else(|| identity_problem(&error))?);
    }
    Ok(shown(&page))
}

pub(crate) async fn erase(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let who = signed_in(&caller)?;
    let person = find(&admin, &caller, id).await?;
    // Whatever is refused here has changed nothing; what is done, identity records.
    audit.keep();
    let again = |mut page: Erase, flash: Option<Flash>| {
        page.frame.flash = flash;
        Ok(refused(&page))
    };
    let Some(because) = reason(form.text("reason")) else {
        let page = ask(&reader, &person, Some(say("erase-reason-missing")));
        return again(page, Some(attention()));
    };
    if let Err(error) = admin.identity.may_erase(who, person.id, now()).await {
        let flash = against(&error).ok_or_else(|| identity_problem(&error))?;
        return again(ask(&reader, &person, None), Some(flash));
    }
    if form.text("sure") != "yes" {
        return Ok(shown(&confirm(&reader, &person, because, None)));
    }
    if normalise_username(form.text("username")).as_ref() != Ok(&person.username) {
        let page = confirm(&reader, &person, because, Some(say("erase-type-wrong")));
        return again(page, Some(attention()));
    }
    match admin.identity.erase_account(who, PersonId(id), because, now()).await {
        Ok(Erased::Whole) => Ok(went("/admin/people", "person-erased")),
        Ok(Erased::TracesLeft) => Ok(went("/admin/people", "person-erased-traces")),
        Err(error) => {
            let flash = against(&error).ok_or_else(|| identity_problem(&error))?;
            again(confirm(&reader, &person, because, None), Some(flash))
        }
    }
}
