//! The end of a batch: datagrams to the same destination become messages of equal segments.

use std::net::{IpAddr, SocketAddr};

use arrayvec::ArrayVec;
use belfry_sfu::outbox::{Destination, Outbox};

use crate::sys::{Message, SEGMENTS_BATCH_MAX, SEND_BATCH_MAX};

/// A message is one IP datagram until the device cuts it: its payload has the limit of one.
const MESSAGE_BYTES_MAX: usize = 65_000;

/// The order in which the datagrams of an outbox leave by sockets: by destination, and within one as
/// they were written. The memory is reused between batches.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// A number made of the destination, and the datagram's place in the outbox.
    keys: Vec<u64>,
}

impl Order {
    pub(crate) fn arrange(&mut self, outbox: &Outbox) {
        self.keys.clear();
        let keys = (0..outbox.len()).filter_map(|index| match outbox.get(index)?.0 {
            Destination::Udp { local, remote } => Some(key(local, remote) | index as u64),
            // What something else carries is not for sockets.
            Destination::Via { .. } => None,
        });
        self.keys.extend(keys);
        self.keys.sort_unstable();
    }

    fn indexes(&self) -> impl Iterator<Item = usize> {
        self.keys.iter().map(|key| (key & u64::from(u32::MAX)) as usize)
    }
}

/// A number made of a destination, in the upper half. Equal numbers of different destinations cost
/// the two of them longer messages, and nothing else.
fn key(local: u16, remote: SocketAddr) -> u64 {
    let ip = match remote.ip() {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => ip.into(),
    };
    let ports = u64::from(remote.port()) << 16 | u64::from(local);
    // The multiplier of Fibonacci hashing: 2^64 over the golden ratio.
    let mixed = ((ip >> 64) as u64 ^ (ip as u64).rotate_left(29) ^ ports)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed & !u64::from(u32::MAX)
}

/// Messages to one socket, as many as one system call takes, and their segments in a row.
#[derive(Debug, Default)]
pub(crate) struct Batch<'a> {
    pub(crate) messages: ArrayVec<Message, SEND_BATCH_MAX>,
    pub(crate) segments: ArrayVec<&'a [u8], SEGMENTS_BATCH_MAX>,
    /// The destination of the last message, and its bytes.
    open: Option<(Destination, usize)>,
}

impl<'a> Batch<'a> {
    /// Adds a datagram to the last message if it can be a segment of it.
    fn lengthens(&mut self, to: Destination, bytes: &'a [u8], segments_max: usize) -> bool {
        let (Some((open_to, open_bytes)), Some(message)) =
            (&mut self.open, self.messages.last_mut())
        else {
            return false;
        };
        let joins = *open_to == to
            && message.segment_count < segments_max
            && *open_bytes + bytes.len() <= MESSAGE_BYTES_MAX
            && bytes.len() <= usize::from(message.segment_bytes)
            // Only the last segment may be shorter.
            && *open_bytes == message.segment_count * usize::from(message.segment_bytes)
            && self.segments.try_push(bytes).is_ok();
        if joins {
            message.segment_count += 1;
            *open_bytes += bytes.len();
        }
        joins
    }

    /// `false` if there is no room for another message.
    fn begins(
        &mut self,
        to: (Destination, SocketAddr),
        from: Option<IpAddr>,
        bytes: &'a [u8],
    ) -> bool {
        if self.messages.is_full() || self.segments.is_full() {
            return false;
        }
        self.messages.push(Message {
            remote: to.1,
            local: from,
            segment_bytes: bytes.len() as u16,
            segment_count: 1,
        });
        self.segments.push(bytes);
        self.open = Some((to.0, bytes.len()));
        true
    }
}

