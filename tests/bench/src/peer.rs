//! A client: str0m in RTP mode on a socket of its own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpPacket;
use str0m::{Candidate, Event, Input, Output, Rtc};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use crate::meter::Meter;

/// Datagrams that are taken before others have their turn.
const BATCH_MAX: usize = 32;
pub(crate) const DATAGRAM_BYTES_MAX: usize = 2048;

/// str0m as all peers use it: VP8 only, packets as they are.
pub(crate) fn rtc() -> Rtc {
    Rtc::builder().clear_codecs().enable_vp8(true).set_rtp_mode(true).build(Instant::now())
}

/// What a subscriber is told.
pub(crate) enum Request {
    /// Take this offer and give the answer.
    Offer(String, oneshot::Sender<String>),
    /// Take the answer to the offer that [`Subscriber::offer`] made.
    Answer(String),
    /// Give what was counted since the last request.
    Meter(oneshot::Sender<Meter>),
}

pub(crate) struct Subscriber {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    meter: Meter,
    pending: Option<SdpPendingOffer>,
    /// The zero of the times in the payloads.
    zero: Instant,
}

impl Subscriber {
    pub(crate) async fn new(zero: Instant) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let local = socket.local_addr()?;
        let mut rtc = rtc();
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        Ok(Self { rtc, socket, local, meter: Meter::default(), pending: None, zero })
    }

    /// For a forwarder that answers: an offer to receive one video track.
    pub(crate) fn offer(&mut self) -> anyhow::Result<String> {
        let mut changes = self.rtc.sdp_api();
        changes.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = changes.apply().context("an offer")?;
        self.pending = Some(pending);
        Ok(offer.to_sdp_string())
    }

    pub(crate) async fn run(mut self, mut requests: mpsc::Receiver<Request>) -> anyhow::Result<()> {
        let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let deadline = self.drain()?;
            let timeout = deadline.saturating_duration_since(Instant::now());
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.serve(request)?,
                    None => return Ok(()),
                },
                ready = self.socket.readable() => {
                    ready?;
                    for _ in 0..BATCH_MAX {
                        let Ok((length, source)) = self.socket.try_recv_from(&mut datagram) else {
                            break;
                        };
                        self.receive(&datagram[..length], source)?;
                        self.drain()?;
                    }
                }
                () = tokio::time::sleep(timeout.max(Duration::from_millis(1))) => {
                    self.rtc.handle_input(Input::Timeout(Instant::now()))?;
                }
            }
        }
    }

    fn serve(&mut self, request: Request) -> anyhow::Result<()> {
        match request {
            Request::Offer(offer, reply) => {
                let offer = SdpOffer::from_sdp_string(&offer)?;
                let answer = self.rtc.sdp_api().accept_offer(offer)?;
                reply.send(answer.to_sdp_string()).ok();
            }
            Request::Answer(answer) => {
                let pending = self.pending.take().context("an offer comes first")?;
                let answer = SdpAnswer::from_sdp_string(&answer)?;
                self.rtc.sdp_api().accept_answer(pending, answer)?;
            }
            Request::Meter(reply) => {
                reply.send(std::mem::take(&mut self.meter)).ok();
            }
        }
        Ok(())
    }

    fn receive(&mut self, datagram: &[u8], source: SocketAddr) -> anyhow::Result<()> {
        let Ok(contents) = datagram.try_into() else { return Ok(()) };
        let receive = Receive { proto: Protocol::Udp, source, destination: self.local, contents };
        self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
        Ok(())
    }

    /// Sends and counts what is ready; returns when to come back.
    fn drain(&mut self) -> anyhow::Result<Instant> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(transmit) => {
                    // Reports that do not fit the socket now are as good as lost on the way.
                    self.socket.try_send_to(&transmit.contents, transmit.destination).ok();
                }
                Output::Event(Event::RtpPacket(packet)) => self.count(&packet),
                Output::Event(_) => {}
            }
        }
    }

    fn count(&mut self, packet: &RtpPacket) {
        if let Some(sent) = sent_at(&packet.payload) {
            let latency = self.zero.elapsed().saturating_sub(sent);
            self.meter.count(*packet.seq_no, latency);
        }
    }
}

/// The time in the last bytes of a payload, which a forwarder does not touch.
fn sent_at(payload: &[u8]) -> Option<Duration> {
    let nanoseconds = payload.last_chunk::<8>()?;
    Some(Duration::from_nanos(u64::from_be_bytes(*nanoseconds)))
}

/// The publisher's offer.
pub(crate) fn publish(rtc: &mut Rtc) -> anyhow::Result<(Mid, String, SdpPendingOffer)> {
    let mut changes = rtc.sdp_api();
    let mid = changes.add_media(
        MediaKind::Video,
        Direction::SendOnly,
        Some("stream".to_owned()),
        Some("camera".to_owned()),
        None,
    );
    let (offer, pending) = changes.apply().context("an offer")?;
    Ok((mid, offer.to_sdp_string(), pending))
}
