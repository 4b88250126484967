//! The application's files, embedded.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use belfry_http::{Caller, Problem};
use belfry_identity::Session;
use belfry_model::Role;
use http::{HeaderMap, HeaderValue, header};
use rust_embed::RustEmbed;

use crate::Web;

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/dist"]
struct Dist;

/// Encodings that the client's build may have made beside a file, preferred first.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// The start page. Clients that only look whether the server is there (`HEAD`, from any origin)
/// get an empty answer.
pub(crate) async fn home(caller: Option<Caller>, headers: HeaderMap) -> Response {
    let wants = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if !wants.is_some_and(|accept| accept.contains("text/html")) {
        let any = HeaderValue::from_static("*");
        return ([(header::ACCESS_CONTROL_ALLOW_ORIGIN, any)], ()).into_response();
    }
    let Some(caller) = caller else { return Redirect::to("/sign-in").into_response() };
    match caller.session() {
        Session::Guest(guest) => Redirect::to(&format!("/lesson/{}", guest.lesson)).into_response(),
        Session::Person(person) if person.must_change => {
            Redirect::to("/account/password").into_response()
        }
        Session::Person(person) if person.role == Role::Admin => {
            Redirect::to("/admin").into_response()
        }
        Session::Person(person) if person.role == Role::Auditor => {
            Redirect::to("/admin/record").into_response()
        }
        Session::Person(_) => index(),
    }
}

pub(crate) async fn shell(State(_): State<Web>) -> Response {
    index()
}

fn index() -> Response {
    let page = Dist::get("index.html").expect("the client's build makes index.html");
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    ([(header::CONTENT_TYPE, html)], Body::from(page.data)).into_response()
}

/// A file whose name changes with its content.
pub(crate) async fn file(
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = format!("assets/{path}");
    let plain = Dist::get(&name).ok_or_else(Problem::not_found)?;
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let accepts = accepts.unwrap_or_default();
    let encoded = ENCODINGS.iter().filter(|(encoding, _)| accepts.contains(encoding));
    let encoded = encoded
        .filter_map(|(encoding, suffix)| Some((*encoding, Dist::get(&format!("{name}{suffix}"))?)));
    let (encoding, found) = match encoded.into_iter().next() {
        Some((encoding, found)) => (Some(encoding), found),
        None => (None, plain),
    };
    let mut response = Body::from(found.data).into_response();
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(&name)));
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    answer.insert(header::CACHE_CONTROL, forever);
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    Ok(response)
}

/// The kinds of files that the client's build makes.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("woff2") => "font/woff2",
        Some("wasm") => "application/wasm",
        Some("json" | "webmanifest") => "application/json",
        _ => "application/octet-stream",
    }
}
