//! Routes and their declarations.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use crate::access::Access;
use crate::audit::Declared;
use crate::gate::{self, Gate, Post};
use crate::headers::Kind;

/// The body that a route takes unless it says otherwise.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a handler may take unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// All that is known of a route without calling it.
#[derive(Clone, Debug)]
pub struct Declaration {
    pub kind: Kind,
    pub method: Method,
    /// With `{name}` for a captured segment.
    pub path: &'static str,
    pub access: Access,
    pub audit: Declared,
    pub body_bytes_max: usize,
    pub timeout: Duration,
}

/// A route under construction. `A` and `L` are `()` until access and audit are declared; only a
/// draft with both has [`Draft::handle`].
#[derive(Debug)]
pub struct Draft<A, L> {
    kind: Kind,
    method: Method,
    path: &'static str,
    access: A,
    audit: L,
    body_bytes_max: usize,
    timeout: Duration,
}

impl Draft<(), ()> {
    fn new(kind: Kind, method: Method, path: &'static str) -> Self {
        Self {
            kind,
            method,
            path,
            access: (),
            audit: (),
            body_bytes_max: BODY_BYTES_MAX,
            timeout: TIMEOUT,
        }
    }

    /// A server-rendered page (`GET`) or the post of its form (`POST`).
    pub fn page(method: Method, path: &'static str) -> Self {
        Self::new(Kind::Page, method, path)
    }

    /// The document of the classroom application.
    pub fn app(path: &'static str) -> Self {
        Self::new(Kind::App, Method::GET, path)
    }

    /// An answer for scripts and machines.
    pub fn api(method: Method, path: &'static str) -> Self {
        Self::new(Kind::Api, method, path)
    }

    /// A static file.
    pub fn asset(path: &'static str) -> Self {
        Self::new(Kind::Asset, Method::GET, path)
    }

    /// A WebSocket. The timeout covers the handshake only.
    pub fn socket(path: &'static str) -> Self {
        Self::new(Kind::Socket, Method::GET, path)
    }
}

impl<A, L> Draft<A, L> {
    /// The most bytes of body that the route reads.
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = bytes;
        self
    }

    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl<L> Draft<(), L> {
    /// Declares who may call.
    pub fn access(self, access: Access) -> Draft<Access, L> {
        let Self { kind, method, path, audit, body_bytes_max, timeout, .. } = self;
        Draft { kind, method, path, access, audit, body_bytes_max, timeout }
    }
}

impl<A> Draft<A, ()> {
    /// Declares what a call leaves in the audit log.
    pub fn audit(self, audit: Declared) -> Draft<A, Declared> {
        let Self { kind, method, path, access, body_bytes_max, timeout, .. } = self;
        Draft { kind, method, path, access, audit, body_bytes_max, timeout }
    }
}

impl Draft<Access, Declared> {
    /// The handler, which completes the route.
    pub fn handle<H, T, S>(self, handler: H) -> Route<S>
    where
        H: Handler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        let filter = MethodFilter::try_from(self.method.clone())
            .expect("route constructors take methods that axum knows");
        Route {
            declaration: Declaration {
                kind: self.kind,
                method: self.method,
                path: self.path,
                access: self.access,
                audit: self.audit,
                body_bytes_max: self.body_bytes_max,
                timeout: self.timeout,
            },
            method_router: on(filter, handler),
        }
    }
}

/// A complete route.
#[derive(Debug)]
pub struct Route<S> {
    declaration: Declaration,
    method_router: MethodRouter<S>,
}

/// The routes of one part of the appliance.
#[derive(Debug)]
pub struct Routes<S> {
    routes: Vec<Route<S>>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    pub fn new() -> Self {
        Self { routes: Vec::new() }
    }

    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "reads as a list of routes, not as a sum")]
    pub fn add(mut self, route: Route<S>) -> Self {
        self.routes.push(route);
        self
    }

    /// Every declaration, in the order of adding.
    pub fn table(&self) -> Vec<Declaration> {
        self.routes.iter().map(|route| route.declaration.clone()).collect()
    }

    /// The router, each route behind the gate. Unknown paths and methods are answered by
    /// [`Gate::close`], which is applied once, to the merged router.
    pub fn into_router(self, gate: &Gate, state: S) -> Router {
        self.routes
            .into_iter()
            .fold(Router::new(), |router, route| {
                let post = Post { gate: gate.clone(), route: Arc::new(route.declaration) };
                let path = post.route.path;
                router.route(
                    path,
                    route.method_router.route_layer(from_fn_with_state(post, gate::pass)),
                )
            })
            .with_state(state)
    }
}
