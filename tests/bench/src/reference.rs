//! str0m as a forwarder: the smallest loop that does the work, in a process of its own.
//!
//! Spoken to over the worker link: a byte (`p` publisher, `s` subscriber) and an offer go in, the
//! answer comes out.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use belfry_workers::{Spec, Worker, link};
use str0m::change::SdpOffer;
use str0m::media::{KeyframeRequestKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc};

use crate::peer::{self, DATAGRAM_BYTES_MAX, Request};

/// How long the loop waits for a datagram before it looks for new peers.
const WAIT_MAX: Duration = Duration::from_millis(20);

/// The bench's side.
pub(crate) struct Reference {
    pub(crate) process_id: u32,
    worker: Worker,
}

impl Reference {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let worker = Worker::start(&Spec {
            name: "reference",
            program: None,
            args: vec!["reference".into()],
            silence_max: Duration::from_mins(1),
            stop_max: Duration::from_secs(1),
            listener: None,
        })?;
        Ok(Self { process_id: worker.process_id().context("a process id")?, worker })
    }

    pub(crate) async fn answer(&mut self, publisher: bool, offer: &str) -> anyhow::Result<String> {
        let mut frame = vec![if publisher { b'p' } else { b's' }];
        frame.extend_from_slice(offer.as_bytes());
        self.worker.send(&frame).await?;
        let answer = self.worker.receive().await?.context("the reference ended")?;
        Ok(String::from_utf8(answer)?)
    }

    pub(crate) async fn subscribe(
        &mut self,
        offered: Vec<(tokio::sync::mpsc::Sender<Request>, String)>,
    ) -> anyhow::Result<()> {
        for (requests, offer) in offered {
            let answer = self.answer(false, &offer).await?;
            requests.send(Request::Answer(answer)).await?;
        }
        Ok(())
    }
}

struct Peer {
    rtc: Rtc,
    /// Of its one section, once it is known.
    mid: Option<Mid>,
    deadline: Instant,
}

struct Forwarder {
    socket: UdpSocket,
    local: SocketAddr,
    /// The first is the publisher.
    peers: Vec<Peer>,
    by_address: HashMap<SocketAddr, usize>,
    /// Packets of the publisher that wait to be forwarded.
    packets: Vec<RtpPacket>,
    keyframe_wanted: bool,
}

/// The child's side.
pub(crate) fn run() -> anyhow::Result<()> {
    let (mut receiving, mut sending) = link::take()?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let local = socket.local_addr()?;
    let (joined, joining): (Sender<Rtc>, Receiver<Rtc>) = channel();
    std::thread::spawn(move || {
        Forwarder {
            socket,
            local,
            peers: Vec::new(),
            by_address: HashMap::new(),
            packets: Vec::new(),
            keyframe_wanted: false,
        }
        .run(&joining)
        .unwrap();
    });
    while let Some(frame) = receiving.receive()? {
        let (_publisher, offer) = frame.split_first().context("an offer")?;
        let mut rtc = peer::rtc();
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        let offer = SdpOffer::from_sdp_string(std::str::from_utf8(offer)?)?;
        let answer = rtc.sdp_api().accept_offer(offer)?;
        joined.send(rtc)?;
        sending.send(answer.to_sdp_string().as_bytes())?;
    }
    Ok(())
}

impl Forwarder {
    fn run(mut self, joining: &Receiver<Rtc>) -> anyhow::Result<()> {
        let mut datagram = [0; DATAGRAM_BYTES_MAX];
        loop {
            while let Ok(rtc) = joining.try_recv() {
                self.peers.push(Peer { rtc, mid: None, deadline: Instant::now() });
            }
            let now = Instant::now();
            for index in 0..self.peers.len() {
                if self.peers[index].deadline <= now {
                    self.peers[index].rtc.handle_input(Input::Timeout(now))?;
                    self.drain(index)?;
                }
            }
            self.forward()?;
            let next = self.peers.iter().map(|peer| peer.deadline).min();
            let wait = next.map_or(WAIT_MAX, |at| at.saturating_duration_since(Instant::now()));
            self.socket.set_read_timeout(Some(wait.clamp(Duration::from_millis(1), WAIT_MAX)))?;
            if let Ok((length, source)) = self.socket.recv_from(&mut datagram) {
                self.receive(&datagram[..length], source)?;
                self.forward()?;
            }
        }
    }

    fn receive(&mut self, datagram: &[u8], source: SocketAddr) -> anyhow::Result<()> {
        let Ok(contents) = datagram.try_into() else { return Ok(()) };
        let receive = Receive { proto: Protocol::Udp, source, destination: self.local, contents };
        let input = Input::Receive(Instant::now(), receive);
        let known = self.by_address.get(&source).copied();
        let index = known.or_else(|| self.peers.iter().position(|peer| peer.rtc.accepts(&input)));
        let Some(index) = index else { return Ok(()) };
        self.by_address.insert(source, index);
        self.peers[index].rtc.handle_input(input)?;
        self.drain(index)
    }

    fn drain(&mut self, index: usize) -> anyhow::Result<()> {
        let peer = &mut self.peers[index];
        loop {
            match peer.rtc.poll_output()? {
                Output::Timeout(at) => {
                    peer.deadline = at;
                    return Ok(());
                }
                Output::Transmit(transmit) => {
                    self.socket.send_to(&transmit.contents, transmit.destination).ok();
                }
                Output::Event(Event::MediaAdded(added)) => peer.mid = Some(added.mid),
                Output::Event(Event::RtpPacket(packet)) if index == 0 => self.packets.push(packet),
                Output::Event(Event::KeyframeRequest(_)) => self.keyframe_wanted = true,
                Output::Event(_) => {}
            }
        }
    }

    fn forward(&mut self) -> anyhow::Result<()> {
        for packet in std::mem::take(&mut self.packets) {
            for index in 1..self.peers.len() {
                let peer = &mut self.peers[index];
                let Some(mid) = peer.mid.filter(|_| peer.rtc.is_connected()) else { continue };
                let mut api = peer.rtc.direct_api();
                let Some(stream) = api.stream_tx_by_mid(mid, None) else { continue };
                let payload = packet.payload.clone();
                let header = &packet.header;
                let (pt, time) = (header.payload_type, header.timestamp);
                stream.write_rtp(
                    RtpWrite::new(pt, packet.seq_no, time, packet.timestamp, payload)
                        .marker(header.marker)
                        .nackable(true),
                );
                self.drain(index)?;
            }
        }
        if std::mem::take(&mut self.keyframe_wanted)
            && let Some(publisher) = self.peers.first_mut()
            && let Some(mid) = publisher.mid
            && let Some(stream) = publisher.rtc.direct_api().stream_rx_by_mid(mid, None)
        {
            stream.request_keyframe(KeyframeRequestKind::Pli);
            self.drain(0)?;
        }
        Ok(())
    }
}
