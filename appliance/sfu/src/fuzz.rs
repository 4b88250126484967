//! Ways into the libraries behind our own parsers: what those let through reaches an association as
//! it does in a connection. For the fuzz suite only.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use belfry_media_api::DataKind;
use belfry_model::outside::Target;
use bytes::Bytes;

use crate::connection::Setup;
use crate::dtls::{Certificate, Dtls, RECORDS};
use crate::sctp::sealing::seal;
use crate::sctp::{PACKETS, Sctp};

/// Packets of one input.
const PACKETS_MAX: usize = 64;
const STEP: Duration = Duration::from_millis(25);
/// Tag and first number of the remote, a window, streams, and that it can skip numbers and reset
/// streams.
const GREETING: [u8; 24] = [
    0, 0, 0, 1, 0, 2, 0, 0, 4, 0, 4, 0, 0, 0, 0, 1, //
    0x80, 0x08, 0, 6, 192, 130, 0, 0,
];
const COOKIE: [u8; 8] = [0, 7, 0, 8, 1, 2, 3, 4];
/// Asks for the cookie of the association in its place.
const COOKIE_ECHO: [u8; 5] = [10, 0, 0, 5, 0];
const COOKIE_ACK: [u8; 4] = [11, 0, 0, 4];

/// An association that stands, and a packet of data.
pub const SCTP_SEED: &[u8] =
    &[4, 1, 0, 20, 0, 3, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 51, b'x', 0, 0, 0];
/// An association that stands, and an alert in the clear.
pub const DTLS_SEED: &[u8] = &[3, 0, 15, 21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0];

/// Feeds an SCTP association. The first byte says whether we begin it (1), open its channels (2),
/// and whether it stands before the first packet (4). Before each packet there are a byte that
/// lets time pass and something be sent, and the length of its chunks. `true`: our parser accepted
/// all of them.
pub fn sctp(input: &[u8], now: Instant) -> bool {
    let Some((mode, rest)) = input.split_first() else { return false };
    let mut side = Side::begin(*mode, now);
    let (mut rest, mut accepted) = (rest, false);
    for _ in 0..PACKETS_MAX {
        let Some(([step, high, low], after)) = rest.split_first_chunk() else { break };
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (chunks, after) = after.split_at(len.min(after.len()));
        side.pass(*step);
        accepted = side.feed(chunks);
        if !accepted {
            break;
        }
        rest = after;
    }
    side.pass(0x7F);
    accepted
}

/// Our side, and what the remote has to know of it.
struct Side {
    sctp: Sctp,
    now: Instant,
    tag: [u8; 4],
    number: u32,
    cookie: Vec<u8>,
}

impl Side {
    fn begin(mode: u8, now: Instant) -> Self {
        let mut sctp = Sctp::new(mode & 2 != 0);
        let begins = mode & 1 != 0;
        sctp.start(begins, now);
        let mut side = Self { sctp, now, tag: [0; 4], number: 0, cookie: Vec::new() };
        side.drain();
        if mode & 4 != 0 && begins {
            side.feed(&[&[2, 0, 0, 36][..], &GREETING, &COOKIE].concat());
            side.feed(&COOKIE_ACK);
        } else if mode & 4 != 0 {
            side.feed(&[&[1, 0, 0, 26][..], &GREETING].concat());
            side.feed(&COOKIE_ECHO);
        }
        side
    }

    fn pass(&mut self, step: u8) {
        self.now += STEP * u32::from(step & 0x7F);
        if step & 0x80 != 0 {
            for kind in [DataKind::Reliable, DataKind::Lossy] {
                let _held = self.sctp.send(kind, &Bytes::from(vec![7; 3_000]), self.now);
            }
        }
        self.sctp.timeout(self.now);
        self.drain();
    }

    fn feed(&mut self, chunks: &[u8]) -> bool {
        let tag = if chunks.first() == Some(&1) { [0; 4] } else { self.tag };
        let mut packet = [&[0x13, 0x88, 0x13, 0x88][..], &tag, &[0; 4]].concat();
        self.translate(chunks, &mut packet);
        seal(&mut packet);
        let accepted = PACKETS.feed(&packet);
        self.sctp.receive(packet.into(), self.now);
        self.drain();
        accepted
    }

