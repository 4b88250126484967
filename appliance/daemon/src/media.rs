//! The link between the lessons and the media process.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use belfry_media::Handover;
use belfry_media_api::{Command, Configure, Event};
use belfry_model::Pii;
use belfry_session::Sessions;
use belfry_settings::Settings;
use belfry_workers::{Commands, Report};
use tokio::sync::{mpsc, watch};

use crate::refusals::Refusals;
use crate::relay;

/// Commands that wait for the media process; a class of thirty joining at once needs hundreds.
const COMMANDS_MAX: usize = 4096;

/// A running media process.
pub(crate) struct Link {
    pub(crate) commands: mpsc::Sender<Command>,
    /// Where TURN goes that came in by TLS.
    pub(crate) handover: Handover,
    reports: mpsc::Receiver<Report<Event>>,
}

/// Starts the media process and waits until its sockets are open.
pub(crate) async fn start(
    settings: &Settings,
    addresses: &BTreeSet<IpAddr>,
    relay_secret: &Pii<Vec<u8>>,
) -> Result<Link> {
    let ice_tcp = settings.ice_tcp_port();
    let configure = Configure {
        listen: vec![SocketAddr::new(settings.media_address(), settings.media_port())],
        stun: vec![SocketAddr::new(settings.https_address(), settings.https_port())],
        advertise: addresses.iter().copied().collect(),
        shards: settings.media_shards().map_or(0, |count| count.try_into().unwrap_or(u8::MAX)),
        ice_tcp: (ice_tcp != 0)
            .then(|| SocketAddr::new(settings.media_address(), ice_tcp))
            .into_iter()
            .collect(),
        relay: relay::configure(settings, relay_secret),
    };
    let handover = Handover::new().context("cannot make a socket for the media process")?;
    let (worker, mut reports) =
        belfry_media::supervise(None, vec!["media".into()], configure, Some(&handover));
    loop {
        match reports.recv().await.context("the media process does not report")? {
            Report::Message(Event::Ready { .. }) => break,
            Report::Message(Event::Unusable { sentence }) => bail!("{sentence}"),
            Report::GaveUp => bail!("the media process does not start: see the log above"),
            Report::Started { .. } | Report::Ended(_) | Report::Message(_) => {}
        }
    }
    let (commands, queue) = mpsc::channel(COMMANDS_MAX);
    tokio::spawn(pump(worker, queue));
    Ok(Link { commands, handover, reports })
}

async fn pump(worker: Commands<Command>, mut queue: mpsc::Receiver<Command>) {
    while let Some(command) = queue.recv().await {
        if worker.send(command).await.is_err() {
            return;
        }
    }
}

impl Link {
    /// Hands events to the lessons until the process stops. When the media process is replaced,
    /// every client is told to come back; when it cannot be, the appliance ends, for whoever
    /// supervises it to see.
    pub(crate) async fn run(
        mut self,
        sessions: Sessions,
        refusals: Arc<Refusals>,
        give_up: watch::Sender<bool>,
    ) {
        while let Some(report) = self.reports.recv().await {
            match report {
                Report::Message(Event::Ready { .. }) => {
                    refusals.media_restarted();
                    sessions.media_restarted().await;
                }
                Report::Message(Event::Counters { shard, counters }) => {
                    refusals.media(shard, &counters);
                }
                Report::Message(event) => sessions.media_event(event).await,
                Report::Started { process_id } => {
                    tracing::info!(process = process_id, "the media process is started");
                }
                Report::Ended(end) => tracing::error!(?end, "the media process ended"),
                Report::GaveUp => {
                    tracing::error!("the media process cannot be kept running");
                    let _ = give_up.send(true);
                    return;
                }
            }
        }
    }
}
