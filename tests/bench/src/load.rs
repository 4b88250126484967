//! One measure: joins, warm-up, window.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot};

use crate::belfry::Belfry;
use crate::meter::{self, Meter, Outcome};
use crate::peer::{Request, Subscriber};
use crate::publisher::{self, Publisher};
use crate::reference::Reference;
use crate::{Case, Forwarder, process};

/// From the first offer until every subscriber receives.
const JOIN_MAX: Duration = Duration::from_secs(30);

pub(crate) fn measure(forwarder: Forwarder, case: Case) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        match forwarder {
            Forwarder::Belfry => belfry(case).await,
            Forwarder::Str0m => reference(case).await,
        }
    })
}

struct Crowd {
    zero: Instant,
    requests: Vec<mpsc::Sender<Request>>,
}

impl Crowd {
    /// Starts the subscribers; `offering` ones come with their offers.
    async fn start(
        zero: Instant,
        count: usize,
        offering: bool,
    ) -> anyhow::Result<(Self, Vec<(mpsc::Sender<Request>, String)>)> {
        let mut crowd = Self { zero, requests: Vec::new() };
        let mut offers = Vec::new();
        for _ in 0..count {
            let (requests, queue) = mpsc::channel(4);
            let mut subscriber = Subscriber::new(crowd.zero).await?;
            if offering {
                offers.push((requests.clone(), subscriber.offer()?));
            }
            crowd.requests.push(requests);
            tokio::task::spawn_local(async move { Box::pin(subscriber.run(queue)).await.unwrap() });
        }
        Ok((crowd, offers))
    }

    /// What each counted since the last time.
    async fn meters(&self) -> anyhow::Result<Vec<Meter>> {
        let mut meters = Vec::with_capacity(self.requests.len());
        for requests in &self.requests {
            let (reply, meter) = oneshot::channel();
            requests.send(Request::Meter(reply)).await.context("a subscriber ended")?;
            meters.push(meter.await?);
        }
        Ok(meters)
    }

    async fn until_all_receive(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut receiving = vec![false; self.requests.len()];
        while receiving.contains(&false) {
            let missing = receiving.iter().filter(|it| !**it).count();
            anyhow::ensure!(start.elapsed() < JOIN_MAX, "{missing} subscribers receive nothing");
            tokio::time::sleep(Duration::from_millis(20)).await;
            for (meter, receiving) in self.meters().await?.iter().zip(&mut receiving) {
                *receiving |= meter.received_count > 0;
            }
        }
        Ok(())
    }
}

/// The process before anybody joined.
struct Before {
    process_id: u32,
    cpu: Duration,
    memory_kb: u64,
}

impl Before {
    fn of(process_id: u32) -> anyhow::Result<Self> {
        let (cpu, memory_kb) = (process::cpu_time(process_id)?, process::memory_kb(process_id)?);
        Ok(Self { process_id, cpu, memory_kb })
    }
}

/// A publisher's thread, which ends with this.
struct Sending(Arc<AtomicBool>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn send(publisher: Publisher, answer: String, case: Case) -> Sending {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    std::thread::spawn(move || {
        publisher.run(&answer, case.packets_per_second, &stopped).unwrap();
    });
    Sending(stop)
}

async fn belfry(case: Case) -> anyhow::Result<Outcome> {
    let zero = Instant::now();
    let mut belfry = Belfry::start().await?;
    let before = Before::of(belfry.process_id)?;
    let (publisher, offer) = Publisher::new(zero)?;
    let answer = belfry.publish(&publisher.mid(), offer).await?;
    let (crowd, _) = Crowd::start(zero, case.subscriber_count, false).await?;
    belfry.subscribe(&crowd.requests).await?;
    // The publisher starts when all have joined, so that joining is measured by itself.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let joined = process::cpu_time(before.process_id)?;
    let _sending = send(publisher, answer, case);
    tokio::select! {
        ended = belfry.listen() => { ended?; anyhow::bail!("the media process ended") }
        outcome = window(&crowd, case, &before, joined) => outcome,
    }
}

async fn reference(case: Case) -> anyhow::Result<Outcome> {
    let zero = Instant::now();
    let mut reference = Reference::start()?;
    let (publisher, offer) = Publisher::new(zero)?;
    let before = Before::of(reference.process_id)?;
    let answer = reference.answer(true, &offer).await?;
    let (crowd, offers) = Crowd::start(zero, case.subscriber_count, true).await?;
    reference.subscribe(offers).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let joined = process::cpu_time(before.process_id)?;
    let _sending = send(publisher, answer, case);
    window(&crowd, case, &before, joined).await
}

async fn window(
    crowd: &Crowd,
    case: Case,
    before: &Before,
    joined: Duration,
) -> anyhow::Result<Outcome> {
    crowd.until_all_receive().await?;
    tokio::time::sleep(publisher::ramp(case.packets_per_second) + case.warm_up).await;
    crowd.meters().await?;
    let start = process::cpu_time(before.process_id)?;
    tokio::time::sleep(case.measured).await;
    let end = process::cpu_time(before.process_id)?;
    let meters = crowd.meters().await?;
    let memory_kb = process::memory_kb(before.process_id)?.saturating_sub(before.memory_kb);
    Ok(meter::outcome(
        &meters,
        end.saturating_sub(start),
        joined.saturating_sub(before.cpu),
        memory_kb,
    ))
}
