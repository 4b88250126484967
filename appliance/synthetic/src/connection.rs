//! One peer connection of the `webrtc` crate, set up the way we need it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_OPUS, MIME_TYPE_RTX, MIME_TYPE_VP8,
};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::sdp::extmap::{AUDIO_LEVEL_URI, SDES_MID_URI};
use tokio::sync::mpsc;
use webrtc::data_channel::DataChannel;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCPeerConnectionState, Registry, SettingEngineBuilder, SrtpProtectionProfile, configure_nack,
    configure_rtcp_reports, configure_twcc,
};

use crate::Error;
use crate::count::Counters;
use crate::tap::{SLOT, Tap};

pub(crate) const OPUS_PAYLOAD_TYPE: u8 = 111;
pub(crate) const VP8_PAYLOAD_TYPE: u8 = 96;
const VP8_RTX_PAYLOAD_TYPE: u8 = 97;

/// Which of a session's two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Publisher,
    Subscriber,
}

/// What a connection reports to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    Connected(Target),
    Failed(Target),
}

/// What a connection shares with its session.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) counters: Arc<Counters>,
    /// Set when the appliance asks for a key frame, cleared by who sends it.
    pub(crate) keyframe: Arc<AtomicBool>,
    pub(crate) events: mpsc::Sender<Happened>,
}

struct Handler {
    target: Target,
    shared: Shared,
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let happened = match state {
            RTCPeerConnectionState::Connected => Happened::Connected(self.target),
            RTCPeerConnectionState::Failed => Happened::Failed(self.target),
            _ => return,
        };
        // A session that is over hears nothing more.
        let _ = self.shared.events.send(happened).await;
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let counters = Arc::clone(&self.shared.counters);
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if matches!(event, TrackRemoteEvent::OnRtpPacket(_)) {
                    counters.deliver();
                }
            }
        });
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        // Read to the end: a channel that nobody reads makes the crate stop reading its socket.
        tokio::spawn(async move { while channel.poll().await.is_some() {} });
    }
}

/// A new connection that uses the address from which the appliance is reached.
pub(crate) async fn connection(
    target: Target,
    local: IpAddr,
    shared: &Shared,
) -> Result<Arc<dyn PeerConnection>, Error> {
    let mut media = media_engine()?;
    let registry = Registry::new()
        .with(SLOT, Tap::new(Arc::clone(&shared.counters), Arc::clone(&shared.keyframe)));
    let registry = configure_nack(registry, &mut media);
    let registry = configure_twcc(registry, &mut media)?;
    let registry = configure_rtcp_reports(registry);
    let settings = SettingEngineBuilder::new()
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm])
        .build();
    let builder = PeerConnectionBuilder::new()
        .with_media_engine(media)
        .with_interceptor_registry(registry)
        .with_setting_engine(settings)
        .with_handler(Arc::new(Handler { target, shared: shared.clone() }))
        .with_udp_addrs(vec![std::net::SocketAddr::new(local, 0)]);
    // On the heap: the crate's future is 20 kB.
    Ok(Arc::new(Box::pin(builder.build()).await?))
}

pub(crate) fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: vec![feedback("nack", "")],
    }
}

pub(crate) fn vp8() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_VP8.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: String::new(),
        rtcp_feedback: vec![feedback("ccm", "fir"), feedback("nack", ""), feedback("nack", "pli")],
    }
}

fn feedback(typ: &str, parameter: &str) -> RTCPFeedback {
    RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() }
}

/// Opus and VP8 with its RTX: what every lesson has in common.
fn media_engine() -> Result<MediaEngine, Error> {
    let mut media = MediaEngine::default();
    let rtx = RTCRtpCodec {
        mime_type: MIME_TYPE_RTX.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: format!("apt={VP8_PAYLOAD_TYPE}"),
        rtcp_feedback: vec![],
    };
    for (codec, payload_type, kind) in [
        (opus(), OPUS_PAYLOAD_TYPE, RtpCodecKind::Audio),
        (vp8(), VP8_PAYLOAD_TYPE, RtpCodecKind::Video),
        (rtx, VP8_RTX_PAYLOAD_TYPE, RtpCodecKind::Video),
    ] {
        let parameters = RTCRtpCodecParameters { rtp_codec: codec, payload_type };
        media.register_codec(parameters, kind)?;
    }
    for (uri, kind) in [
        (SDES_MID_URI, RtpCodecKind::Audio),
        (SDES_MID_URI, RtpCodecKind::Video),
        (AUDIO_LEVEL_URI, RtpCodecKind::Audio),
    ] {
        let capability = RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
        media.register_header_extension(capability, kind, None)?;
    }
    Ok(media)
}