/// Makes messages to one socket of an outbox in order, and hands them over batch by batch.
/// `socket_of` says to which socket a local index belongs and which address to send from.
pub(crate) fn batches<'a>(
    outbox: &'a Outbox,
    order: &Order,
    segments_max: usize,
    socket: usize,
    socket_of: impl Fn(u16) -> Option<(usize, Option<IpAddr>)>,
    mut send: impl FnMut(&Batch<'a>),
) {
    let mut batch = Batch::default();
    for index in order.indexes() {
        let Some((to, bytes)) = outbox.get(index) else { continue };
        let Destination::Udp { local, remote } = to else { continue };
        if batch.lengthens(to, bytes, segments_max) {
            continue;
        }
        let Some((_, from)) = socket_of(local).filter(|(owner, _)| *owner == socket) else {
            continue;
        };
        if !batch.begins((to, remote), from, bytes) {
            send(&batch);
            batch = Batch::default();
            batch.begins((to, remote), from, bytes);
        }
    }
    if !batch.messages.is_empty() {
        send(&batch);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use belfry_sfu::outbox::{Destination, Outbox};

    use super::{Order, batches};
    use crate::sys::{SEGMENTS_BATCH_MAX, SEND_BATCH_MAX};

    fn to(port: u16) -> Destination {
        Destination::udp(0, SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// Ports and lengths of segments.
    fn made(outbox: &Outbox, segments_max: usize) -> Vec<(u16, Vec<usize>)> {
        let mut order = Order::default();
        order.arrange(outbox);
        let mut made = Vec::new();
        batches(
            outbox,
            &order,
            segments_max,
            0,
            |_local| Some((0, None)),
            |batch| {
                let mut segments = batch.segments.iter();
                for message in &batch.messages {
                    let lens = segments.by_ref().take(message.segment_count).map(|s| s.len());
                    made.push((message.remote.port(), lens.collect()));
                }
                assert_eq!(segments.count(), 0, "each belongs to a message");
            },
        );
        made
    }

    /// Ports and lengths in, ports and lengths of segments out.
    fn check(input: &[(u16, usize)], segments_max: usize, expect: &[(u16, &[usize])]) {
        let mut outbox = Outbox::default();
        for &(port, len) in input {
            outbox.push(to(port), len);
        }
        let mut made = made(&outbox, segments_max);
        made.sort_by_key(|(port, _)| *port);
        let expect: Vec<_> = expect.iter().map(|(port, lens)| (*port, lens.to_vec())).collect();
        assert_eq!(made, expect);
    }

    #[test]
    fn equal_datagrams_to_one_destination_are_one_message() {
        check(&[(1, 9), (2, 9), (1, 9), (2, 9), (1, 9)], 64, &[(1, &[9, 9, 9]), (2, &[9, 9])]);
    }

    #[test]
    fn a_shorter_one_ends_a_message_and_a_longer_one_begins_another() {
        check(
            &[(1, 9), (1, 9), (1, 8), (1, 8), (1, 9)],
            64,
            &[(1, &[9, 9, 8]), (1, &[8]), (1, &[9])],
        );
        check(&[(1, 8), (1, 9), (1, 9)], 64, &[(1, &[8]), (1, &[9, 9])]);
    }

    #[test]
    fn messages_end_at_the_limits() {
        check(&[(1, 9), (1, 9), (1, 9)], 2, &[(1, &[9, 9]), (1, &[9])]);
        check(&[(1, 9), (1, 9)], 1, &[(1, &[9]), (1, &[9])]);
        let many = vec![(1, 1_400); 50];
        check(&many, 64, &[(1, &[1_400; 46]), (1, &[1_400; 4])]);
    }

    #[test]
    fn more_than_one_call_takes_is_several_batches_and_nothing_is_missing() {
        for (ports, each) in [(SEND_BATCH_MAX as u16 * 2 + 1, 1), (20, SEGMENTS_BATCH_MAX / 16)] {
            let mut outbox = Outbox::default();
            for number in 0..each {
                for port in 0..ports {
                    outbox.push(to(port), 8 + number);
                }
            }
            let mut made = made(&outbox, 64);
            made.sort();
            let sum: usize = made.iter().flat_map(|(_, lens)| lens).sum();
            assert_eq!(sum, outbox.bytes_len());
        }
    }
}
