//! The HTTPS front: TLS with one certificate, HTTP/1.1 and HTTP/2 behind it, and TURN.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::http::header::HOST;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use belfry_http::Peer;
use belfry_media::Handover;
use belfry_model::Pii;
use belfry_relay::{Place, Places, PlacesMax};
use belfry_workers::open_files;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::split::{self, Begun, Inside};

/// Connections at the same time, fewer if the system lets us have too few files; who comes then is
/// sent away at once. Five for each of 500 people, and as many again.
const CONNECTIONS_MAX: usize = 4_096;
/// One that carries TURN has a second one to the media process.
const CONNECTION_FILES: u64 = 2;
/// From one address: a whole school may share one.
const ADDRESS_CONNECTIONS_MAX: usize = 3_072;
/// From one address, of those whose handshake is not done.
const ADDRESS_UNPROVED_MAX: usize = 512;
/// A client that takes longer for its TLS handshake is dropped.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// A client that takes longer for the head of its request is dropped.
const REQUEST_HEAD_MAX: Duration = Duration::from_secs(15);
/// How long open requests may take to end when the appliance stops.
const DRAIN_MAX: Duration = Duration::from_secs(3);
/// Enough for a token and a join request in the query (signalling needs 16 KiB).
const REQUEST_HEAD_BYTES_MAX: usize = 32 * 1024;

/// What was refused here, since the start.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// Connections that were too many, in all or from their address.
    pub(crate) connections: AtomicU64,
    /// TLS handshakes that failed or took too long, and connections that said nothing after.
    pub(crate) handshakes: AtomicU64,
    /// Connections that HTTP could not go on with: heads too slow or too long, rubbish.
    pub(crate) broken: AtomicU64,
    /// Requests that were malformed, too large or too many.
    pub(crate) requests: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Serves until `stop` becomes true, then lets open requests end.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    router: Router,
    turn: Option<Handover>,
    refused: Arc<Refused>,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let places = places();
    let graceful = Arc::new(GracefulShutdown::new());
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match places.take(peer.ip()) {
                    Some(place) => {
                        let (tls, router, turn) = (tls.clone(), router.clone(), turn.clone());
                        let front = Front { tls, router, turn, refused: Arc::clone(&refused) };
                        tokio::spawn(front.connection(stream, peer, place, Arc::clone(&graceful)));
                    }
                    None => count(&refused.connections),
                },
                Err(error) => not_accepted(&error).await,
            }
        }
    }
    if let Ok(graceful) = Arc::try_unwrap(graceful) {
        // Sockets of lessons stay open until their client leaves; they are not waited for.
        let _ = tokio::time::timeout(DRAIN_MAX, graceful.shutdown()).await;
    }
    Ok(())
}

fn places() -> Places {
    let all = open_files::connections_max(CONNECTIONS_MAX, CONNECTION_FILES);
    if all < CONNECTIONS_MAX {
        tracing::warn!(
            connections = all,
            "the limit of open files leaves room for few connections: raise it (LimitNOFILE)"
        );
    }
    let (address, address_unproved) = (ADDRESS_CONNECTIONS_MAX, ADDRESS_UNPROVED_MAX);
    Places::new(PlacesMax { all, address, address_unproved })
}

/// HTTP/2 names the host in its `:authority` (RFC 9113 section 8.3.1); from here on all requests say
/// it the same way.
fn name_host<B>(request: &mut Request<B>) {
    let authority = request.uri().authority().map(ToString::to_string);
    if let Some(Ok(host)) = authority.map(HeaderValue::try_from) {
        request.headers_mut().entry(HOST).or_insert(host);
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// `accept` fails when file descriptors run out; a moment later some are free again.
async fn not_accepted(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// What a connection needs.
struct Front {
    tls: TlsAcceptor,
    router: Router,
    /// `None`: nothing is relayed.
    turn: Option<Handover>,
    refused: Arc<Refused>,
}

impl Front {
    async fn connection(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        mut place: Place,
        graceful: Arc<GracefulShutdown>,
    ) {
        // Signalling frames are small and each matters at once.
        let _ = stream.set_nodelay(true);
        let accepted = tokio::time::timeout(HANDSHAKE_MAX, self.tls.accept(stream)).await;
        let Ok(Ok(stream)) = accepted else { return count(&self.refused.handshakes) };
        match (split::look_inside(stream).await, &self.turn) {
            (Some(Inside::Http(stream)), _) => {
                place.prove();
                http(stream, peer, self.router, &self.refused, graceful).await;
            }
            (Some(Inside::Turn(stream)), Some(turn)) => {
                place.prove();
                drop(graceful);
                split::relay(stream, peer, turn).await;
            }
            (Some(Inside::Turn(_)), None) | (None, _) => count(&self.refused.handshakes),
        }
        drop(place);
    }
}

/// What a client has to do otherwise. Who is not signed in or asks for what is not there is none.
fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status.as_u16(), 401 | 404)
}

async fn http(
    stream: Begun,
    peer: SocketAddr,
    router: Router,
    refused: &Arc<Refused>,
    graceful: Arc<GracefulShutdown>,
) {
    let router = router.map_request(move |mut request: Request<_>| {
        request.extensions_mut().insert(Peer(Pii::new(peer)));
        name_host(&mut request);
        request
    });
    let counted = Arc::clone(refused);
    let service = router.map_response(move |response: Response<_>| {
        if is_refusal(response.status()) {
            count(&counted.requests);
        }
        response
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD_MAX)
        .max_buf_size(REQUEST_HEAD_BYTES_MAX);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(REQUEST_HEAD_BYTES_MAX as u32);
    let connection = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    let watched = graceful.watch(connection.into_owned());
    drop(graceful);
    // A client that goes away in the middle is everyday life; one that is sent away is counted.
    if watched.await.is_err_and(|error| is_refused(error.as_ref())) {
        count(&refused.broken);
    }
}

/// Whether a connection ended because its client was too slow or did not speak HTTP, and not because
/// the client or the network went away.
fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| {
        let closed = cause.downcast_ref::<hyper::Error>();
        closed.is_some_and(|error| error.is_timeout() || error.is_parse())
    })
}
