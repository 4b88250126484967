//! The gate in front of the `turn` crate, and what is known of its allocations.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use belfry_media_api::{Path, RelayRefused};
use belfry_model::{Outside, ParticipantSid, Pii};
use stun::integrity::MessageIntegrity;
use turn::allocation::five_tuple::FiveTuple;

use crate::allocation::{Allocation, PEERS_MAX};
use crate::contained::{CHANNEL_LIFETIME, Contained, Hosts, Virtual, five_tuple};
use crate::credentials;
use crate::nonce::Nonces;
use crate::request::{Claim, Kind, REQUESTS, Refusal, Request};
use crate::throttle::{Rate, Throttle};

/// Allocations of one participant: two connections, two servers in two families, two networks, and
/// as many again while ICE restarts.
const PARTICIPANT_ALLOCATIONS_MAX: usize = 32;
/// Allocations in all: those of 500 people. Ports are never near their end.
const ALLOCATIONS_MAX: usize = 8_000;
/// Answers to requests without credentials: a school behind one address that comes in at the bell,
/// 500 people with four requests each.
const CHALLENGES: Rate = Rate { burst_max: 2_000.0, per_second: 100.0 };
/// A permission lasts 5 minutes (RFC 8656 section 9).
const PERMISSION_LIFETIME: Duration = Duration::from_mins(5);
/// Channels of clients (RFC 8656 section 12).
const CHANNEL_NUMBERS: std::ops::RangeInclusive<u16> = 0x4000..=0x4fff;
/// Class and success bits of the first two bytes of a response.
const SUCCESS: (u8, u8) = (0x01, 0x00);

/// What the relay is made of.
#[derive(Clone, Debug)]
pub struct Config {
    pub realm: String,
    /// See [`belfry_media_api::Relay::secret`].
    pub secret: Pii<Vec<u8>>,
    /// The addresses of our media, best first.
    pub peers: Vec<SocketAddr>,
}

/// The time, of both kinds.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub instant: Instant,
    /// Seconds since 1970.
    pub unix_seconds: u64,
}

/// How and from where somebody comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    pub path: Path,
    /// Tells listening sockets apart, with the address of ours if known.
    pub socket: u16,
    pub local: Option<IpAddr>,
    pub remote: SocketAddr,
}

impl Client {
    fn five_tuple(&self) -> FiveTuple {
        let ip = self.local.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        // A number of the socket, not a port of the network.
        let socket = self.socket.wrapping_mul(8).wrapping_add(self.path as u16);
        five_tuple(self.canonical(), SocketAddr::new(ip, socket))
    }

    /// A dual-stack socket shows IPv4 as mapped IPv6; clients want to see IPv4.
    fn canonical(&self) -> SocketAddr {
        SocketAddr::new(self.remote.ip().to_canonical(), self.remote.port())
    }
}

/// What became of a request.
#[derive(Debug, Default)]
pub struct Answer {
    /// Goes back to the client.
    pub bytes: Option<Vec<u8>>,
    pub relayed: Option<Relayed>,
}

/// An allocation that came or went.
#[derive(Debug)]
pub enum Relayed {
    Made(Arc<Allocation>),
    Ended,
}

/// Totals since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub allocations: usize,
    pub refused: RelayRefused,
}

struct Held {
    allocation: Arc<Allocation>,
    address: Arc<Virtual>,
    participant: ParticipantSid,
    /// The answer is given again if the request comes again (RFC 8656 section 7.2).
    transaction: [u8; 12],
    answer: Vec<u8>,
    channels_until: Box<[Option<Instant>]>,
    permitted_until: Box<[Option<Instant>]>,
}

/// Who made a request, and by what it is signed.
struct Key {
    participant: ParticipantSid,
    bytes: Vec<u8>,
}

