//! The end of a batch: datagrams to the same destination become messages of equal segments.

use std::net::IpAddr;

use belfry_sfu::outbox::{Destination, Outbox};

use crate::sys::Message;

/// A message is one IP datagram until the device cuts it: its payload has the limit of one.
const MESSAGE_BYTES_MAX: usize = 65_000;

/// Puts the datagrams of an outbox in order: by destination, and within one as they were written.
/// `order` is reused between batches.
pub(crate) fn order(outbox: &Outbox, order: &mut Vec<u32>) {
    order.clear();
    order.extend(0..outbox.len() as u32);
    let destination = |index: u32| outbox.get(index as usize).map(|(to, _)| to);
    order.sort_unstable_by_key(|&index| (destination(index), index));
}

/// The messages to one socket. `socket_of` says to which socket a local index belongs and which
/// address to send from.
pub(crate) fn messages<'a>(
    outbox: &'a Outbox,
    order: &[u32],
    segments_max: usize,
    socket: usize,
    socket_of: impl Fn(u16) -> Option<(usize, Option<IpAddr>)>,
) -> Vec<Message<'a>> {
    let mut messages: Vec<Message<'a>> = Vec::new();
    let mut current: Option<(Destination, usize)> = None;
    for &index in order {
        let Some((to, bytes)) = outbox.get(index as usize) else { continue };
        // What something else carries is not for these sockets.
        let Destination::Udp { local, remote } = to else { continue };
        let Some((_, from)) = socket_of(local).filter(|(owner, _)| *owner == socket) else {
            continue;
        };
        if let (Some((open_to, open_bytes)), Some(message)) = (current, messages.last_mut())
            && open_to == to
            && message.segments.len() < segments_max
            && open_bytes + bytes.len() <= MESSAGE_BYTES_MAX
            && bytes.len() <= usize::from(message.segment_bytes)
            // Only the last segment may be shorter.
            && open_bytes == message.segments.len() * usize::from(message.segment_bytes)
        {
            message.segments.push(bytes);
            current = Some((to, open_bytes + bytes.len()));
            continue;
        }
        messages.push(Message {
            remote,
            local: from,
            segment_bytes: bytes.len() as u16,
            segments: vec![bytes],
        });
        current = Some((to, bytes.len()));
    }
    messages
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use belfry_sfu::outbox::{Destination, Outbox};

    use super::{messages, order};

    fn to(port: u16) -> Destination {
        Destination::udp(0, SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// Ports and lengths in, ports and lengths of segments out.
    fn check(input: &[(u16, usize)], segments_max: usize, expect: &[(u16, &[usize])]) {
        let mut outbox = Outbox::default();
        for &(port, len) in input {
            outbox.push(to(port), len);
        }
        let mut sorted = Vec::new();
        order(&outbox, &mut sorted);
        let made = messages(&outbox, &sorted, segments_max, 0, |_local| Some((0, None)));
        let made: Vec<(u16, Vec<usize>)> = made
            .iter()
            .map(|m| (m.remote.port(), m.segments.iter().map(|s| s.len()).collect()))
            .collect();
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
}
