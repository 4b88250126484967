use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use super::{Datagrams, Message, Sender, Sent, Waker, open_udp, wait};

const PATIENCE: Duration = Duration::from_secs(10);

fn loopback(shared: bool) -> UdpSocket {
    open_udp("127.0.0.1:0".parse().expect("an address"), shared).expect("loopback is there")
}

fn collect(socket: &UdpSocket, wanted: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut datagrams = Datagrams::new();
    let mut got = Vec::new();
    let give_up = Instant::now() + PATIENCE;
    while got.len() < wanted && Instant::now() < give_up {
        let fd = std::os::fd::AsRawFd::as_raw_fd(socket);
        let mut fds = [libc::pollfd { fd, events: 0, revents: 0 }];
        wait(&mut fds, Duration::from_millis(100));
        datagrams.receive(socket, |datagram| got.push((datagram.source, datagram.bytes.to_vec())));
    }
    got
}

/// The same datagrams arrive, in order, whether the kernel segments or not.
fn check_segments(segments: bool) {
    let (from, to) = (loopback(false), loopback(false));
    let mut sender = Sender::new(&from);
    sender.segments &= segments;
    let payloads: Vec<Vec<u8>> =
        (0..130_u8).map(|count| vec![count; if count == 129 { 700 } else { 900 }]).collect();
    let remote = to.local_addr().expect("bound");
    let mut sent = Sent::default();
    for chunk in payloads.chunks(sender.segments_max()) {
        let segment_count = chunk.len();
        let message = Message { remote, local: None, segment_bytes: 900, segment_count };
        let segments: Vec<&[u8]> = chunk.iter().map(Vec::as_slice).collect();
        sent.add(sender.send(&from, &[message], &segments));
    }
    assert_eq!((sent.taken, sent.failed), (130, 0));
    let got = collect(&to, 130);
    assert!(got.iter().all(|(source, _)| *source == from.local_addr().expect("bound")));
    assert!(got.into_iter().map(|(_, bytes)| bytes).eq(payloads));
}

#[test]
fn segmented_datagrams_arrive_as_single_ones() {
    check_segments(true);
    check_segments(false);
}

#[test]
fn a_message_that_cannot_be_sent_does_not_keep_back_the_others() {
    let (from, to) = (loopback(false), loopback(false));
    let mut sender = Sender::new(&from);
    let message = |local: Option<IpAddr>, segment_count| Message {
        remote: to.local_addr().expect("bound"),
        local,
        segment_bytes: 1,
        segment_count,
    };
    let elsewhere: IpAddr = [192, 0, 2, 1].into();
    let long = vec![0; 65_535];
    // The second is from an address that this machine does not have.
    let messages =
        [message(None, 1), message(Some(elsewhere), 2), message(None, 1), message(None, 1)];
    let segments: [&[u8]; 5] = [b"a", b"x", b"y", &long, b"b"];
    let sent = sender.send(&from, &messages, &segments);
    assert_eq!((sent.taken, sent.failed), (2, 3));
    let got: Vec<Vec<u8>> = collect(&to, 2).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(got, [b"a", b"b"]);
}

#[test]
fn a_datagram_says_which_address_of_ours_was_meant() {
    for (listen, asked) in [("0.0.0.0:0", "127.0.0.3"), ("[::]:0", "127.0.0.4")] {
        let socket = open_udp(listen.parse().expect("an address"), false).expect("a wildcard");
        let port = socket.local_addr().expect("bound").port();
        let asked: IpAddr = asked.parse().expect("an address");
        loopback(false).send_to(b"hello", (asked, port)).expect("loopback takes it");
        let mut local = None;
        let mut datagrams = Datagrams::new();
        let give_up = Instant::now() + PATIENCE;
        while local.is_none() && Instant::now() < give_up {
            datagrams.receive(&socket, |datagram| local = datagram.local);
        }
        assert_eq!(local.map(|ip| ip.to_canonical()), Some(asked), "{listen}");
    }
}

#[test]
fn sockets_that_share_a_port_get_disjoint_parts() {
    let first = loopback(true);
    let address = first.local_addr().expect("bound");
    let second = open_udp(address, true).expect("shared");
    let sources: Vec<UdpSocket> = (0..64).map(|_| loopback(false)).collect();
    for source in &sources {
        source.send_to(b"x", address).expect("loopback takes it");
    }
    let mut counts = BTreeMap::new();
    let give_up = Instant::now() + PATIENCE;
    let mut datagrams = Datagrams::new();
    while counts.values().sum::<usize>() < 64 && Instant::now() < give_up {
        for (index, socket) in [&first, &second].into_iter().enumerate() {
            *counts.entry(index).or_insert(0) += datagrams.receive(socket, |_| {});
        }
    }
    assert_eq!(counts.values().sum::<usize>(), 64);
    assert!(counts.values().all(|count| *count > 0), "{counts:?}");
}

#[test]
fn a_wake_ends_the_wait_and_is_taken_back() {
    let waker = Waker::new().expect("eventfd");
    let mut fds = [libc::pollfd { fd: waker.fd(), events: 0, revents: 0 }];
    waker.wake();
    waker.clone().wake();
    wait(&mut fds, PATIENCE);
    assert_ne!(fds[0].revents, 0);
    waker.clear();
    wait(&mut fds, Duration::ZERO);
    assert_eq!(fds[0].revents, 0);
}