    /// Writes chunks in which our own numbers count from 0, and our cookie is one byte.
    fn translate(&self, mut rest: &[u8], packet: &mut Vec<u8>) {
        while let Some([kind, _, high, low]) = rest.first_chunk() {
            let len = usize::from(u16::from_be_bytes([*high, *low])).max(4);
            let (chunk, after) = rest.split_at(len.next_multiple_of(4).min(rest.len()));
            let at = packet.len();
            if *kind == 10 && len == COOKIE_ECHO.len() {
                packet.extend([10, 0]);
                packet.extend((self.cookie.len() as u16 + 4).to_be_bytes());
                packet.extend(&self.cookie);
                packet.resize(packet.len().next_multiple_of(4), 0);
            } else {
                packet.extend(chunk);
            }
            let number = match (*kind, chunk.get(5)) {
                (3 | 7, _) => Some(4),
                (130, Some(13)) => Some(12),
                (130, Some(16)) => Some(8),
                _ => None,
            };
            let slot = number.and_then(|number| packet.get_mut(at + number..at + number + 4));
            if let Some(slot) = slot.and_then(|slot| slot.first_chunk_mut::<4>()) {
                *slot = u32::from_be_bytes(*slot).wrapping_add(self.number).to_be_bytes();
            }
            rest = after;
        }
        packet.extend(rest);
    }

    fn drain(&mut self) {
        while let Some(packets) = self.sctp.poll_transmit(self.now) {
            for packet in &packets {
                self.learn(packet);
            }
        }
        while self.sctp.poll_received().is_some() {}
    }

    /// Reads our INIT or the answer to one.
    fn learn(&mut self, packet: &[u8]) {
        if !matches!(packet.get(12), Some(1 | 2)) {
            return;
        }
        let field = |at: usize| packet.get(at..).and_then(<[u8]>::first_chunk::<4>).copied();
        let (Some(tag), Some(number)) = (field(16), field(28)) else { return };
        self.tag = tag;
        self.number = u32::from_be_bytes(number).wrapping_sub(1);
        let parameters = packet.get(32..).unwrap_or_default();
        if let [0, 7, high, low, rest @ ..] = parameters {
            let len = usize::from(u16::from_be_bytes([*high, *low])).saturating_sub(4);
            self.cookie = rest.get(..len).unwrap_or_default().to_vec();
        }
    }
}

static CERTIFICATE: LazyLock<Option<Arc<Certificate>>> =
    LazyLock::new(|| Certificate::generate().ok().map(Arc::new));

/// Feeds a DTLS association. The first byte says how many times both sides have heard each other
/// before (3: the handshake is done), and which one is fed (4: the client). Each datagram has its
/// length before it. `true`: our parser accepted all of them.
pub fn dtls(input: &[u8], now: Instant) -> bool {
    let Some((mode, mut rest)) = input.split_first() else { return false };
    let Some(certificate) = &*CERTIFICATE else { return false };
    let mut turns = Vec::new();
    let side = |setup| {
        let mut side = Dtls::new(Arc::clone(certificate));
        side.expect(*certificate.digest(), setup);
        side
    };
    let (mut server, mut client) = (side(Setup::Active), side(Setup::Passive));
    client.timeout(now, &mut turns);
    let rounds = match mode & 3 {
        3 => 6,
        rounds => rounds,
    };
    for _ in 0..rounds {
        while let Some(datagram) = client.poll_transmit() {
            let _refused = server.receive(&datagram, now, &mut turns);
        }
        while let Some(datagram) = server.poll_transmit() {
            let _refused = client.receive(&datagram, now, &mut turns);
        }
    }
    let fed = if mode & 4 == 0 { &mut server } else { &mut client };
    let mut accepted = false;
    for _ in 0..PACKETS_MAX {
        let Some(([high, low], after)) = rest.split_first_chunk() else { break };
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (datagram, after) = after.split_at(len.min(after.len()));
        accepted = RECORDS.feed(datagram);
        if !accepted {
            break;
        }
        let _refused = fed.receive(datagram, now, &mut turns);
        while fed.poll_transmit().is_some() {}
        rest = after;
    }
    fed.timeout(now + STEP, &mut turns);
    accepted
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{DTLS_SEED, SCTP_SEED, Side, dtls, sctp};

    #[test]
    fn both_sides_stand_before_they_are_fed() {
        let now = Instant::now();
        assert!(sctp(SCTP_SEED, now));
        assert!(dtls(DTLS_SEED, now));
        for mode in [4, 5, 6, 7] {
            let mut side = Side::begin(mode, now);
            assert!(side.sctp.stands(), "mode {mode}");
            assert!(side.feed(&SCTP_SEED[4..]));
            assert!(side.sctp.stands(), "mode {mode}");
        }
    }
}