/// The control part of the relay. To be used within a tokio runtime, whose timers the `turn` crate
/// needs.
pub struct Control {
    config: Config,
    peers: Arc<[SocketAddr]>,
    hosts: Hosts,
    nonces: Nonces,
    throttle: Throttle,
    contained: Contained,
    held: HashMap<Client, Held>,
    participants: HashMap<ParticipantSid, HashSet<Client>>,
    counts: Counts,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// Why a request is not passed on, with the code of RFC 8489 or RFC 8656.
type Fault = (u16, &'static str);

impl Control {
    pub fn new(config: Config, now: Instant) -> Self {
        // Nobody needs a relay to reach loopback; whoever asks for it looks for something else.
        let usable = |peer: &&SocketAddr| !peer.ip().is_loopback();
        let peers: Arc<[_]> = config.peers.iter().filter(usable).take(PEERS_MAX).copied().collect();
        let host =
            |is_ipv4: bool| peers.iter().map(SocketAddr::ip).find(|ip| ip.is_ipv4() == is_ipv4);
        let hosts = Hosts { ipv4: host(true), ipv6: host(false) };
        Self {
            contained: Contained::new(config.realm.clone(), hosts),
            config,
            peers,
            hosts,
            nonces: Nonces::new(),
            throttle: Throttle::new(CHALLENGES, now),
            held: HashMap::new(),
            participants: HashMap::new(),
            counts: Counts::default(),
        }
    }

    pub fn counts(&self) -> Counts {
        Counts { allocations: self.held.len(), ..self.counts }
    }

    /// From now on this participant's credentials are good.
    pub fn open_participant(&mut self, participant: ParticipantSid) {
        self.participants.entry(participant).or_default();
    }

    /// Ends a participant's allocations and credentials.
    pub async fn close_participant(&mut self, participant: &ParticipantSid) {
        for client in self.participants.remove(participant).unwrap_or_default() {
            self.close_client(&client).await;
        }
    }

    /// The client's stream has ended.
    pub async fn close_client(&mut self, client: &Client) {
        self.contained.delete(&client.five_tuple()).await;
        self.forget(client);
    }

    fn forget(&mut self, client: &Client) {
        let Some(held) = self.held.remove(client) else { return };
        held.allocation.close();
        if let Some(clients) = self.participants.get_mut(&held.participant) {
            clients.remove(client);
        }
    }

    /// Ends what has run out. To be called about once a second.
    pub fn sweep(&mut self, now: Instant) {
        let ended = self.held.iter().filter(|(_, held)| held.address.is_closed());
        let ended: Vec<Client> = ended.map(|(client, _)| *client).collect();
        for client in ended {
            self.forget(&client);
        }
        let over = |until: &mut Option<Instant>| until.take_if(|at| *at <= now).is_some();
        for held in self.held.values_mut() {
            for (number, until) in held.channels_until.iter_mut().enumerate() {
                if over(until) {
                    held.allocation.bind(number, 0);
                }
            }
            for (number, until) in held.permitted_until.iter_mut().enumerate() {
                if over(until) {
                    held.allocation.permit(number, false);
                }
            }
        }
    }

    /// Answers a message that is not data.
    pub async fn take(&mut self, client: Client, message: Outside<'_>, now: Now) -> Answer {
        let Ok(request) = REQUESTS.parse(message) else {
            self.counts.refused.malformed += 1;
            return Answer::default();
        };
        if request.kind == Kind::Binding {
            let key = Key { participant: ParticipantSid::new(""), bytes: Vec::new() };
            return self.pass_on(client, &request, &key, "", now).await;
        }
        let Some(claim) = request.claim.as_ref().filter(|_| request.is_signed) else {
            return self.challenge(client, &request, 401, "credentials are needed", now);
        };
        if !self.nonces.is_good(&claim.nonce, client.canonical(), now.unix_seconds) {
            return self.challenge(client, &request, 438, "the nonce is stale", now);
        }
        let participant = match self.authenticate(claim, &request, now) {
            Ok(participant) => participant,
            Err(reason) => {
                self.counts.refused.unauthorized += 1;
                return self.challenge(client, &request, 401, reason, now);
            }
        };
        let key = Key { participant, bytes: self.key(&claim.username) };
        if let Some(answer) = self.repeated(&client, &request) {
            return Answer { bytes: Some(answer), relayed: None };
        }
        if let Err((code, reason)) = self.check(&client, &key.participant, &request) {
            match code {
                403 => self.counts.refused.forbidden += 1,
                486 | 508 => self.counts.refused.over_quota += 1,
                _ => {}
            }
            let bytes = request.refuse(code, reason, &Refusal::Signed { key: &key.bytes });
            return Answer { bytes: Some(bytes), relayed: None };
        }
        self.pass_on(client, &request, &key, &claim.nonce, now).await
    }

    /// A refusal that tells how to come back. Costs no memory, and no answer when there were many.
    fn challenge(
        &mut self,
        client: Client,
        request: &Request,
        code: u16,
        reason: &str,
        now: Now,
    ) -> Answer {
        if !self.throttle.allows(client.remote.ip(), now.instant) {
            self.counts.refused.throttled += 1;
            return Answer::default();
        }
        let nonce = self.nonces.make(client.canonical(), now.unix_seconds);
        let with = Refusal::Challenge { realm: &self.config.realm, nonce: &nonce };
        Answer { bytes: Some(request.refuse(code, reason, &with)), relayed: None }
    }

    fn key(&self, username: &str) -> Vec<u8> {
        let password = credentials::password(self.config.secret.reveal(), username);
        let realm = self.config.realm.clone();
        MessageIntegrity::new_long_term_integrity(username.to_owned(), realm, password).0
    }

    /// Whose request it is, or a sentence why it is nobody's.
    fn authenticate(
        &self,
        claim: &Claim,
        request: &Request,
        now: Now,
    ) -> Result<ParticipantSid, &'static str> {
        let (expires, participant) =
            credentials::read(&claim.username).ok_or("the user name is not one of ours")?;
        if !request.is_authentic(&self.key(&claim.username)) {
            return Err("the password does not match");
        }
        if expires <= now.unix_seconds {
            return Err("these credentials have expired: join again for new ones");
        }
        if !self.participants.contains_key(&participant) {
            return Err("the participant of these credentials is not in a lesson");
        }
        Ok(participant)
    }

    /// The answer to an Allocate that was answered before and whose answer was lost.
    fn repeated(&self, client: &Client, request: &Request) -> Option<Vec<u8>> {
        let held = self.held.get(client)?;
        let again = request.kind == Kind::Allocate
            && !held.address.is_closed()
            && held.transaction == request.message.transaction_id.0;
        again.then(|| held.answer.clone())
    }

    /// What the crate would not refuse, or not by a response.
    fn check(
        &mut self,
        client: &Client,
        participant: &ParticipantSid,
        request: &Request,
    ) -> Result<(), Fault> {
        if !request.unknown.is_empty() {
            return Err((420, "an attribute is not understood"));
        }
        if self.held.get(client).is_some_and(|held| held.address.is_closed()) {
            self.forget(client);
        }
        if request.kind == Kind::Allocate {
            return self.check_quota(participant, request);
        }
        let Some(held) = self.held.get(client) else {
            let ends = request.kind == Kind::Refresh && request.lifetime == Some(0);
            return if ends { Ok(()) } else { Err((437, "there is no allocation")) };
        };
        if held.participant != *participant {
            return Err((441, "the allocation is somebody else's"));
        }
        match request.kind {
            Kind::CreatePermission => {
                let ours = |peer: &SocketAddr| self.peers.iter().any(|ours| ours.ip() == peer.ip());
                if request.peers.is_empty() {
                    return Err((400, "no peer is named"));
                }
                if !request.peers.iter().all(ours) {
                    return Err((403, "only the media of this machine is reached from here"));
                }
            }
            Kind::ChannelBind => {
                let [peer] = request.peers.as_slice() else {
                    return Err((400, "one peer is to be named"));
                };
                if !self.peers.contains(peer) {
                    return Err((403, "only the media of this machine is reached from here"));
                }
                if !request.channel.is_some_and(|channel| CHANNEL_NUMBERS.contains(&channel)) {
                    return Err((400, "this is no channel's number"));
                }
            }
            Kind::Binding | Kind::Allocate | Kind::Refresh => {}
        }
        Ok(())
    }

    fn check_quota(&self, participant: &ParticipantSid, request: &Request) -> Result<(), Fault> {
        let family = match request.wants_ipv6 {
            None => self.hosts.ipv4.or(self.hosts.ipv6),
            Some(false) => self.hosts.ipv4,
            Some(true) => self.hosts.ipv6,
        };
        if family.is_none() {
            return Err((440, "media has no address of this family"));
        }
        let held = self.participants.get(participant).map_or(0, HashSet::len);
        if held >= PARTICIPANT_ALLOCATIONS_MAX {
            return Err((486, "this participant has too many allocations"));
        }
        if self.held.len() >= ALLOCATIONS_MAX {
            return Err((508, "there are too many allocations"));
        }
        Ok(())
    }

    /// Lets the crate do it, and notes what it did.
    async fn pass_on(
        &mut self,
        client: Client,
        request: &Request,
        key: &Key,
        nonce: &str,
        now: Now,
    ) -> Answer {
        let raw = &request.message.raw;
        let (bytes, made) = self.contained.run(client.five_tuple(), raw, &key.bytes, nonce).await;
        let first = bytes.as_deref().and_then(|bytes| bytes.first_chunk::<2>());
        let succeeded = first.is_some_and(|[a, b]| (a & 1, b & 0x10) == SUCCESS);
        let relayed = match request.kind {
            Kind::Allocate if succeeded => {
                made.zip(bytes.clone()).map(|made| self.hold(client, key, request, made))
            }
            Kind::Refresh if succeeded && request.lifetime == Some(0) => {
                self.forget(&client);
                Some(Relayed::Ended)
            }
            Kind::CreatePermission if succeeded => {
                for peer in &request.peers {
                    self.permit(&client, peer.ip(), now.instant);
                }
                None
            }
            Kind::ChannelBind if succeeded => {
                self.bind(&client, request, now.instant);
                None
            }
            _ => None,
        };
        Answer { bytes, relayed }
    }

    fn hold(
        &mut self,
        client: Client,
        key: &Key,
        request: &Request,
        (address, answer): (Arc<Virtual>, Vec<u8>),
    ) -> Relayed {
        let participant = key.participant.clone();
        let peers = Arc::clone(&self.peers);
        let remote = client.canonical();
        let allocation = Arc::new(Allocation::new(client.path, remote, address.address, peers));
        if let Some(clients) = self.participants.get_mut(&participant) {
            clients.insert(client);
        }
        let none = || vec![None; self.peers.len()].into_boxed_slice();
        self.held.insert(
            client,
            Held {
                allocation: Arc::clone(&allocation),
                address,
                participant,
                transaction: request.message.transaction_id.0,
                answer,
                channels_until: none(),
                permitted_until: none(),
            },
        );
        Relayed::Made(allocation)
    }

    /// Permissions are for an address, whatever its port (RFC 8656 section 9); of our addresses
    /// only the media's port can be reached.
    fn permit(&mut self, client: &Client, peer: IpAddr, now: Instant) {
        let Some(held) = self.held.get_mut(client) else { return };
        for (number, known) in self.peers.iter().enumerate() {
            if known.ip() == peer {
                held.allocation.permit(number, true);
                if let Some(until) = held.permitted_until.get_mut(number) {
                    *until = Some(now + PERMISSION_LIFETIME);
                }
            }
        }
    }

    fn bind(&mut self, client: &Client, request: &Request, now: Instant) {
        let (Some(channel), [peer]) = (request.channel, request.peers.as_slice()) else { return };
        self.permit(client, peer.ip(), now);
        let number = self.peers.iter().position(|known| known == peer);
        let (Some(held), Some(number)) = (self.held.get_mut(client), number) else { return };
        held.allocation.bind(number, channel);
        if let Some(until) = held.channels_until.get_mut(number) {
            *until = Some(now + CHANNEL_LIFETIME);
        }
    }
}

#[cfg(test)]
mod tests;
