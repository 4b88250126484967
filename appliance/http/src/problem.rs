//! Error answers, made in one place.
//!
//! A handler returns a [`Problem`]; the gate turns it into a page or into JSON, as the route's
//! kind and the request's `Accept` ask.

use std::borrow::Cow;

use axum::response::{Html, IntoResponse, Response};
use belfry_admin_ui::{Frame, Page as _, Theme, say};
use http::StatusCode;

/// An error answer: the status, a stable code for programs and a sentence for the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub text: Cow<'static, str>,
    /// After how many seconds it is worth trying again.
    pub retry_after_secs: Option<u32>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, text: text.into(), retry_after_secs: None }
    }

    #[must_use]
    pub fn retry_after_secs(mut self, seconds: u32) -> Self {
        self.retry_after_secs = Some(seconds);
        self
    }

    pub fn sign_in_needed() -> Self {
        Self::known(StatusCode::UNAUTHORIZED, "sign_in_needed")
    }

    pub fn forbidden() -> Self {
        Self::known(StatusCode::FORBIDDEN, "forbidden")
    }

    pub fn not_found() -> Self {
        Self::known(StatusCode::NOT_FOUND, "not_found")
    }

    pub fn method_not_allowed() -> Self {
        Self::known(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
    }

    pub fn step_up_needed() -> Self {
        Self::known(StatusCode::FORBIDDEN, "step_up_needed")
    }

    pub fn password_change_needed() -> Self {
        Self::known(StatusCode::FORBIDDEN, "password_change_needed")
    }

    /// A form that did not come from our own page, or whose session has changed since.
    pub fn foreign_request() -> Self {
        Self::known(StatusCode::FORBIDDEN, "foreign_request")
    }

    pub fn malformed() -> Self {
        Self::known(StatusCode::BAD_REQUEST, "malformed")
    }

    pub fn too_large() -> Self {
        Self::known(StatusCode::PAYLOAD_TOO_LARGE, "too_large")
    }

    pub fn timed_out() -> Self {
        Self::known(StatusCode::SERVICE_UNAVAILABLE, "timed_out")
    }

    /// Something of ours that should work does not; `what` goes to the log only.
    pub fn internal(what: &str) -> Self {
        tracing::error!(what, "request failed");
        Self::known(StatusCode::INTERNAL_SERVER_ERROR, "internal")
    }

    /// Something of ours failed with an error whose chain goes to the log only.
    pub fn failed(what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            chain.push_str(": ");
            chain.push_str(&cause.to_string());
            source = cause.source();
        }
        tracing::error!(what, error = chain, "request failed");
        Self::known(StatusCode::INTERNAL_SERVER_ERROR, "internal")
    }

    /// Too much at once; the same request may work in a moment.
    pub fn busy() -> Self {
        Self::known(StatusCode::SERVICE_UNAVAILABLE, "busy").retry_after_secs(1)
    }

    /// The audit log cannot be written, so nothing that must be in it can be done.
    pub fn unavailable() -> Self {
        Self::known(StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    }

    fn known(status: StatusCode, code: &'static str) -> Self {
        let key = match code {
            "sign_in_needed" => "problem-sign-in-needed",
            "forbidden" => "problem-forbidden",
            "not_found" => "problem-not-found",
            "method_not_allowed" => "problem-method-not-allowed",
            "step_up_needed" => "problem-step-up-needed",
            "password_change_needed" => "problem-password-change-needed",
            "foreign_request" => "problem-foreign-request",
            "malformed" => "problem-malformed",
            "too_large" => "problem-too-large",
            "timed_out" => "problem-timed-out",
            "busy" => "problem-busy",
            "unavailable" => "problem-unavailable",
            _ => "problem-internal",
        };
        Self::new(status, code, say(key))
    }

    /// The answer as a page.
    pub(crate) fn html(&self, theme: Theme) -> Response {
        let page = belfry_admin_ui::Problem {
            frame: Frame {
                title: say("problem-title"),
                theme,
                path: "/".to_owned(),
                ..Frame::default()
            },
            text: self.text.clone().into_owned(),
            status: self.status.as_u16().to_string(),
            code: self.code.to_owned(),
        };
        (self.status, Html(page.html())).into_response()
    }

    /// The answer as JSON.
    pub(crate) fn json(&self) -> Response {
        let body = serde_json::json!({ "code": self.code, "text": self.text });
        (self.status, axum::Json(body)).into_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after_secs {
            response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}
