//! A client with its two peer connections, by str0m.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use belfry_model::{ParticipantSid, TrackSid};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind, Mid, Rid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionValues, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use super::recording::{Described, DescriptorBytes, Player, URI};
use super::{SERVER, sid};

const RIDS: [&str; 3] = ["q", "h", "f"];
/// Packets of a frame, by layer.
const FRAME_PACKETS: [usize; 3] = [1, 2, 4];
const FRAME: Duration = Duration::from_millis(33);
/// The VP8 descriptor of the camera: extended, 15-bit picture id, TL0PICIDX, no more.
const DESCRIPTOR_BYTES: usize = 5;

/// A packet that a subscriber got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) picture_id: u16,
    pub(crate) keyframe: bool,
    /// As the publisher wrote it into the payload.
    pub(crate) publisher: u8,
    pub(crate) layer: u8,
    pub(crate) audio: bool,
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    /// The dependency descriptor.
    pub(crate) descriptor: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

#[derive(Default)]
struct Camera {
    mid: Option<Mid>,
    next: Option<Instant>,
    sequence: [u64; 3],
    picture_id: u16,
    keyframe: [bool; 3],
    pub(crate) frames: u64,
}

pub(crate) struct Client {
    pub(crate) sid: ParticipantSid,
    index: usize,
    pub(crate) publisher: Rtc,
    pub(crate) subscriber: Rtc,
    pub(crate) sent: Vec<(SocketAddr, Vec<u8>)>,
    pub(crate) offers: Vec<(u32, String)>,
    pub(crate) mids: Vec<(String, TrackSid)>,
    pub(crate) got: Vec<Got>,
    pub(crate) data: Vec<Vec<u8>>,
    pub(crate) keyframe_requests: [usize; 3],
    pub(crate) keyframe_requests_of_stream: usize,
    /// Whether each layer is sent.
    pub(crate) layers: [bool; 3],
    pub(crate) speaks: bool,
    pub(crate) on: bool,
    pending: Option<SdpPendingOffer>,
    camera: Camera,
    /// Plays instead of the camera.
    pub(crate) player: Option<Player>,
    /// The microphone's packets carry the one before, too.
    red: bool,
    microphone: Option<Mid>,
    audio_sequence: u64,
    audio_next: Option<Instant>,
}

impl Client {
    pub(crate) fn new(index: usize, codec: Codec, red: bool, now: Instant) -> Self {
        let connection = |port: u16| {
            let config = RtcConfig::new().set_rtp_mode(true).clear_codecs();
            let config = config.enable_opus(true, red);
            let config = match codec {
                Codec::Vp9 => config.enable_vp9(true),
                Codec::H264 => config.enable_h264(true),
                Codec::Av1 => config.enable_av1(true),
                _ => config.enable_vp8(true),
            };
            let descriptor = Extension::with_serializer(URI, Described);
            let mut rtc = config.set_extension(13, descriptor).build(now);
            let address = SocketAddr::from(([10, 0, 1, index as u8], port));
            rtc.add_local_candidate(Candidate::host(address, "udp").expect("a candidate"));
            rtc
        };
        Self {
            sid: sid(index),
            index,
            publisher: connection(4_000),
            subscriber: connection(4_001),
            sent: Vec::new(),
            offers: Vec::new(),
            mids: Vec::new(),
            got: Vec::new(),
            data: Vec::new(),
            keyframe_requests: [0; 3],
            keyframe_requests_of_stream: 0,
            layers: [true; 3],
            speaks: false,
            on: true,
            pending: None,
            camera: Camera { keyframe: [true; 3], ..Camera::default() },
            player: None,
            red,
            microphone: None,
            audio_sequence: 100,
            audio_next: None,
        }
    }

    pub(crate) fn offer_camera(&mut self) -> String {
        let mut simulcast = Simulcast::new();
        for rid in RIDS {
            simulcast.add_send_layer(SimulcastLayer::new(rid));
        }
        self.offer(MediaKind::Video, "camera", Some(simulcast))
    }

    /// A camera that sends one stream, for a player.
    pub(crate) fn offer_stream(&mut self) -> String {
        self.offer(MediaKind::Video, "camera", None)
    }

    pub(crate) fn offer_microphone(&mut self) -> String {
        self.offer(MediaKind::Audio, "microphone", None)
    }

