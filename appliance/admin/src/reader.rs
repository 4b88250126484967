//! Who reads a page, and how: the frame that every page is put in.

use axum::extract::FromRequestParts;
use axum::response::{Html, IntoResponse, Redirect, Response};
use belfry_admin_ui::{Crumb, Flash, Frame, Me, Page, Section, Theme, Tone, say};
use belfry_http::{Caller, FORM, Fields, Problem, THEME_COOKIE, cookie};
use belfry_model::{Outside, Role};
use http::StatusCode;
use http::request::Parts;

use crate::Admin;
use crate::store_problem;

/// The reader of a page.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) caller: Option<Caller>,
    pub(crate) query: Fields,
    theme: Theme,
    path: String,
    place: String,
}

impl FromRequestParts<Admin> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Problem> {
        let caller =
            <Caller as axum::extract::OptionalFromRequestParts<Admin>>::from_request_parts(
                parts, admin,
            )
            .await
            .unwrap_or_default();
        let query = parts.uri.query().unwrap_or_default();
        let query = FORM.parse(Outside::new(query.as_bytes())).map_err(|_| Problem::malformed())?;
        let place = admin.store.district().await.map_err(|error| store_problem(&error))?;
        Ok(Self {
            caller,
            query,
            theme: cookie(&parts.headers, THEME_COOKIE).map_or(Theme::Device, Theme::parse),
            path: parts.uri.path().to_owned(),
            place: place.map(|district| district.name).unwrap_or_default(),
        })
    }
}

impl Reader {
    pub(crate) fn csrf(&self) -> String {
        self.caller.as_ref().map(|caller| caller.csrf.clone()).unwrap_or_default()
    }

    pub(crate) fn is_auditor(&self) -> bool {
        self.caller.as_ref().and_then(Caller::role) == Some(Role::Auditor)
    }

    /// The frame of a page outside the administration.
    pub(crate) fn plain(&self, title: String) -> Frame {
        Frame {
            title,
            place: self.place.clone(),
            theme: self.theme,
            path: self.path.clone(),
            auditor: self.is_auditor(),
            me: self.caller.as_ref().map(|caller| Me {
                name: caller.name().reveal().clone(),
                csrf: caller.csrf.clone(),
            }),
            ..Frame::default()
        }
    }

    /// The frame of a section's first page.
    pub(crate) fn section(&self, section: Section) -> Frame {
        Frame {
            section: Some(section),
            flash: self.query.get("done").and_then(done),
            ..self.plain(section.label())
        }
    }

    /// The frame of a page below a section's first page.
    pub(crate) fn below(&self, section: Section, title: String) -> Frame {
        Frame { title, crumbs: vec![Crumb::section(section)], ..self.section(section) }
    }
}

/// The message for what a redirect says was done. The codes are closed: an address cannot put
/// words on a page.
fn done(code: &str) -> Option<Flash> {
    let key = match code {
        "person-saved" => "done-person-saved",
        "person-disabled" => "done-person-disabled",
        "person-enabled" => "done-person-enabled",
        "person-erased" => "done-person-erased",
        "person-erased-traces" => "done-person-erased-traces",
        "class-added" => "done-class-added",
        "class-saved" => "done-class-saved",
        "class-archived" => "done-class-archived",
        "class-restored" => "done-class-restored",
        "class-deleted" => "done-class-deleted",
        "roster-added" => "done-roster-added",
        "roster-removed" => "done-roster-removed",
        "slot-added" => "done-slot-added",
        "slot-changed" => "done-slot-changed",
        "slot-removed" => "done-slot-removed",
        "settings-saved" => "done-settings-saved",
        "password-changed" => "done-password-changed",
        _ => return None,
    };
    let tone = if code == "person-erased-traces" { Tone::Warn } else { Tone::Good };
    Some(Flash { tone, text: say(key) })
}

/// A page.
pub(crate) fn shown(page: &impl Page) -> Response {
    Html(page.html()).into_response()
}

/// A form that was not accepted, with what was entered and what to do.
pub(crate) fn refused(page: &impl Page) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, Html(page.html())).into_response()
}

/// The message above a form that was not accepted.
pub(crate) fn attention() -> Flash {
    danger(say("error-form"))
}

/// A message that says why not.
pub(crate) fn danger(text: String) -> Flash {
    Flash { tone: Tone::Danger, text }
}

/// To the page that shows what was done.
pub(crate) fn went(path: &str, done: &str) -> Response {
    Redirect::to(&format!("{path}?done={done}")).into_response()
}
