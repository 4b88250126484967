//! The publishing side: tracks, and the tasks that feed them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use belfry_signalling::proto::{self, AddTrackRequest, VideoLayer};
use bytes::Bytes;
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp;
use rtc::rtp::extension::HeaderExtension;
use rtc::rtp::extension::audio_level_extension::AudioLevelExtension;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RTCRtpRtxParameters,
    RtpCodecKind,
};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use crate::connection::{OPUS_PAYLOAD_TYPE, VP8_PAYLOAD_TYPE, opus, vp8};
use crate::media::{self, Pictures};
use crate::participant::Video;

/// Client ids of our two tracks, by which the appliance matches them to the offer.
const AUDIO_CID: &str = "synthetic-audio";
const VIDEO_CID: &str = "synthetic-video";
const STREAM: &str = "synthetic";
/// A soft voice, in -dBov (RFC 6464).
const VOICE_LEVEL: u8 = 40;

/// A track that is sent.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
}

impl Outgoing {
    fn new(cid: &str, kind: RtpCodecKind, codec: RTCRtpCodec, repaired: bool) -> Self {
        let ssrc = rand::random();
        let rtx = repaired.then(|| RTCRtpRtxParameters { ssrc: rand::random() });
        let coding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(ssrc),
                rtx,
                ..Default::default()
            },
            active: true,
            codec,
            ..Default::default()
        };
        let track = MediaStreamTrack::new(
            STREAM.to_owned(),
            cid.to_owned(),
            cid.to_owned(),
            kind,
            vec![coding],
        );
        Self { track: Arc::new(TrackLocalStaticRTP::new(track)), ssrc }
    }

    pub(crate) fn audio() -> Self {
        Self::new(AUDIO_CID, RtpCodecKind::Audio, opus(), false)
    }

    pub(crate) fn video() -> Self {
        Self::new(VIDEO_CID, RtpCodecKind::Video, vp8(), true)
    }
}

pub(crate) fn audio_request() -> AddTrackRequest {
    AddTrackRequest {
        cid: AUDIO_CID.to_owned(),
        name: "microphone".to_owned(),
        r#type: proto::TrackType::Audio.into(),
        source: proto::TrackSource::Microphone.into(),
        stream: "camera".to_owned(),
        disable_red: true,
        ..Default::default()
    }
}

pub(crate) fn video_request(video: Video) -> AddTrackRequest {
    let layer = VideoLayer {
        quality: proto::VideoQuality::High.into(),
        width: media::WIDTH,
        height: media::HEIGHT,
        bitrate: video.bits_per_second,
        ..Default::default()
    };
    AddTrackRequest {
        cid: VIDEO_CID.to_owned(),
        name: "camera".to_owned(),
        r#type: proto::TrackType::Video.into(),
        source: proto::TrackSource::Camera.into(),
        stream: "camera".to_owned(),
        width: media::WIDTH,
        height: media::HEIGHT,
        layers: vec![layer],
        ..Default::default()
    }
}

/// Sends packets of one stream in order.
struct Sender {
    outgoing: Outgoing,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    extensions: Vec<HeaderExtension>,
    sent: Arc<AtomicU64>,
}

impl Sender {
    fn new(outgoing: Outgoing, payload_type: u8, sent: Arc<AtomicU64>) -> Self {
        let (sequence, timestamp) = (rand::random(), rand::random());
        Self { outgoing, payload_type, sequence, timestamp, extensions: Vec::new(), sent }
    }

    /// False when the connection is gone.
    async fn send(&mut self, payload: Bytes, marker: bool) -> bool {
        let header = rtp::Header {
            version: 2,
            marker,
            payload_type: self.payload_type,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.outgoing.ssrc,
            ..Default::default()
        };
        self.sequence = self.sequence.wrapping_add(1);
        let packet = rtp::Packet { header, payload };
        let track = &self.outgoing.track;
        let sent = track.write_rtp_with_extensions(packet, &self.extensions).await.is_ok();
        self.sent.fetch_add(u64::from(sent), Ordering::Relaxed);
        sent
    }
}

/// Starts to send 50 packets of sound a second.
pub(crate) fn send_audio(tasks: &mut JoinSet<()>, outgoing: Outgoing, sent: Arc<AtomicU64>) {
    let mut sender = Sender::new(outgoing, OPUS_PAYLOAD_TYPE, sent);
    let level = AudioLevelExtension { level: VOICE_LEVEL, voice: true };
    sender.extensions.push(HeaderExtension::AudioLevel(level));
    let packet = media::opus_silence();
    tasks.spawn(async move {
        let mut ticks = interval(Duration::from_millis(media::AUDIO_INTERVAL_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            ticks.tick().await;
            if !sender.send(packet.clone(), false).await {
                return;
            }
            sender.timestamp = sender.timestamp.wrapping_add(media::AUDIO_TICKS);
        }
    });
}

/// Starts to send pictures; one is a key frame whenever `keyframe` was set.
pub(crate) fn send_video(
    tasks: &mut JoinSet<()>,
    outgoing: Outgoing,
    video: Video,
    keyframe: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
) {
    let rate = video.frames_per_second.max(1);
    let frame_bytes = video.bits_per_second / 8 / rate;
    let mut pictures = Pictures::new(frame_bytes as usize, rand::random());
    let mut sender = Sender::new(outgoing, VP8_PAYLOAD_TYPE, sent);
    tasks.spawn(async move {
        let mut ticks = interval(Duration::from_secs(1) / rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut payloads = pictures.next(keyframe.swap(false, Ordering::Relaxed));
            let last = payloads.pop();
            for payload in payloads {
                sender.send(payload, false).await;
            }
            let Some(last) = last else { return };
            if !sender.send(last, true).await {
                return;
            }
            sender.timestamp = sender.timestamp.wrapping_add(media::VIDEO_CLOCK_HZ / rate);
        }
    });
}