    fn offer(&mut self, kind: MediaKind, label: &str, simulcast: Option<Simulcast>) -> String {
        let mut change = self.publisher.sdp_api();
        let stream = Some("stream".to_owned());
        let mid =
            change.add_media(kind, Direction::SendOnly, stream, Some(label.to_owned()), simulcast);
        let (offer, pending) = change.apply().expect("something changed");
        self.pending = Some(pending);
        match kind {
            MediaKind::Video => self.camera.mid = Some(mid),
            MediaKind::Audio => self.microphone = Some(mid),
        }
        offer.to_sdp_string()
    }

    pub(crate) fn offer_restart(&mut self) -> String {
        let mut change = self.publisher.sdp_api();
        change.ice_restart(true);
        let (offer, pending) = change.apply().expect("something changed");
        self.pending = Some(pending);
        offer.to_sdp_string()
    }

    pub(crate) fn answered(&mut self, sdp: &str) {
        let answer = SdpAnswer::from_sdp_string(sdp).expect("str0m reads our answer");
        let pending = self.pending.take().expect("an offer is outstanding");
        self.publisher.sdp_api().accept_answer(pending, answer).expect("str0m takes our answer");
    }

    pub(crate) fn answer(&mut self) -> (u32, String) {
        let (id, sdp) = self.offers.last().cloned().expect("an offer came");
        let offer = SdpOffer::from_sdp_string(&sdp).expect("str0m reads our offer");
        let answer = self.subscriber.sdp_api().accept_offer(offer).expect("str0m takes our offer");
        (id, answer.to_sdp_string())
    }

    pub(crate) fn receive(&mut self, bytes: &[u8], target: SocketAddr, now: Instant) {
        let port = if target.ip() == SocketAddr::from(([10, 0, 1, self.index as u8], 0)).ip() {
            target.port()
        } else {
            return;
        };
        let receive =
            Receive::new(Protocol::Udp, SERVER.into(), target, bytes).expect("a datagram");
        let rtc = if port == 4_000 { &mut self.publisher } else { &mut self.subscriber };
        rtc.handle_input(Input::Receive(now, receive)).expect("str0m takes what we send");
        self.drain();
    }

    pub(crate) fn step(&mut self, now: Instant) {
        for rtc in [&mut self.publisher, &mut self.subscriber] {
            rtc.handle_input(Input::Timeout(now)).expect("time passes");
        }
        if self.publisher.is_connected() && self.on {
            match &self.player {
                Some(_) => self.play(now),
                None => self.film(now),
            }
            self.record(now);
        }
        self.drain();
    }

    fn drain(&mut self) {
        let mut events = Vec::new();
        for rtc in [&mut self.publisher, &mut self.subscriber] {
            loop {
                match rtc.poll_output().expect("str0m works") {
                    Output::Timeout(_) => break,
                    Output::Transmit(transmit) => {
                        self.sent.push((transmit.source, transmit.contents.to_vec()));
                    }
                    Output::Event(event) => events.push(event),
                }
            }
        }
        for event in events {
            self.hear(event);
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::KeyframeRequest(request) => {
                let rid = request.rid;
                self.keyframe_requests_of_stream += usize::from(rid.is_none());
                for (layer, name) in RIDS.iter().enumerate() {
                    if rid == Some(Rid::from(*name)) {
                        self.camera.keyframe[layer] = true;
                        self.keyframe_requests[layer] += 1;
                    }
                }
            }
            Event::RtpPacket(packet) => {
                let payload = &packet.payload;
                let audio = payload.len() < 16;
                let at = |index: usize| payload.get(index).copied().unwrap_or(0);
                let body = if audio { 0 } else { DESCRIPTOR_BYTES };
                self.got.push(Got {
                    sequence: *packet.seq_no,
                    timestamp: packet.header.timestamp,
                    picture_id: u16::from_be_bytes([at(2) & 0x7F, at(3)]),
                    keyframe: !audio && at(0) & 0x10 != 0 && at(body) & 1 == 0,
                    publisher: at(body + 1),
                    layer: at(body + 2),
                    audio,
                    payload_type: *packet.header.payload_type,
                    marker: packet.header.marker,
                    descriptor: packet
                        .header
                        .ext_vals
                        .user_values
                        .get::<DescriptorBytes>()
                        .map(|bytes| bytes.0.clone())
                        .unwrap_or_default(),
                    payload: payload.iter().take(64).copied().collect(),
                });
            }
            Event::ChannelData(data) => self.data.push(data.data),
            _ => {}
        }
    }

