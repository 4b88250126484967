//! One peer connection: ICE-lite, DTLS, SRTP and data channels over the path that the client
//! nominated.
//!
//! **Invariant:** a datagram from a path on which no authenticated check came reaches no parser
//! but the one for STUN.
//! **Invariant:** nothing is sent without consent, answers to checks aside.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use belfry_media_api::{DataKind, End, Path, PeerRole};
use bytes::Bytes;

use crate::{
    dtls::{Certificate, Dtls, Turn},
    ice::{Checked, Ice, Route},
    outbox::{DATAGRAM_BYTES_MAX, Destination, Outbox},
    sctp::Sctp,
    srtp::{self, Srtp},
};

/// A client from whose path nothing has come for so long may be somewhere else. While media flows
/// something comes many times a second, also from a client that only receives (feedback).
const MOVED_SILENCE: Duration = Duration::from_millis(500);

/// What a connection is made of.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionConfig {
    /// The shard that owns the connection; part of the ufrag.
    pub(crate) shard: u8,
    /// The connection's key in the shard's slab; part of the ufrag.
    pub(crate) key: u32,
    /// The server opens data channels on a subscriber connection, the client on a publisher one.
    pub(crate) role: PeerRole,
    pub(crate) certificate: Arc<Certificate>,
}

/// The remote's part in DTLS, from `a=setup` of its description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// The remote is the DTLS client (`active`, or `actpass` of an offer that we answer `passive`).
    Active,
    /// The remote is the DTLS server, we start.
    Passive,
}

/// What a received datagram turned out to be. Everything that is not a packet for the RTP plane
/// comes by [`Connection::poll`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Handled inside.
    Nothing,
    /// An authenticated ICE check: datagrams from this source belong to this connection from now
    /// on, and those from `forget` not any more.
    Checked { forget: Option<Destination> },
    /// An RTP packet, decrypted in place: the first `len` bytes, header included.
    Rtp { len: usize },
    /// A compound RTCP packet, decrypted in place.
    Rtcp { len: usize },
    /// Not taken.
    Refused(Refused),
}

/// Why a datagram was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Neither STUN, DTLS, RTP nor RTCP, or malformed.
    Malformed,
    /// From a source that never passed an ICE check.
    Unknown,
    /// Not authentic.
    Authentication,
    /// Seen before, or too old to tell.
    Replayed,
    /// Media before the keys are there.
    Early,
    /// A limit was reached.
    Limit,
}

/// What happened to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    /// ICE and DTLS are up (again, after `Lost`).
    Connected,
    /// Consent expired (RFC 7675); an ICE restart revives it.
    Lost,
    /// A data message.
    Data { kind: DataKind, bytes: Vec<u8> },
    /// Media takes another path now, or its first: how, and the client's own address.
    Path(Path, IpAddr),
    /// The connection is over.
    Ended(End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not connected yet.
    New,
    Connected,
    Lost,
    Ended,
}

/// Why something was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsent {
    #[error("the connection is not up")]
    NotConnected,
    #[error("the data channel is not open or its buffer is full")]
    Dropped,
    #[error("too much reliable data waits")]
    Overflow,
    #[error("the packet could not be sealed")]
    Seal,
}

#[derive(Debug)]
pub(crate) struct Connection {
    role: PeerRole,
    ice: Ice,
    dtls: Dtls,
    srtp: Option<Srtp>,
    sctp: Sctp,
    state: State,
    happened: VecDeque<Happened>,
    /// Scratch for `Dtls::receive`.
    turns: Vec<Turn>,
    /// Set after the remote's description came: what was held for it can go on.
    kick: bool,
    /// The path that was told last.
    path_told: Option<(Path, IpAddr)>,
    /// When media came last on a path that passed a check.
    heard: Instant,
    now: Instant,
}

impl Connection {
    pub(crate) fn new(config: ConnectionConfig, now: Instant) -> Self {
        Self {
            role: config.role,
            ice: Ice::new(Route { shard: config.shard, key: config.key }),
            dtls: Dtls::new(config.certificate),
            srtp: None,
            sctp: Sctp::new(config.role == PeerRole::Subscriber),
            state: State::New,
            happened: VecDeque::new(),
            turns: Vec::new(),
            kick: false,
            path_told: None,
            heard: now,
            now,
        }
    }

    pub(crate) fn ufrag(&self) -> &str {
        self.ice.ufrag()
    }

