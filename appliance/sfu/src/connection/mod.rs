//! One peer connection: ICE-lite, DTLS, SRTP and data channels over the path that the client
//! nominated.

use std::{sync::Arc, time::Instant};

use belfry_media_api::{DataKind, End, PeerRole};

use crate::{
    dtls::Certificate,
    outbox::{Destination, Outbox},
};

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
    config: ConnectionConfig,
    ufrag: String,
    pwd: String,
}

impl Connection {
    pub(crate) fn new(config: ConnectionConfig, _now: Instant) -> Self {
        Self { config, ufrag: String::new(), pwd: String::new() }
    }

    pub(crate) fn ufrag(&self) -> &str {
        &self.ufrag
    }

    pub(crate) fn pwd(&self) -> &str {
        &self.pwd
    }

    /// SHA-256 of the certificate, as in `a=fingerprint:sha-256` (`AB:CD:...`).
    pub(crate) fn fingerprint(&self) -> &str {
        self.config.certificate.fingerprint()
    }

    pub(crate) fn state(&self) -> State {
        State::New
    }

    /// New local credentials; the old ones are taken until the new ones are used.
    pub(crate) fn restart_ice(&mut self) {}

    /// What the remote's description says.
    pub(crate) fn set_remote(
        &mut self,
        _ufrag: &str,
        _pwd: &str,
        _fingerprint: [u8; 32],
        _setup: Setup,
    ) {
    }

    pub(crate) fn receive(
        &mut self,
        _from: Destination,
        _datagram: &mut [u8],
        _now: Instant,
        _outbox: &mut Outbox,
    ) -> Received {
        Received::Nothing
    }

    /// Call until `None` after `receive` and `timeout`.
    pub(crate) fn poll(&mut self) -> Option<Happened> {
        None
    }

    /// `write` gets `len` zero bytes for the RTP packet; the first `header_len` stay in clear.
    pub(crate) fn send_rtp(
        &mut self,
        _header_len: usize,
        _len: usize,
        _outbox: &mut Outbox,
        _write: impl FnOnce(&mut [u8]),
    ) -> Result<(), Unsent> {
        Err(Unsent::NotConnected)
    }

    /// Sends a compound RTCP packet.
    pub(crate) fn send_rtcp(&mut self, _compound: &[u8], _out: &mut Outbox) -> Result<(), Unsent> {
        Err(Unsent::NotConnected)
    }

    /// Sends a data message; reliable ones are held until the channel is open.
    pub(crate) fn send_data(
        &mut self,
        _kind: DataKind,
        _bytes: &[u8],
        _now: Instant,
        _outbox: &mut Outbox,
    ) -> Result<(), Unsent> {
        Err(Unsent::NotConnected)
    }

    /// When `timeout` is wanted next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        None
    }

    pub(crate) fn timeout(&mut self, _now: Instant, _outbox: &mut Outbox) {}
}