    /// Sends the frames that are due.
    fn film(&mut self, now: Instant) {
        let (Some(mid), next) = (self.camera.mid, *self.camera.next.get_or_insert(now)) else {
            return;
        };
        if next > now || self.publisher.media(mid).is_none() {
            return;
        }
        self.camera.next = Some(next + FRAME);
        self.camera.frames += 1;
        self.camera.picture_id = (self.camera.picture_id + 1) & 0x7FFF;
        let params = self.publisher.codec_config().find(|params| params.spec().codec == Codec::Vp8);
        let pt = params.expect("VP8 is on").pt();
        for layer in 0..3 {
            if !self.layers[layer] {
                continue;
            }
            let keyframe = std::mem::take(&mut self.camera.keyframe[layer]);
            let picture_id = self.camera.picture_id + 1_000 * layer as u16;
            let time = (self.camera.frames as u32).wrapping_mul(2_970) + 7_000_000 * layer as u32;
            for part in 0..FRAME_PACKETS[layer] {
                let sequence = &mut self.camera.sequence[layer];
                *sequence += 1;
                let mut payload = vec![if part == 0 { 0x90 } else { 0x80 }, 0xC0];
                payload.extend_from_slice(&(picture_id | 0x8000).to_be_bytes());
                payload.push(picture_id as u8);
                payload.push(u8::from(!(keyframe && part == 0)));
                payload.extend_from_slice(&[self.index as u8, layer as u8]);
                payload.resize(1_000, 0xAB);
                let marker = part + 1 == FRAME_PACKETS[layer];
                let write = RtpWrite::new(pt, (*sequence).into(), time, now, payload);
                let mut direct = self.publisher.direct_api();
                let rid = Some(Rid::from(RIDS[layer]));
                let Some(stream) = direct.stream_tx_by_mid(mid, rid) else { continue };
                stream.write_rtp(write.marker(marker).nackable(true));
                self.publisher.handle_input(Input::Timeout(now)).expect("time passes");
                self.drain();
            }
        }
    }

    /// Sends the recorded packets that are due.
    fn play(&mut self, now: Instant) {
        let (Some(mid), Some(player)) = (self.camera.mid, self.player.as_mut()) else { return };
        if self.publisher.media(mid).is_none() {
            return;
        }
        let codec = player.codec;
        let packets = player.due(now);
        let params = self.publisher.codec_config().find(|params| {
            let spec = params.spec();
            let constrained = spec.format.packetization_mode == Some(1)
                && spec.format.profile_level_id == Some(0x0042_E01F);
            spec.codec == codec && (codec != Codec::H264 || constrained)
        });
        let pt = params.expect("the codec is on").pt();
        for packet in packets {
            let mut extensions = ExtensionValues::default();
            if !packet.descriptor.is_empty() {
                extensions.user_values.set(DescriptorBytes(packet.descriptor));
            }
            let write =
                RtpWrite::new(pt, packet.sequence.into(), packet.timestamp, now, packet.payload);
            let mut direct = self.publisher.direct_api();
            let Some(stream) = direct.stream_tx_by_mid(mid, None) else { continue };
            let write = write.marker(packet.marker).nackable(true).ext_vals(extensions);
            stream.write_rtp(write);
            self.publisher.handle_input(Input::Timeout(now)).expect("time passes");
            self.drain();
        }
    }

    fn record(&mut self, now: Instant) {
        let (Some(mid), next) = (self.microphone, *self.audio_next.get_or_insert(now)) else {
            return;
        };
        if next > now || self.publisher.media(mid).is_none() {
            return;
        }
        self.audio_next = Some(next + Duration::from_millis(20));
        self.audio_sequence += 1;
        let params =
            self.publisher.codec_config().find(|params| params.spec().codec == Codec::Opus);
        let (opus, red) = params.map(|params| (params.pt(), params.red())).expect("opus is on");
        let level = if self.speaks { -10 } else { -80 };
        let extensions = ExtensionValues {
            audio_level: Some(level),
            voice_activity: Some(self.speaks),
            ..ExtensionValues::default()
        };
        let (sequence, index) = (self.audio_sequence, self.index as u8);
        let block = |sequence: u64| [0xFC, index, sequence as u8, 7];
        let (pt, payload) = match red.filter(|_| self.red) {
            None => (opus, block(sequence).to_vec()),
            Some(red) => {
                // RFC 2198: the block before, 960 ticks and 4 bytes, then this one.
                let heads = [0x80 | *opus, 0x0F, 0x00, 0x04, *opus];
                (red, [&heads[..], &block(sequence - 1), &block(sequence)].concat())
            }
        };
        let write =
            RtpWrite::new(pt, sequence.into(), sequence as u32 * 960, now, payload.as_slice());
        let mut direct = self.publisher.direct_api();
        if let Some(stream) = direct.stream_tx_by_mid(mid, None) {
            stream.write_rtp(write.ext_vals(extensions));
        }
        self.drain();
    }
}
