//! `belfry serve`: the control process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::Router;
use belfry_admin::{Admin, Custody, Live};
use belfry_api::Signalling;
use belfry_audit::{Detail, Word};
use belfry_http::Gate;
use belfry_identity::Identity;
use belfry_keys::KeyName;
use belfry_model::Timestamp;
use belfry_ops::{Ops, Reach};
use belfry_session::{Config, LinkReport, Sessions, now};
use belfry_settings::Settings;
use belfry_signalling::{IceServers, token::Signer};
use belfry_web::Web;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use crate::args::Serve;
use crate::certificates::Shown;
use crate::open::Kept;
use crate::refusals::Refusals;
use crate::{console, https, ledger, lessons, media, names, open, ready, relay};

/// The name of the key that signs media tokens (`iss`).
const TOKEN_ISSUER: &str = "belfry";
/// Reports of connections that wait to be taken in; more are lost, and nobody waits.
const LINK_REPORTS_MAX: usize = 4096;
/// How often ended sessions are removed; nobody can use them meanwhile.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

pub(crate) fn run(args: &Serve) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(serve(args))
}

async fn serve(args: &Serve) -> Result<()> {
    let mut recorder = None;
    let record = async |settings: &Settings| {
        let (ledger, process) = ledger::open(settings).await?;
        recorder = process;
        Ok(ledger)
    };
    let given = |key: &str| args.given(key);
    let kept = open::open(args.settings.as_deref(), args.demo, given, record).await?;
    let certificates = Shown::open(&kept)?;
    let address = SocketAddr::new(kept.settings.https_address(), kept.settings.https_port());
    let listener = TcpListener::bind(address).await.map_err(|error| taken(address, error))?;
    let relay_secret = relay::secret();
    let addresses = names::addresses(&kept.settings)?;
    let link = media::start(&kept.settings, &addresses, &relay_secret).await?;
    let ice = relay::ice_servers(&kept.settings, names::names(&kept.settings)?, relay_secret);
    let turn = kept.settings.media_relay().then(|| link.handover.clone());
    let (links, reports) = mpsc::channel(LINK_REPORTS_MAX);
    let ops = ops(&kept, reports)?;
    let sessions = sessions(&kept, &link, links, ice);
    let restored = sessions.restore().await.context("cannot bring back the lessons")?;
    tracing::info!(lessons = restored, "started");
    let (stop, stopped) = watch::channel(false);
    let refusals = Arc::new(Refusals::default());
    let refused = Arc::clone(&refusals.front);
    tokio::spawn(link.run(sessions.clone(), Arc::clone(&refusals), stop.clone()));
    tokio::spawn(refusals.tell());
    tokio::spawn(Arc::clone(&certificates).keep_fresh());
    tokio::spawn(ready::watchdog());
    tokio::spawn(sweep(kept.identity.clone()));
    let tls = TlsAcceptor::from(Arc::new(certificates.tls()?));
    let router = router(&kept, &sessions, &ops, &certificates);
    let serving = tokio::spawn(https::serve(listener, tls, router, turn, refused, stopped.clone()));
    kept.record(Detail::ApplianceStarted { version: Word::new(env!("CARGO_PKG_VERSION")) }).await;
    ready::ready();
    console::serving(&kept, &certificates.trust(), args.demo).await?;
    let outcome = until_stopped(stopped).await;
    ready::stopping();
    sessions.stop().await;
    ops.stop().await;
    let _ = stop.send(true);
    serving.await.context("the HTTPS front ended by itself")??;
    kept.record(Detail::ApplianceStopped {}).await;
    if let Some(recorder) = recorder {
        recorder.stop().await;
    }
    outcome
}

