//! The publisher, on a thread of its own so that receiving does not disturb its pace.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::Mid;
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, SeqNo};
use str0m::{Candidate, Event, Input, Output, Rtc};

use crate::peer::{self, DATAGRAM_BYTES_MAX};

const PAYLOAD_BYTES: usize = 1080;
const BURST: u32 = 4;
const FRAMES_PER_SECOND: u32 = 30;
/// Hertz of the RTP timestamps of video.
const CLOCK_RATE: u32 = 90_000;
/// Packets per second at the start; an encoder does not begin at its full rate either, and a
/// forwarder that estimates its subscribers' bandwidth starts below 9 Mbit/s.
const START_RATE: f64 = 400.0;
/// Growth of the rate in a second, until it is what was asked for.
const RAMP: f64 = 1.08;
/// What the thread sleeps at most, so that bursts come on time.
const NAP: Duration = Duration::from_micros(300);

pub(crate) struct Publisher {
    rtc: Rtc,
    socket: UdpSocket,
    mid: Mid,
    pending: Option<SdpPendingOffer>,
    connected: bool,
    keyframe_wanted: bool,
    sequence: u64,
    frame: u32,
    zero: Instant,
}

/// How long a publisher takes to come to this rate.
pub(crate) fn ramp(packets_per_second: u32) -> Duration {
    let times = (f64::from(packets_per_second) / START_RATE).max(1.0);
    Duration::from_secs_f64(times.ln() / RAMP.ln())
}

impl Publisher {
    /// The publisher and its offer.
    pub(crate) fn new(zero: Instant) -> anyhow::Result<(Self, String)> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        let mut rtc = peer::rtc();
        rtc.add_local_candidate(Candidate::host(socket.local_addr()?, "udp")?);
        let (mid, offer, pending) = peer::publish(&mut rtc)?;
        let publisher = Self {
            rtc,
            socket,
            mid,
            pending: Some(pending),
            connected: false,
            keyframe_wanted: true,
            sequence: 1,
            frame: 0,
            zero,
        };
        Ok((publisher, offer))
    }

    pub(crate) fn mid(&self) -> String {
        self.mid.to_string()
    }

    /// Sends at this rate from the moment that it is connected, until it is told to stop.
    pub(crate) fn run(
        mut self,
        answer: &str,
        packets_per_second: u32,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<()> {
        let pending = self.pending.take().context("the offer")?;
        self.rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(answer)?)?;
        let target = f64::from(packets_per_second);
        let mut start = Instant::now();
        let packets_per_frame = packets_per_second / FRAMES_PER_SECOND;
        let mut burst_at = Instant::now();
        let mut in_frame = 0;
        while !stop.load(Ordering::Relaxed) {
            let deadline = self.drain()?;
            self.receive()?;
            let now = Instant::now();
            if now >= deadline {
                self.rtc.handle_input(Input::Timeout(now))?;
                self.drain()?;
            }
            if !self.connected {
                (start, burst_at) = (now, now);
            } else if now >= burst_at {
                // Nothing is caught up after a long wait: that would be another load.
                let rate = target.min(START_RATE * RAMP.powf((now - start).as_secs_f64()));
                burst_at = (burst_at + Duration::from_secs_f64(f64::from(BURST) / rate)).max(now);
                for _ in 0..BURST {
                    self.send(in_frame, in_frame + 1 == packets_per_frame)?;
                    in_frame = (in_frame + 1) % packets_per_frame;
                }
            }
            std::thread::sleep(NAP.min(burst_at.saturating_duration_since(Instant::now())));
        }
        Ok(())
    }

    fn send(&mut self, in_frame: u32, last: bool) -> anyhow::Result<()> {
        if in_frame == 0 {
            self.frame += 1;
        }
        let keyframe = self.keyframe_wanted && in_frame == 0;
        self.keyframe_wanted &= !keyframe;
        let payload = payload(self.frame, in_frame == 0, keyframe, self.zero.elapsed());
        let sequence = SeqNo::from(self.sequence);
        self.sequence += 1;
        let pt = {
            let media = self.rtc.media(self.mid).context("the media")?;
            *media.remote_pts().first().context("a payload type")?
        };
        let time = self.frame.wrapping_mul(CLOCK_RATE / FRAMES_PER_SECOND);
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(self.mid, None).context("the stream")?;
        let packet = RtpWrite::new(pt, sequence, time, Instant::now(), payload.as_slice());
        stream.write_rtp(packet.marker(last).nackable(true));
        self.drain()?;
        Ok(())
    }

    fn receive(&mut self) -> anyhow::Result<()> {
        let mut datagram = [0; DATAGRAM_BYTES_MAX];
        let destination = self.socket.local_addr()?;
        while let Ok((length, source)) = self.socket.recv_from(&mut datagram) {
            let Ok(contents) = datagram[..length].try_into() else { continue };
            let receive = Receive { proto: Protocol::Udp, source, destination, contents };
            self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
            self.drain()?;
        }
        Ok(())
    }

    fn drain(&mut self) -> anyhow::Result<Instant> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(transmit) => {
                    self.socket.send_to(&transmit.contents, transmit.destination).ok();
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::KeyframeRequest(_)) => self.keyframe_wanted = true,
                Output::Event(_) => {}
            }
        }
    }
}

/// VP8 as RFC 7741 has it, as far as a forwarder looks: a descriptor with a 15-bit picture id and,
/// at a frame's start, the header that tells a keyframe. The rest is filling, with the time of
/// sending at its end.
fn payload(frame: u32, start: bool, keyframe: bool, sent: Duration) -> Vec<u8> {
    let mut payload = vec![0x5A; PAYLOAD_BYTES];
    let picture = (frame & 0x7FFF) as u16 | 0x8000;
    payload[0] = if start { 0x90 } else { 0x80 };
    payload[1] = 0x80;
    payload[2..4].copy_from_slice(&picture.to_be_bytes());
    if start {
        // The first bit of the frame header (RFC 6386 section 9.1) is 0 for a keyframe; then come
        // a start code, width and height.
        payload[4] = u8::from(!keyframe) | 0x10;
        if keyframe {
            payload[7..14].copy_from_slice(&[0x9D, 0x01, 0x2A, 0x00, 0x05, 0xD0, 0x02]);
        }
    }
    let nanoseconds = u64::try_from(sent.as_nanos()).unwrap_or(u64::MAX);
    payload[PAYLOAD_BYTES - 8..].copy_from_slice(&nanoseconds.to_be_bytes());
    payload
}
