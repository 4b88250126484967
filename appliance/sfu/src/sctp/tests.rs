use std::time::{Duration, Instant};

use belfry_media_api::DataKind;
use belfry_model::outside::Target;
use bytes::Bytes;
use proptest::prelude::*;

use super::sealing::seal;
use super::{CHANNELS_MAX, DCEP, Sctp};

/// A client that opens channels and the server's end.
struct Pair {
    client: Sctp,
    server: Sctp,
    now: Instant,
}

impl Pair {
    fn new() -> Self {
        let now = Instant::now();
        let (mut client, mut server) = (Sctp::new(true), Sctp::new(false));
        client.start(true, now);
        server.start(false, now);
        Self { client, server, now }
    }

    /// One way and back; `spoil` sees every packet to the server.
    fn turn(&mut self, spoil: impl FnMut(&mut Vec<u8>)) {
        self.turn_both(spoil, |_| true);
    }

    /// `back`: which packets of the server arrive.
    fn turn_both(
        &mut self,
        mut spoil: impl FnMut(&mut Vec<u8>),
        mut back: impl FnMut(&[u8]) -> bool,
    ) {
        while let Some(packets) = self.client.poll_transmit(self.now) {
            for packet in packets {
                let mut packet = packet.to_vec();
                spoil(&mut packet);
                self.server.receive(packet.into(), self.now);
            }
        }
        while let Some(packets) = self.server.poll_transmit(self.now) {
            for packet in packets {
                if back(&packet) {
                    self.client.receive(packet, self.now);
                }
            }
        }
        self.now += Duration::from_millis(20);
        self.client.timeout(self.now);
        self.server.timeout(self.now);
    }
}

#[test]
fn channels_open_and_carry_messages_of_the_largest_size() {
    let mut pair = Pair::new();
    let message = Bytes::from(vec![7; 64_000]);
    pair.client.send(DataKind::Reliable, &message, pair.now).expect("held");
    let mut got = None;
    for _ in 0..200 {
        // Sealed again: the checksum here is the library's.
        pair.turn(|packet| seal(packet));
        got = got.or_else(|| pair.server.poll_received());
    }
    assert_eq!(got, Some((DataKind::Reliable, message.to_vec())));
}

#[test]
fn lossy_and_reliable_messages_survive_a_lossy_network_as_they_should() {
    let mut pair = Pair::new();
    (0..20).for_each(|_| pair.turn(|_| {}));
    for count in 0..20_u8 {
        pair.client.send(DataKind::Reliable, &vec![count; 100].into(), pair.now).expect("open");
    }
    let mut seen = 0_u32;
    let mut got = Vec::new();
    for _ in 0..3_000 {
        pair.turn(|packet| {
            seen += 1;
            if seen.is_multiple_of(3) {
                packet.clear();
            }
        });
        got.extend(std::iter::from_fn(|| pair.server.poll_received()));
    }
    let order: Vec<u8> = got.iter().map(|(_, bytes)| bytes[0]).collect();
    assert_eq!(order, (0..20).collect::<Vec<u8>>());
}

#[test]
fn an_association_begins_though_the_first_answers_are_lost() {
    let mut pair = Pair::new();
    let mut answers = 0;
    for _ in 0..1_000 {
        pair.turn_both(
            |_| {},
            |packet| {
                answers += usize::from(super::is_init_ack(packet));
                answers > 2
            },
        );
    }
    pair.client.send(DataKind::Reliable, &Bytes::from_static(b"there"), pair.now).expect("open");
    (0..10).for_each(|_| pair.turn(|_| {}));
    assert_eq!(pair.server.poll_received(), Some((DataKind::Reliable, b"there".to_vec())));
    assert_eq!(answers, 3);
}

/// One request of the remote must not keep a shard busy: the library would walk through two
/// thousand million numbers.
#[test]
fn numbers_far_ahead_are_not_walked_through() {
    let mut pair = Pair::new();
    (0..20).for_each(|_| pair.turn(|_| {}));
    let mut forged = false;
    pair.client.send(DataKind::Reliable, &Bytes::from_static(b"one"), pair.now).expect("open");
    pair.turn(|packet| {
        // Its data becomes a FORWARD TSN.
        if packet.get(12) == Some(&0) && packet.len() >= 32 {
            let number = u32::from_be_bytes([packet[16], packet[17], packet[18], packet[19]]);
            packet.truncate(12);
            packet.extend([192, 0, 0, 8]);
            packet.extend(number.wrapping_add(0x7FFF_0000).to_be_bytes());
            seal(packet);
            forged = true;
        }
    });
    assert!(forged);
    (0..100).for_each(|_| pair.turn(|_| {}));
    assert_eq!(pair.server.poll_received(), Some((DataKind::Reliable, b"one".to_vec())));
}

#[test]
fn dcep_accepts_its_seed_and_channels_are_bounded() {
    assert!(DCEP.feed(DCEP.seed()));
    assert!(DCEP.feed(&[2]), "an acknowledgement");
    assert!(!DCEP.feed(&[0]), "the library's own type, cut short");
    let mut pair = Pair::new();
    (0..20).for_each(|_| pair.turn(|_| {}));
    for stream in 0..100 {
        let request = super::dcep::Dcep::open(DataKind::Lossy);
        if let Some(association) = pair.client.association()
            && let Ok(mut opened) =
                association.open_stream(stream, super::PayloadProtocolIdentifier::Dcep)
        {
            let ppi = super::PayloadProtocolIdentifier::Dcep;
            opened.write_chunk_with_ppi(pair.now, &request, ppi).expect("open");
        }
    }
    (0..100).for_each(|_| pair.turn(|_| {}));
    assert!(pair.server.channels.len() <= CHANNELS_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What a participant may do to us after its handshake.
    #[test]
    fn no_damaged_packet_makes_us_panic(
        which in 0_usize..12,
        changes in proptest::collection::vec((12_usize..200, any::<u8>()), 1..6),
        cut in 12_usize..400,
    ) {
        let mut pair = Pair::new();
        let mut count = 0;
        for turn in 0..12 {
            if turn == 6 {
                let _held = pair.client.send(DataKind::Reliable, &vec![1; 3_000].into(), pair.now);
                let _dropped = pair.client.send(DataKind::Lossy, &vec![2; 300].into(), pair.now);
            }
            pair.turn(|packet| {
                if count == which {
                    for (at, value) in &changes {
                        if let Some(byte) = packet.get_mut(*at) {
                            *byte = *value;
                        }
                    }
                    packet.truncate(cut);
                    seal(packet);
                }
                count += 1;
            });
        }
    }
}
