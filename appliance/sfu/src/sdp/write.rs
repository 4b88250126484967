//! What our answers and our offers have in common, as rtc-sdp takes it.

use std::fmt::Write as _;

use rtc_sdp::SessionDescription;
use rtc_sdp::description::common::{Address, Attribute, ConnectionInformation};
use rtc_sdp::description::media::{MediaDescription, MediaName, RangedPort};
use rtc_sdp::description::session::{self, TimeDescription, Timing};

use super::codec::{CodecKind, Feedback};
use super::{Local, Origin};

/// The port of an m-line whose real address is in its candidates (RFC 8840 section 4.1.1).
const PORT_DISCARD: isize = 9;

/// The attribute lines of a section being written.
#[derive(Debug, Default)]
pub(super) struct Lines(pub(super) Vec<Attribute>);

impl Lines {
    pub(super) fn flag(&mut self, key: &str) {
        self.0.push(Attribute { key: key.to_owned(), value: None });
    }

    pub(super) fn value(&mut self, key: &str, value: impl Into<String>) {
        self.0.push(Attribute { key: key.to_owned(), value: Some(value.into()) });
    }

    /// ICE and DTLS; the candidates only where the transport is described (the tagged section).
    pub(super) fn transport(&mut self, local: &Local<'_>, setup: &str, tagged: bool) {
        self.value("ice-ufrag", local.ufrag);
        self.value("ice-pwd", local.pwd);
        self.value("fingerprint", fingerprint(local.fingerprint));
        self.value("setup", setup);
        if tagged {
            for (at, address) in local.candidates.iter().enumerate() {
                // RFC 8445 section 5.1.2.1: type preference of host, order as local preference.
                let preference = 65_535_u32.saturating_sub(u32::try_from(at).unwrap_or(u32::MAX));
                let priority = (126 << 24) + (preference << 8) + 255;
                let (foundation, ip, port) = (at + 1, address.ip(), address.port());
                self.value(
                    "candidate",
                    format!("{foundation} 1 udp {priority} {ip} {port} typ host"),
                );
            }
            for (at, address) in local.tcp_candidates.iter().enumerate() {
                // RFC 6544 section 4.2: below UDP, and 4 as the direction preference of passive.
                let preference =
                    (4 << 13) + 8_191_u32.saturating_sub(u32::try_from(at).unwrap_or(u32::MAX));
                let priority = (90 << 24) + (preference << 8) + 255;
                let foundation = local.candidates.len() + at + 1;
                let (ip, port) = (address.ip(), address.port());
                self.value(
                    "candidate",
                    format!("{foundation} 1 tcp {priority} {ip} {port} typ host tcptype passive"),
                );
            }
            self.flag("end-of-candidates");
        }
    }

    /// The lines of one payload type.
    pub(super) fn codec(&mut self, kind: CodecKind, pt: u8, fmtp: &str, feedback: Feedback) {
        self.value("rtpmap", format!("{pt} {}", kind.rtpmap()));
        for line in feedback.lines() {
            self.value("rtcp-fb", format!("{pt} {line}"));
        }
        if !fmtp.is_empty() {
            self.value("fmtp", format!("{pt} {fmtp}"));
        }
    }

    /// The lines of the payload type of retransmissions.
    pub(super) fn rtx(&mut self, pt: u8, apt: u8) {
        self.value("rtpmap", format!("{pt} rtx/90000"));
        self.value("fmtp", format!("{pt} apt={apt}"));
    }
}

/// `SHA-256` and upper-case digits, as RFC 8122 section 5 has it.
fn fingerprint(bytes: &[u8; 32]) -> String {
    let mut text = String::from("sha-256 ");
    for (at, byte) in bytes.iter().enumerate() {
        let colon = if at == 0 { "" } else { ":" };
        write!(text, "{colon}{byte:02X}").expect("writing to a String cannot fail");
    }
    text
}

pub(super) fn media(
    name: &str,
    protocol: &str,
    formats: Vec<String>,
    live: bool,
    lines: Lines,
) -> MediaDescription {
    MediaDescription {
        media_name: MediaName {
            media: name.to_owned(),
            port: RangedPort { value: if live { PORT_DISCARD } else { 0 }, range: None },
            protos: protocol.split('/').map(str::to_owned).collect(),
            formats,
        },
        connection_information: Some(ConnectionInformation {
            network_type: "IN".to_owned(),
            address_type: "IP4".to_owned(),
            address: Some(Address { address: "0.0.0.0".to_owned(), ttl: None, range: None }),
        }),
        attributes: lines.0,
        ..MediaDescription::default()
    }
}

/// A whole description; `bundle` are the identifications of the sections that live.
pub(super) fn description(
    origin: Origin,
    bundle: &[&str],
    extmap_allow_mixed: bool,
    media: Vec<MediaDescription>,
) -> String {
    let mut lines = Lines::default();
    if !bundle.is_empty() {
        lines.value("group", format!("BUNDLE {}", bundle.join(" ")));
    }
    lines.flag("ice-lite");
    if extmap_allow_mixed {
        lines.flag("extmap-allow-mixed");
    }
    lines.value("msid-semantic", " WMS *");
    SessionDescription {
        origin: session::Origin {
            username: "-".to_owned(),
            session_id: origin.session_id,
            session_version: origin.version,
            network_type: "IN".to_owned(),
            address_type: "IP4".to_owned(),
            unicast_address: "127.0.0.1".to_owned(),
        },
        session_name: "-".to_owned(),
        time_descriptions: vec![TimeDescription {
            timing: Timing { start_time: 0, stop_time: 0 },
            repeat_times: Vec::new(),
        }],
        attributes: lines.0,
        media_descriptions: media,
        ..SessionDescription::default()
    }
    .marshal()
}
