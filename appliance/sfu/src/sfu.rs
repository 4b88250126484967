//! One shard: its rooms, and which connection a datagram belongs to.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use belfry_media_api::{Command, Counters, Event};
use belfry_model::{ParticipantSid, RoomSid, TrackSid};
use bytes::Bytes;
use slab::Slab;

use crate::connection::Received;
use crate::context::{Context, Owner, Shared};
use crate::dtls::Certificate;
use crate::ice;
use crate::outbox::{Destination, Outbox};
use crate::room::Room;
use crate::rtp::rtcp::Writer;
use crate::rtp::slab::Pool;

/// How often a packet of nobody's path is looked at for whether its client has moved. Looking is
/// more work than refusing: strangers must not be able to cause much of it.
const FOLLOW_EVERY: Duration = Duration::from_millis(5);
/// The counters are told this often; also the shard's heartbeat.
const COUNTERS: Duration = Duration::from_secs(1);

/// What a shard is made of.
#[derive(Clone, Debug)]
pub struct SfuConfig {
    /// The shard's number, part of every ufrag it makes.
    pub shard: u8,
    /// Addresses for candidates, best first.
    pub candidates: Vec<SocketAddr>,
    /// Those for passive candidates over TCP (RFC 6544).
    pub tcp_candidates: Vec<SocketAddr>,
    /// The same for all shards of a process.
    pub certificate: Arc<Certificate>,
}

/// One shard of the media plane. Feed it commands, datagrams and time; after each, drain
/// [`Sfu::poll_event`] and the outbox, and come back by [`Sfu::deadline`].
///
/// **Invariant:** no clock, no sockets: `now` never goes back, and all bytes come and go by
/// arguments.
#[derive(Debug)]
pub struct Sfu {
    shared: Shared,
    rooms: Slab<Room>,
    by_room: HashMap<RoomSid, usize>,
    by_participant: HashMap<ParticipantSid, usize>,
    by_track: HashMap<TrackSid, usize>,
    /// The connection behind a path that passed an ICE check.
    paths: HashMap<Destination, usize>,
    /// The room that is being worked on.
    working: Option<usize>,
    follow_at: Instant,
    counters_at: Instant,
}

impl Sfu {
    pub fn new(config: SfuConfig, now: Instant) -> Self {
        let fingerprint = *config.certificate.digest();
        Self {
            shared: Shared {
                shard: config.shard,
                candidates: config.candidates,
                tcp_candidates: config.tcp_candidates,
                certificate: config.certificate,
                fingerprint,
                owners: Slab::new(),
                pool: Pool::default(),
                counters: Counters::default(),
                events: VecDeque::new(),
                kept: false,
                writer: Writer::default(),
                numbers: Vec::new(),
            },
            rooms: Slab::new(),
            by_room: HashMap::new(),
            by_participant: HashMap::new(),
            by_track: HashMap::new(),
            paths: HashMap::new(),
            working: None,
            follow_at: now,
            counters_at: now + COUNTERS,
        }
    }

    /// Takes a datagram that came to the listening address `local` (its index) from `source`, and
    /// decrypts it in place.
    pub fn receive(
        &mut self,
        local: u16,
        source: SocketAddr,
        datagram: &mut [u8],
        now: Instant,
        outbox: &mut Outbox,
    ) {
        self.receive_from(Destination::udp(local, source), datagram, now, outbox);
    }

    /// Takes a datagram from anywhere.
    pub fn receive_from(
        &mut self,
        from: Destination,
        datagram: &mut [u8],
        now: Instant,
        outbox: &mut Outbox,
    ) {
        self.shared.counters.packets_in += 1;
        self.shared.counters.bytes_in += datagram.len() as u64;
        let Some((key, owner)) = self.owner_of(from, datagram) else {
            if !ice::answer_binding(from, datagram, outbox) && !self.follow(from, datagram, now) {
                self.shared.counters.refused += 1;
            }
            return;
        };
        let received = self.work(owner.room, now, outbox, |room, context| {
            room.receive(owner.participant, owner.role, from, datagram, context)
        });
        if let Some(Received::Checked { forget }) = received {
            self.paths.insert(from, key);
            if let Some(forget) = forget.filter(|forget| *forget != from) {
                self.paths.remove(&forget);
            }
        }
    }

    /// Whether media from nobody's path is that of a client whose NAT has forgotten it. Its next
    /// packets belong to it; datagrams of a client that the kernel gave to another shard by the new
    /// port have to wait for the next check.
    fn follow(&mut self, from: Destination, datagram: &[u8], now: Instant) -> bool {
        let is_media = matches!(datagram.first(), Some(128..=191));
        if !is_media || self.follow_at > now {
            return false;
        }
        self.follow_at = now + FOLLOW_EVERY;
        let ip = from.remote().ip();
        let near = self.paths.iter().filter(|(path, _)| path.remote().ip() == ip);
        let found = near.into_iter().find_map(|(_, &key)| {
            let owner = *self.shared.owners.get(key)?;
            let participant =
                self.rooms.get_mut(owner.room)?.participants.get_mut(owner.participant)?;
            let left = participant.connection(owner.role)?.follow(from, datagram, now)?;
            Some((key, left))
        });
        if let Some((key, left)) = found {
            self.paths.remove(&left);
            self.paths.insert(from, key);
        }
        found.is_some()
    }

