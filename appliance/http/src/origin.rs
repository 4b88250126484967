//! Whether a request comes from our own pages.

use http::{HeaderMap, Uri, header};

/// What the browser says about where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Our own origin, or typed by the person.
    Own,
    /// Another origin, or one that hides itself.
    Foreign,
    /// The client says nothing: not a browser, so it carries no cookie against its will.
    Silent,
}

/// Reads `Sec-Fetch-Site` and `Origin`; one of them speaking against us is enough.
pub(crate) fn of(headers: &HeaderMap, uri: &Uri) -> Origin {
    let site = headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes);
    let origin = headers.get(header::ORIGIN).map(http::HeaderValue::as_bytes);
    let own_site = site.map(|site| matches!(site, b"same-origin" | b"none"));
    let own_origin = origin.map(|origin| is_own(origin, headers, uri));
    match (own_site, own_origin) {
        (Some(false), _) | (_, Some(false)) => Origin::Foreign,
        (None, None) => Origin::Silent,
        _ => Origin::Own,
    }
}

fn is_own(origin: &[u8], headers: &HeaderMap, uri: &Uri) -> bool {
    let host = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes())
        .or_else(|| headers.get(header::HOST).map(http::HeaderValue::as_bytes));
    let Some(host) = host else { return false };
    // Everything is served over TLS, so an own origin is always https.
    origin.strip_prefix(b"https://").is_some_and(|authority| {
        without_default_port(authority).eq_ignore_ascii_case(without_default_port(host))
    })
}

fn without_default_port(authority: &[u8]) -> &[u8] {
    authority.strip_suffix(b":443").unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Uri};

    use super::{Origin, of};

    fn check(pairs: &[(&'static str, &'static str)], expect: Origin) {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("Class.example:8443"));
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        assert_eq!(of(&headers, &Uri::from_static("/sign-in")), expect, "{pairs:?}");
    }

    #[test]
    fn only_our_own_origin_passes() {
        check(&[], Origin::Silent);
        check(&[("origin", "https://class.example:8443")], Origin::Own);
        check(&[("sec-fetch-site", "same-origin")], Origin::Own);
        check(&[("sec-fetch-site", "none")], Origin::Own);
        check(&[("sec-fetch-site", "same-site")], Origin::Foreign);
        check(&[("sec-fetch-site", "cross-site")], Origin::Foreign);
        check(&[("origin", "null")], Origin::Foreign);
        check(&[("origin", "http://class.example:8443")], Origin::Foreign);
        check(&[("origin", "https://class.example")], Origin::Foreign);
        check(&[("origin", "https://class.example:8443.evil.test")], Origin::Foreign);
        check(
            &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.test")],
            Origin::Foreign,
        );
    }
}
