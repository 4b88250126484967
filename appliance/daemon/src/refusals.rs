//! What the appliance refused, said in its log: what an operator sees of an attack.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use belfry_media_api::{Counters, RelayRefused};

use crate::https;

/// How often it is said, while there is something to say.
const TOLD_EVERY: Duration = Duration::from_secs(5);
/// Datagrams between two lines that need no line: in every lesson some come late, and whatever is
/// open to a network is asked nonsense now and then.
const EVERYDAY_DATAGRAMS: u64 = 500;

/// Totals since the start of the appliance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    media: Media,
    connections: u64,
    handshakes: u64,
    broken: u64,
    requests: u64,
    class_frames: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Media {
    datagrams: u64,
    streams: u64,
    relay: RelayRefused,
}

impl Media {
    fn of(counters: &Counters) -> Self {
        let Counters { refused, streams_refused, relay, .. } = *counters;
        Self { datagrams: refused, streams: streams_refused, relay }
    }

    fn add(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.streams += other.streams;
        self.relay.malformed += other.relay.malformed;
        self.relay.throttled += other.relay.throttled;
        self.relay.unauthorized += other.relay.unauthorized;
        self.relay.forbidden += other.relay.forbidden;
        self.relay.over_quota += other.relay.over_quota;
    }
}

/// What the media process told.
#[derive(Debug, Default)]
struct Told {
    /// Of media processes that have ended.
    before: Media,
    /// Of each shard of this one.
    shards: BTreeMap<u8, Media>,
}

/// Where all counts come together.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    pub(crate) front: Arc<https::Refused>,
    told: Mutex<Told>,
}

impl Refusals {
    /// What a shard has counted since its start.
    pub(crate) fn media(&self, shard: u8, counters: &Counters) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.shards.insert(shard, Media::of(counters));
    }

    /// The media process is another one and counts from the start.
    pub(crate) fn media_restarted(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for media in std::mem::take(&mut told.shards).into_values() {
            told.before.add(media);
        }
    }

    fn totals(&self) -> Totals {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut media = told.before;
        for shard in told.shards.values() {
            media.add(*shard);
        }
        drop(told);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            media,
            connections: count(&self.front.connections),
            handshakes: count(&self.front.handshakes),
            broken: count(&self.front.broken),
            requests: count(&self.front.requests),
            class_frames: belfry_web::class_frames_refused(),
        }
    }

    /// Says it, again and again, whenever there is more.
    pub(crate) async fn tell(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(TOLD_EVERY);
        let mut said = Totals::default();
        loop {
            ticks.tick().await;
            let now = self.totals();
            if is_worth_a_line(&said, &now) {
                say(&now);
                said = now;
            }
        }
    }
}

fn is_worth_a_line(said: &Totals, now: &Totals) -> bool {
    let more = now.media.datagrams.saturating_sub(said.media.datagrams);
    let media = Media { datagrams: said.media.datagrams, ..now.media };
    more > EVERYDAY_DATAGRAMS || Totals { media, ..*now } != *said
}

fn say(totals: &Totals) {
    let Totals { media, connections, handshakes, broken, requests, class_frames } = *totals;
    let Media { datagrams, streams, relay } = media;
    let RelayRefused { malformed, throttled, unauthorized, forbidden, over_quota } = relay;
    tracing::info!(
        datagrams,
        streams,
        malformed,
        throttled,
        unauthorized,
        forbidden,
        over_quota,
        connections,
        handshakes,
        broken,
        requests,
        class_frames,
        "refused since the start"
    );
}

#[cfg(test)]
mod tests {
    use belfry_media_api::{Counters, RelayRefused};

    use super::{EVERYDAY_DATAGRAMS, Refusals, Totals, is_worth_a_line};

    fn counters(refused: u64, forbidden: u64) -> Counters {
        let relay = RelayRefused { forbidden, ..RelayRefused::default() };
        Counters { refused, relay, ..Counters::default() }
    }

    #[test]
    fn counts_of_shards_add_up_and_outlive_their_process() {
        let refusals = Refusals::default();
        refusals.media(0, &counters(5, 1));
        refusals.media(1, &counters(7, 0));
        refusals.media(0, &counters(6, 2));
        let media = refusals.totals().media;
        assert_eq!((media.datagrams, media.relay.forbidden), (13, 2));
        refusals.media_restarted();
        refusals.media(0, &counters(1, 1));
        let media = refusals.totals().media;
        assert_eq!((media.datagrams, media.relay.forbidden), (14, 3));
    }

    #[test]
    fn a_line_is_written_for_an_attack_and_not_for_a_few_late_packets() {
        let refusals = Refusals::default();
        let said = Totals::default();
        refusals.media(0, &counters(EVERYDAY_DATAGRAMS, 0));
        assert!(!is_worth_a_line(&said, &refusals.totals()));
        refusals.media(0, &counters(EVERYDAY_DATAGRAMS, 1));
        assert!(is_worth_a_line(&said, &refusals.totals()), "somebody looks for a way in");
        refusals.media(0, &counters(EVERYDAY_DATAGRAMS + 1, 0));
        assert!(is_worth_a_line(&said, &refusals.totals()));
    }
}