    /// A check names its connection by the ufrag; everything else comes on a path that passed one.
    /// STUN without our ufrag is nobody's: clients also ask the plain server from such a path.
    fn owner_of(&self, from: Destination, datagram: &[u8]) -> Option<(usize, Owner)> {
        let is_stun = datagram.first().is_some_and(|first| *first < 4);
        let key = if is_stun {
            let route = ice::route(datagram)?;
            (route.shard == self.shared.shard).then_some(route.key as usize)?
        } else {
            *self.paths.get(&from)?
        };
        Some((key, *self.shared.owners.get(key)?))
    }

    /// Works on one room, which is known as the culprit should it panic.
    fn work<T>(
        &mut self,
        room: usize,
        now: Instant,
        outbox: &mut Outbox,
        work: impl FnOnce(&mut Room, &mut Context<'_>) -> T,
    ) -> Option<T> {
        self.working = Some(room);
        let mut context = Context { now, shared: &mut self.shared, outbox };
        let done = self.rooms.get_mut(room).map(|room| work(room, &mut context));
        self.working = None;
        done
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        for key in 0..self.rooms.capacity() {
            let room = self.rooms.get(key);
            if room.and_then(Room::deadline).is_some_and(|at| at <= now) {
                self.work(key, now, outbox, Room::timeout);
            }
        }
        if self.counters_at <= now {
            self.counters_at = now + COUNTERS;
            let mut counters = self.shared.counters;
            counters.rooms = self.rooms.len() as u32;
            counters.participants = self.by_participant.len() as u32;
            let shard = self.shared.shard;
            self.shared.events.push_back(Event::Counters { shard, counters });
        }
    }

    /// When [`Sfu::timeout`] is wanted next.
    pub fn deadline(&self) -> Option<Instant> {
        let rooms = self.rooms.iter().filter_map(|(_, room)| room.deadline());
        rooms.chain([self.counters_at]).min()
    }

    /// What the control plane is to be told next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.shared.events.pop_front()
    }

    /// Drops the room whose work was interrupted by a panic, with all its participants; says which
    /// it was. The other rooms are untouched.
    pub fn abandon_room(&mut self) -> Option<RoomSid> {
        let key = self.working.take()?;
        let sid = self.rooms.try_remove(key)?.sid;
        self.forget_room(key, &sid);
        self.shared.counters.rooms_failed += 1;
        self.shared.events.push_back(Event::RoomFailed { room: sid.clone() });
        Some(sid)
    }

    fn forget_room(&mut self, key: usize, sid: &RoomSid) {
        self.by_room.remove(sid);
        self.by_participant.retain(|_, room| *room != key);
        self.by_track.retain(|_, room| *room != key);
        self.shared.owners.retain(|_, owner| owner.room != key);
        self.forget_paths();
    }

    /// Forgets the paths of connections that are gone.
    fn forget_paths(&mut self) {
        let owners = &self.shared.owners;
        self.paths.retain(|_, key| owners.contains(*key));
    }

    /// Does what the control plane asks. What cannot be done any more, because somebody left
    /// meanwhile, is left undone.
    pub fn command(&mut self, command: Command, now: Instant, outbox: &mut Outbox) {
        match command {
            // The sockets are `transport`'s.
            Command::Configure(_) => {}
            Command::OpenParticipant { room, participant } => {
                self.open(room, participant, now, outbox);
            }
            Command::CloseParticipant { participant } => self.close(&participant, now, outbox),
            Command::CloseRoom { room } => self.close_room(&room, now, outbox),
            Command::Publish { participant, publication } => {
                let track = publication.track.clone();
                let published = self.for_participant(&participant, now, outbox, |room, context| {
                    room.publish(&participant, publication, context)
                });
                if published == Some(true) {
                    self.by_track
                        .extend(self.by_participant.get(&participant).map(|room| (track, *room)));
                }
            }
            Command::Unpublish { track } => {
                if let Some(room) = self.by_track.remove(&track) {
                    self.work(room, now, outbox, |room, context| room.unpublish(&track, context));
                }
            }
            Command::Mute { track, muted } => {
                if let Some(&room) = self.by_track.get(&track) {
                    self.work(room, now, outbox, |room, context| room.mute(&track, muted, context));
                }
            }
            Command::SendData { to, kind, bytes } => {
                let bytes = Bytes::from(bytes);
                for to in to {
                    self.for_participant(&to, now, outbox, |room, context| {
                        room.send_data(&to, kind, &bytes, context);
                    });
                }
            }
            Command::Spotlight { room, participants } => {
                if let Some(&room) = self.by_room.get(&room) {
                    self.work(room, now, outbox, |room, context| {
                        room.spotlight(participants, context);
                    });
                }
            }
            other => self.command_of_participant(other, now, outbox),
        }
    }