    pub(crate) fn pwd(&self) -> &str {
        self.ice.pwd()
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// New local credentials; the old ones are taken until the new ones are used.
    pub(crate) fn restart_ice(&mut self) {
        self.ice.restart();
    }

    /// What the remote's description says. An offer with other ICE credentials than before is an
    /// ICE restart, which the answer has to join with new ones of ours: ask for `ufrag` and `pwd`
    /// after this.
    pub(crate) fn set_remote(
        &mut self,
        ufrag: &str,
        pwd: &str,
        fingerprint: [u8; 32],
        setup: Setup,
    ) {
        if self.role == PeerRole::Publisher && self.ice.is_restart(ufrag, pwd) {
            self.ice.restart();
        }
        self.ice.set_remote(ufrag, pwd);
        self.dtls.expect(fingerprint, setup);
        self.kick = self.dtls.is_due();
    }

    pub(crate) fn receive(
        &mut self,
        from: Destination,
        datagram: &mut [u8],
        now: Instant,
        outbox: &mut Outbox,
    ) -> Received {
        self.now = now;
        // RFC 7983, section 7.
        match datagram.first() {
            Some(0..=3) => return self.check(from, datagram, now, outbox),
            _ if !self.ice.knows(from) => return Received::Refused(Refused::Unknown),
            Some(20..=63) => {}
            Some(128..=191) => {
                self.heard = now;
                return self.open(datagram);
            }
            _ => return Received::Refused(Refused::Malformed),
        }
        let mut turns = std::mem::take(&mut self.turns);
        let taken = self.dtls.receive(datagram, now, &mut turns);
        self.digest(&mut turns, now);
        self.turns = turns;
        self.flush(now, outbox);
        match taken {
            Ok(()) => Received::Nothing,
            Err(refused) => Received::Refused(refused),
        }
    }

    fn check(
        &mut self,
        from: Destination,
        datagram: &[u8],
        now: Instant,
        outbox: &mut Outbox,
    ) -> Received {
        match self.ice.receive(from, datagram, now, outbox) {
            Checked::Refused(refused) => Received::Refused(refused),
            Checked::Taken { forget } => {
                if self.state == State::Lost {
                    // The client checks again: consent is back. Usually this is the ICE restart.
                    self.connect();
                }
                self.tell_path();
                self.flush(now, outbox);
                Received::Checked { forget }
            }
        }
    }

    /// Whether media that came from nobody's path is this client's: a NAT that has forgotten its
    /// mapping gives it another port, long before the client's next check. Only a silent client is
    /// looked for, only at the same address, and only what is authentic and new counts, so nothing
    /// is sent anywhere where it was not wanted. Says which path it has left. The packet itself is
    /// used up.
    pub(crate) fn follow(
        &mut self,
        from: Destination,
        datagram: &[u8],
        now: Instant,
    ) -> Option<Destination> {
        let (left, srtp) = (self.ice.selected()?, self.srtp.as_ref()?);
        let is_near = matches!(
            (left, from),
            (Destination::Udp { local, .. }, Destination::Udp { local: now_local, .. })
                if local == now_local && left.path() == from.path()
        );
        let is_silent = now.saturating_duration_since(self.heard) >= MOVED_SILENCE;
        let may_be = self.state == State::Connected && is_near && is_silent;
        if !may_be || !srtp.is_of_known_source(datagram) {
            return None;
        }
        if let Received::Refused(_) = self.open(&mut datagram.to_vec()) {
            return None;
        }
        self.heard = now;
        self.ice.moved(from);
        Some(left)
    }

    /// SRTP or SRTCP.
    fn open(&mut self, datagram: &mut [u8]) -> Received {
        let Some(srtp) = &mut self.srtp else { return Received::Refused(Refused::Early) };
        let opened = if srtp::is_rtcp(datagram) {
            srtp.open_rtcp(datagram).map(|len| Received::Rtcp { len })
        } else {
            srtp.open_rtp(datagram).map(|len| Received::Rtp { len })
        };
        opened.unwrap_or_else(Received::Refused)
    }

    fn digest(&mut self, turns: &mut Vec<Turn>, now: Instant) {
        for turn in turns.drain(..) {
            match turn {
                Turn::Established(keys) => {
                    self.srtp = Srtp::new(&keys);
                    if self.srtp.is_some() {
                        self.connect();
                    } else {
                        self.end(End::Dtls);
                    }
                    self.sctp.start(self.dtls.is_client(), now);
                }
                Turn::Data(packet) => {
                    self.sctp.receive(packet.freeze(), now);
                    self.collect();
                }
                Turn::Over => self.end(End::Dtls),
            }
        }
    }

    fn collect(&mut self) {
        while let Some((kind, bytes)) = self.sctp.poll_received() {
            self.happened.push_back(Happened::Data { kind, bytes });
        }
        if self.sctp.is_over() {
            self.end(End::Dtls);
        }
    }

    fn connect(&mut self) {
        if matches!(self.state, State::New | State::Lost) && self.dtls.is_established() {
            self.state = State::Connected;
            self.happened.push_back(Happened::Connected);
            self.tell_path();
        }
    }

    fn tell_path(&mut self) {
        let path = self.ice.selected().map(Destination::path);
        if let Some((kind, client)) = path.filter(|_| self.state == State::Connected)
            && path != self.path_told
        {
            self.path_told = path;
            self.happened.push_back(Happened::Path(kind, client));
        }
    }

    fn end(&mut self, end: End) {
        if self.state != State::Ended {
            self.state = State::Ended;
            self.happened.push_back(Happened::Ended(end));
        }
    }

    /// Sends what SCTP and DTLS have to send.
    fn flush(&mut self, now: Instant, outbox: &mut Outbox) {
        let (Some(to), true) = (self.ice.selected(), self.state != State::Lost) else { return };
        while let Some(packets) = self.sctp.poll_transmit(now) {
            for packet in packets {
                self.dtls.write(&packet, now);
            }
        }
        while let Some(datagram) = self.dtls.poll_transmit() {
            outbox.push_copy(to, &datagram);
        }
    }

    /// Call until `None` after `receive`, `timeout` and `send_data`.
    pub(crate) fn poll(&mut self) -> Option<Happened> {
        self.happened.pop_front()
    }

    /// Where media goes, while there is consent.
    fn path(&self) -> Result<Destination, Unsent> {
        match self.state {
            State::Connected => self.ice.selected().ok_or(Unsent::NotConnected),
            _ => Err(Unsent::NotConnected),
        }
    }

    /// `write` gets `len` zero bytes for the RTP packet, header included.
    pub(crate) fn send_rtp(
        &mut self,
        len: usize,
        outbox: &mut Outbox,
        write: impl FnOnce(&mut [u8]),
    ) -> Result<(), Unsent> {
        let to = self.path()?;
        let srtp = self.srtp.as_mut().ok_or(Unsent::NotConnected)?;
        let sealed_len = len + srtp.rtp_overhead();
        if sealed_len > DATAGRAM_BYTES_MAX {
            return Err(Unsent::Seal);
        }
        let place = outbox.push(to, sealed_len);
        let (plain, _tag) = place.split_at_mut(len);
        write(plain);
        if srtp.seal_rtp(place).is_err() {
            outbox.pop();
            return Err(Unsent::Seal);
        }
        Ok(())
    }

    /// Sends a compound RTCP packet.
    pub(crate) fn send_rtcp(&mut self, compound: &[u8], outbox: &mut Outbox) -> Result<(), Unsent> {
        let to = self.path()?;
        let srtp = self.srtp.as_mut().ok_or(Unsent::NotConnected)?;
        let sealed_len = compound.len() + srtp.rtcp_overhead();
        if sealed_len > DATAGRAM_BYTES_MAX {
            return Err(Unsent::Seal);
        }
        let place = outbox.push(to, sealed_len);
        let (plain, _tail) = place.split_at_mut(compound.len());
        plain.copy_from_slice(compound);
        if srtp.seal_rtcp(place).is_err() {
            outbox.pop();
            return Err(Unsent::Seal);
        }
        Ok(())
    }

    /// Sends a data message; reliable ones are held until the channel is open. After `Overflow`
    /// the receiver is too slow and the connection ended.
    pub(crate) fn send_data(
        &mut self,
        kind: DataKind,
        bytes: &Bytes,
        now: Instant,
        outbox: &mut Outbox,
    ) -> Result<(), Unsent> {
        if self.state == State::Ended {
            return Err(Unsent::NotConnected);
        }
        let sent = self.sctp.send(kind, bytes, now);
        if sent == Err(Unsent::Overflow) {
            self.end(End::TooSlow);
        }
        self.flush(now, outbox);
        sent
    }

    /// When `timeout` is wanted next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Ended | State::Lost => None,
            _ if self.kick => Some(self.now),
            State::New => [self.dtls.deadline(), self.sctp.deadline()].into_iter().flatten().min(),
            State::Connected => {
                [self.dtls.deadline(), self.sctp.deadline(), self.ice.consent_until()]
                    .into_iter()
                    .flatten()
                    .min()
            }
        }
    }

    pub(crate) fn timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        self.now = now;
        self.kick = false;
        if matches!(self.state, State::Ended | State::Lost) {
            return;
        }
        if self.state == State::Connected && self.ice.consent_until().is_some_and(|at| at <= now) {
            self.state = State::Lost;
            self.happened.push_back(Happened::Lost);
            return;
        }
        let mut turns = std::mem::take(&mut self.turns);
        self.dtls.timeout(now, &mut turns);
        self.digest(&mut turns, now);
        self.turns = turns;
        self.sctp.timeout(now);
        self.collect();
        self.flush(now, outbox);
    }
}
