//! The pages' static files, and the switch between light and dark.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use belfry_admin_ui::{ASSET_PREFIX, Theme, assets};
use belfry_http::{Fields, Problem, THEME_COOKIE};
use http::header;

/// A year: the name changes with the content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

pub(crate) async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let asset = assets()
        .iter()
        .find(|asset| asset.path.strip_prefix(ASSET_PREFIX) == Some(name.as_str()))
        .ok_or_else(Problem::not_found)?;
    let headers = [(header::CONTENT_TYPE, asset.media_type), (header::CACHE_CONTROL, FOR_EVER)];
    Ok((headers, asset.bytes.as_slice()).into_response())
}

pub(crate) async fn theme(form: Fields) -> Response {
    let theme = Theme::parse(form.text("theme")).as_str();
    let cookie = format!("{THEME_COOKIE}={theme}; Path=/; Secure; SameSite=Lax; Max-Age=31536000");
    ([(header::SET_COOKIE, cookie)], Redirect::to(local(form.text("back")))).into_response()
}

/// The path, if it is one of ours: an address that leads elsewhere is taken for the first page.
pub(crate) fn local(path: &str) -> &str {
    let own = path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if own { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn only_a_path_of_ours_is_followed() {
        assert_eq!(local("/admin/people?q=a"), "/admin/people?q=a");
        for elsewhere in ["", "//evil.test", "/\\evil.test", "https://evil.test", "/a\r\nb", "evil"]
        {
            assert_eq!(local(elsewhere), "/", "{elsewhere}");
        }
    }
}