fn taken(address: SocketAddr, error: std::io::Error) -> anyhow::Error {
    let port = address.port();
    let what = match error.kind() {
        std::io::ErrorKind::AddrInUse => format!(
            "port {port} is taken by another program: stop that one, or choose another port with --https-port"
        ),
        std::io::ErrorKind::PermissionDenied => format!(
            "port {port} needs more rights: choose one above 1023 with --https-port, or start as a service"
        ),
        std::io::ErrorKind::AddrNotAvailable => {
            format!(
                "this machine has no address {}: choose another with --https-address",
                address.ip()
            )
        }
        _ => format!("cannot listen on {address}"),
    };
    anyhow!(error).context(what)
}

/// What is known of connections, fed by the lessons' reports.
pub(crate) fn ops(kept: &Kept, links: mpsc::Receiver<LinkReport>) -> Result<Ops> {
    let current = kept.current.subscribe();
    let addresses = names::addresses(&kept.settings)?;
    Ok(Ops::start(belfry_ops::Config {
        store: kept.store.clone(),
        district: kept.district,
        links,
        keep_days: Box::new(move || current.borrow().connections_keep_days()),
        reach: Reach {
            addresses: addresses.into_iter().collect(),
            udp_port: kept.settings.media_port(),
        },
    }))
}

fn sessions(
    kept: &Kept,
    link: &media::Link,
    links: mpsc::Sender<LinkReport>,
    ice: IceServers,
) -> Sessions {
    Sessions::new(Config {
        policy: lessons::policy(kept.current.subscribe()),
        links: Some(links),
        ended: Some(lessons::end_guests(kept.identity.clone())),
        ..Config::new(
            kept.store.clone(),
            kept.ledger.clone(),
            signer(kept),
            ice,
            link.commands.clone(),
        )
    })
}

pub(crate) fn signer(kept: &Kept) -> Signer {
    Signer::new(TOKEN_ISSUER, kept.keys.token().current.expose())
}

pub(crate) fn router(
    kept: &Kept,
    sessions: &Sessions,
    ops: &Ops,
    certificates: &Arc<Shown>,
) -> Router {
    let gate = Gate::new(Arc::new(kept.identity.clone()), kept.ledger.clone(), kept.district);
    let live = sessions.clone();
    let shown = Arc::clone(certificates);
    let admin = Admin {
        store: kept.store.clone(),
        identity: kept.identity.clone(),
        ledger: kept.ledger.clone(),
        custody: Arc::new(Custody::new(
            kept.keys.ring(KeyName::Evidence).current.expose(),
            kept.keys.ring(KeyName::Pseudonym).current.expose(),
        )),
        ops: ops.clone(),
        settings: Arc::clone(&kept.current),
        live: Arc::new(move || {
            let counted = || Handle::current().block_on(live.counts());
            let (lessons, participants) = tokio::task::block_in_place(counted);
            Live { lessons: lessons as u64, participants: participants as u64 }
        }),
        trust: Arc::new(move || shown.trust()),
    };
    let web = Web {
        store: kept.store.clone(),
        sessions: sessions.clone(),
        identity: kept.identity.clone(),
        ops: ops.clone(),
        utc_offset_minutes: local_offset,
    };
    let signalling = Signalling { sessions: sessions.clone(), signer: signer(kept) };
    let open = belfry_admin::routes()
        .into_router(&gate, admin)
        .merge(belfry_web::router(&gate, web))
        .merge(belfry_api::signalling_routes().into_router(&gate, signalling));
    gate.close(open)
}

/// Removes sessions that have ended and failures that are forgotten, again and again.
async fn sweep(identity: Identity) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = identity.sweep(now()).await {
            tracing::warn!(%error, "ended sessions could not be removed");
        }
    }
}

/// Ctrl-C or `systemctl stop`; or the media process gave up, which is a failure.
async fn until_stopped(mut gave_up: watch::Receiver<bool>) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = gave_up.wait_for(|gave_up| *gave_up) => {
            Err(anyhow!("the media process cannot be kept running: see the log above"))
        }
    }
}

/// Minutes that this machine's time zone is ahead of UTC at a time.
fn local_offset(at: Timestamp) -> i32 {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    jiff::tz::TimeZone::system().to_offset(at).seconds() / 60
}
