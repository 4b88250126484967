//! One participant in one lesson, from its first sign to its last.

use std::collections::VecDeque;
use std::net::IpAddr;

use belfry_media_api::PeerRole;
use belfry_model::{Identity, LessonId, Timestamp};
use belfry_session::LinkEvent;
use belfry_store::{KeptPresence, KeptWay};

use crate::live::LivePresence;
use crate::report::{Device, Sample, Why};
use crate::subnet::Subnet;
use crate::timeline::{Seen, Timeline};
use crate::words::Way;

/// Samples of a client that are kept as they came: the last ten minutes.
const RING_MAX: usize = 60;
/// Ways in different networks that one presence may take; a laptop carried through a school has few.
const WAYS_MAX: usize = 16;

/// After a goodbye it is waited this long for somebody who only loaded the page again.
const LEFT_HOLD_MS: i64 = 30_000;
/// Neither side tells anything: it is waited this long for somebody to come back, so that an
/// outage is one interval and not two presences.
const SILENCE_MAX_MS: i64 = 10 * 60_000;

/// Whose presence it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) lesson: LessonId,
    pub(crate) identity: Identity,
}

/// A way in a network, and how long each of the two connections used it.
#[derive(Clone, Copy, Debug)]
struct Used {
    subnet: Subnet,
    way: Way,
    ms: [i64; 2],
}

/// The way that one of the two connections takes now.
#[derive(Clone, Copy, Debug)]
struct Current {
    subnet: Subnet,
    way: Way,
    since: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Presence {
    key: Key,
    began: Timestamp,
    /// When either side was heard last.
    heard: Timestamp,
    device: Option<Device>,
    current: [Option<Current>; 2],
    used: Vec<Used>,
    recent: VecDeque<(Timestamp, Sample)>,
    timeline: Timeline,
    /// When the client or the lesson said that it left.
    left_at: Option<Timestamp>,
    /// The signalling socket broke and is not back.
    broken: bool,
}

impl Presence {
    pub(crate) fn new(key: Key, began: Timestamp) -> Self {
        Self {
            key,
            began,
            heard: began,
            device: None,
            current: [None; 2],
            used: Vec::new(),
            recent: VecDeque::new(),
            timeline: Timeline::default(),
            left_at: None,
            broken: false,
        }
    }

    /// A sample of the client, which came from `address`.
    pub(crate) fn client(
        &mut self,
        at: Timestamp,
        sample: Sample,
        device: Device,
        address: IpAddr,
        now: Timestamp,
    ) {
        self.heard = self.heard.max(now);
        self.began = self.began.min(at);
        self.device = Some(device);
        self.left_at = (sample.why == Why::Left).then_some(at);
        let ways = [sample.up.and_then(|up| up.way), sample.down.and_then(|down| down.way)];
        for (role, way) in [PeerRole::Publisher, PeerRole::Subscriber].into_iter().zip(ways) {
            // The media plane's word on its own sockets goes before the client's.
            if let (Some(way), None) = (way, self.current[index(role)]) {
                self.goes(role, way, Subnet::of(address), at);
            }
        }
        self.timeline.take(at, &Seen::Client(sample.clone()));
        if self.recent.len() >= RING_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((at, sample));
    }

    /// What the media plane and the lesson say.
    pub(crate) fn media(&mut self, at: Timestamp, event: &LinkEvent) {
        self.heard = self.heard.max(at);
        match event {
            LinkEvent::Downlink(downlink) => self.timeline.take(at, &Seen::Downlink(*downlink)),
            LinkEvent::Path { role, path, address } => {
                let (role, way) = (*role, Way::from(*path));
                self.broken = false;
                self.left_at = None;
                self.timeline.take(at, &Seen::Way { role, way });
                self.goes(role, way, Subnet::of(*address.reveal()), at);
            }
            LinkEvent::Broken => {
                self.broken = true;
                self.timeline.take(at, &Seen::Connected(false));
            }
            LinkEvent::Resumed => {
                self.broken = false;
                self.left_at = None;
                self.timeline.take(at, &Seen::Connected(true));
            }
            // One whose socket broke was given up, and may still come back by joining anew.
            LinkEvent::Left if self.broken => {}
            LinkEvent::Left => self.left_at = self.left_at.or(Some(at)),
        }
    }

    fn goes(&mut self, role: PeerRole, way: Way, subnet: Subnet, at: Timestamp) {
        let next = Current { subnet, way, since: at };
        if let Some(before) = self.current[index(role)].replace(next) {
            count(&mut self.used, index(role), before, at);
        }
    }

    /// When it is over without another sign.
    pub(crate) fn over_at(&self) -> Timestamp {
        match self.left_at {
            Some(left) => left.plus_ms(LEFT_HOLD_MS),
            None => self.heard.plus_ms(SILENCE_MAX_MS),
        }
    }

    /// Whether it has left; what comes now under its key is somebody coming back.
    pub(crate) fn has_left(&self) -> bool {
        self.left_at.is_some()
    }

    /// Ends it; what is kept of it.
    pub(crate) fn finish(mut self) -> KeptPresence {
        let at = self.left_at.unwrap_or(self.heard).max(self.began);
        self.used = self.used_until(at);
        self.timeline.finish(at, self.left_at.is_some());
        let troubles = self.timeline.troubles();
        let intervals = self.timeline.intervals();
        KeptPresence {
            lesson: self.key.lesson,
            identity: self.key.identity,
            began_at: self.began,
            ended_at: at,
            device: self.device.map(|device| device.name()),
            ways: self.used.iter().map(kept_way).collect(),
            troubles,
            timeline: serde_json::to_string(&intervals).expect("intervals are plain data"),
        }
    }

    /// The ways with what the two connections use now, up to `at`.
    fn used_until(&self, at: Timestamp) -> Vec<Used> {
        let mut used = self.used.clone();
        for (connection, current) in self.current.iter().enumerate() {
            if let Some(current) = current {
                count(&mut used, connection, *current, at);
            }
        }
        used
    }

    /// As it is now, for a page.
    pub(crate) fn live(&self, now: Timestamp) -> LivePresence {
        let ways = self.used_until(now).iter().map(kept_way).collect();
        LivePresence {
            lesson: self.key.lesson,
            identity: self.key.identity.clone(),
            began_at: self.began,
            device: self.device.map(|device| device.name()),
            ways,
            troubles: self.timeline.troubles(),
            timeline: self.timeline.intervals(),
            holds: self.timeline.now(now),
            recent: self.recent.iter().cloned().collect(),
        }
    }
}

fn count(used: &mut Vec<Used>, connection: usize, current: Current, until: Timestamp) {
    let Current { subnet, way, since } = current;
    let ms = until.since_ms(since).max(0);
    let known = used.iter().position(|used| used.subnet == subnet && used.way == way);
    let at = known.unwrap_or(used.len());
    if at == used.len() {
        if at >= WAYS_MAX {
            return;
        }
        used.push(Used { subnet, way, ms: [0; 2] });
    }
    used[at].ms[connection] += ms;
}

fn kept_way(used: &Used) -> KeptWay {
    KeptWay {
        subnet: used.subnet.to_string(),
        way: used.way.as_str(),
        used_ms: used.ms[0].max(used.ms[1]),
    }
}

fn index(role: PeerRole) -> usize {
    match role {
        PeerRole::Publisher => 0,
        PeerRole::Subscriber => 1,
    }
}
