//! Security headers, by kind of answer.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// What a route answers with. The kind decides the headers, the form of an error and the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A server-rendered page or the post of its form.
    Page,
    /// The document of the classroom application.
    App,
    /// JSON for scripts and machines.
    Api,
    /// A static file with a name or tag that changes with its content.
    Asset,
    /// A WebSocket.
    Socket,
}

/// Server-rendered pages: own scripts and styles only, and one named Trusted Types policy.
const PAGE_CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types belfry-fragment";

/// The classroom application: WebAssembly for noise and blur, workers and media from blobs.
/// `svelte-trusted-html` is the policy by which the framework instantiates its own templates.
const APP_CSP: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
     img-src 'self' blob: data:; font-src 'self'; connect-src 'self'; media-src 'self' blob:; \
     worker-src 'self' blob:; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types svelte-trusted-html";

/// Answers that are not documents need nothing at all.
const NO_CSP: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";

/// Only the classroom asks for devices; every other page gives them up.
const APP_PERMISSIONS: &str = "camera=(self), microphone=(self), display-capture=(self), \
     fullscreen=(self), screen-wake-lock=(self), autoplay=(self), speaker-selection=(self), \
     geolocation=(), payment=(), usb=(), serial=(), hid=(), browsing-topics=()";
const NO_PERMISSIONS: &str = "camera=(), microphone=(), display-capture=(), geolocation=(), \
     payment=(), usb=(), serial=(), hid=(), browsing-topics=()";

/// Half a year. Only sent when the setting is on: on a box without a way to renew its certificate
/// a wrong HSTS locks everybody out.
const HSTS: &str = "max-age=15552000";

/// Adds the headers of `kind`, without touching what the handler set itself.
pub(crate) fn secure(headers: &mut HeaderMap, kind: Kind, hsts: bool) {
    let (csp, permissions) = match kind {
        Kind::Page => (PAGE_CSP, NO_PERMISSIONS),
        Kind::App => (APP_CSP, APP_PERMISSIONS),
        Kind::Api | Kind::Asset | Kind::Socket => (NO_CSP, NO_PERMISSIONS),
    };
    let mut add = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(header::CONTENT_SECURITY_POLICY, csp);
    add(HeaderName::from_static("permissions-policy"), permissions);
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::X_FRAME_OPTIONS, "DENY");
    add(header::REFERRER_POLICY, "same-origin");
    add(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    add(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if kind != Kind::Asset {
        // Pages and answers hold names of pupils: nothing may keep them.
        add(header::CACHE_CONTROL, "no-store");
    }
    if hsts {
        add(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}