    fn command_of_participant(&mut self, command: Command, now: Instant, outbox: &mut Outbox) {
        let participant = match &command {
            Command::PublisherOffer { participant, .. }
            | Command::Subscribe { participant, .. }
            | Command::Unsubscribe { participant, .. }
            | Command::Settings { participant, .. }
            | Command::SubscriberAnswer { participant, .. }
            | Command::RestartSubscriber { participant } => participant.clone(),
            _ => return,
        };
        self.for_participant(&participant, now, outbox, |room, context| {
            let sid = &participant;
            match command {
                Command::PublisherOffer { offer_id, sdp, preferences, .. } => {
                    room.publisher_offer(sid, offer_id, &sdp, &preferences, context);
                }
                Command::Subscribe { track, publisher, stream, .. } => {
                    room.subscribe(sid, &track, publisher, stream, context);
                }
                Command::Unsubscribe { track, .. } => room.unsubscribe(sid, &track, context),
                Command::Settings { track, settings, .. } => {
                    room.settings(sid, &track, settings, context);
                }
                Command::SubscriberAnswer { offer_id, sdp, .. } => {
                    room.subscriber_answer(sid, offer_id, &sdp, context);
                }
                Command::RestartSubscriber { .. } => room.restart_subscriber(sid, context),
                _ => {}
            }
        });
    }

    fn for_participant<T>(
        &mut self,
        participant: &ParticipantSid,
        now: Instant,
        outbox: &mut Outbox,
        work: impl FnOnce(&mut Room, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let room = *self.by_participant.get(participant)?;
        self.work(room, now, outbox, work)
    }

    fn open(
        &mut self,
        room: RoomSid,
        participant: ParticipantSid,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        if self.by_participant.contains_key(&participant) {
            return;
        }
        let key = *self.by_room.entry(room).or_insert_with_key(|sid| {
            let entry = self.rooms.vacant_entry();
            let key = entry.key();
            entry.insert(Room::new(sid.clone(), key, now));
            key
        });
        let sid = participant.clone();
        if self.work(key, now, outbox, |room, context| room.open(sid, context)) == Some(true) {
            self.by_participant.insert(participant, key);
        }
    }

    fn close(&mut self, participant: &ParticipantSid, now: Instant, outbox: &mut Outbox) {
        let Some(key) = self.by_participant.remove(participant) else { return };
        self.work(key, now, outbox, |room, context| room.close(participant, context));
        let room = self.rooms.get(key);
        if room.is_some_and(|room| room.participants.is_empty()) {
            let room = self.rooms.remove(key);
            self.forget_room(key, &room.sid);
        } else {
            if let Some(room) = room {
                self.by_track.retain(|track, at| *at != key || room.has_track(track));
            }
            self.forget_paths();
        }
    }

    fn close_room(&mut self, room: &RoomSid, now: Instant, outbox: &mut Outbox) {
        let Some(&key) = self.by_room.get(room) else { return };
        self.work(key, now, outbox, Room::close_all);
        if self.rooms.try_remove(key).is_some() {
            self.forget_room(key, room);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use belfry_media_api::{Command, Event};

    use super::{Sfu, SfuConfig};
    use crate::dtls::Certificate;
    use crate::outbox::Outbox;

    #[test]
    fn a_room_that_fails_takes_no_other_with_it() {
        let (now, mut outbox) = (Instant::now(), Outbox::default());
        let certificate = Arc::new(Certificate::generate().expect("aws-lc makes P-256 keys"));
        let config =
            SfuConfig { shard: 0, candidates: Vec::new(), tcp_candidates: Vec::new(), certificate };
        let mut sfu = Sfu::new(config, now);
        for (room, participant) in [("RM_1", "PA_1"), ("RM_2", "PA_2")] {
            let (room, participant) = (room.into(), participant.into());
            sfu.command(Command::OpenParticipant { room, participant }, now, &mut outbox);
        }
        assert_eq!(sfu.abandon_room(), None);
        let broken = sfu.by_room.get(&"RM_1".into()).copied();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let key = broken.expect("the room is there");
            sfu.work(key, now, &mut outbox, |_, _| std::panic::panic_any("in the room's work"));
        }));
        assert!(panicked.is_err());
        assert_eq!(sfu.abandon_room(), Some("RM_1".into()));
        assert!(
            std::iter::from_fn(|| sfu.poll_event())
                .any(|event| event == Event::RoomFailed { room: "RM_1".into() })
        );
        assert_eq!((sfu.rooms.len(), sfu.by_participant.len(), sfu.shared.owners.len()), (1, 1, 1));
        let (room, participant) = ("RM_1".into(), "PA_1".into());
        sfu.command(Command::OpenParticipant { room, participant }, now, &mut outbox);
        assert_eq!(sfu.rooms.len(), 2);
    }
}
