//! The HTTPS front: TLS with one certificate, HTTP/1.1 and HTTP/2 behind it, and TURN.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::http::header::HOST;
use axum::http::{HeaderValue, Request};
use belfry_http::Peer;
use belfry_media::Handover;
use belfry_model::Pii;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::split::{self, Begun, Inside};

/// Connections at the same time; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 4_096;
/// A client that takes longer for its TLS handshake is dropped.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// A client that takes longer for the head of its request is dropped.
const REQUEST_HEAD_MAX: Duration = Duration::from_secs(15);
/// How long open requests may take to end when the appliance stops.
const DRAIN_MAX: Duration = Duration::from_secs(3);
/// Enough for a token and a join request in the query (signalling needs 16 KiB).
const REQUEST_HEAD_BYTES_MAX: usize = 32 * 1024;

/// Serves until `stop` becomes true, then lets open requests end.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    router: Router,
    turn: Option<Handover>,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = Arc::new(GracefulShutdown::new());
    loop {
        let place = Arc::clone(&places).acquire_owned().await.context("the semaphore is open")?;
        tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let front = Front { tls: tls.clone(), router: router.clone(), turn: turn.clone() };
                    tokio::spawn(front.connection(stream, peer, place, Arc::clone(&graceful)));
                }
                Err(error) => refused(&error).await,
            }
        }
    }
    if let Ok(graceful) = Arc::try_unwrap(graceful) {
        // Sockets of lessons stay open until their client leaves; they are not waited for.
        let _ = tokio::time::timeout(DRAIN_MAX, graceful.shutdown()).await;
    }
    Ok(())
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
async fn refused(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// What a connection needs.
struct Front {
    tls: TlsAcceptor,
    router: Router,
    /// `None`: nothing is relayed.
    turn: Option<Handover>,
}

impl Front {
    async fn connection(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        place: OwnedSemaphorePermit,
        graceful: Arc<GracefulShutdown>,
    ) {
        // Signalling frames are small and each matters at once.
        let _ = stream.set_nodelay(true);
        let accepted = tokio::time::timeout(HANDSHAKE_MAX, self.tls.accept(stream)).await;
        let Ok(Ok(stream)) = accepted else { return };
        match (split::look_inside(stream).await, &self.turn) {
            (Some(Inside::Http(stream)), _) => http(stream, peer, self.router, graceful).await,
            (Some(Inside::Turn(stream)), Some(turn)) => {
                drop(graceful);
                split::relay(stream, peer, turn).await;
            }
            (Some(Inside::Turn(_)), None) | (None, _) => {}
        }
        drop(place);
    }
}

async fn http(stream: Begun, peer: SocketAddr, router: Router, graceful: Arc<GracefulShutdown>) {
    let service = router.map_request(move |mut request: Request<_>| {
        request.extensions_mut().insert(Peer(Pii::new(peer)));
        name_host(&mut request);
        request
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
    // A client that goes away in the middle is everyday life, not an error.
    let _ = watched.await;
}
