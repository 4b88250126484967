//! One media section of a client's description.

use std::collections::HashSet;

use belfry_media_api::MediaKind;
use rtc_sdp::description::media::MediaDescription;

use super::codec::{Codec, Feedback};
use super::extension::Extension;
use super::remote::Attributes;
use super::{CODECS_MAX, RIDS_MAX, SSRCS_MAX, SdpError};

/// Bytes of an identification (`a=mid`), which is a token of RFC 5888.
const MID_BYTES_MAX: usize = 32;
/// Bytes of a RID. RFC 8852 allows 255 in a two-byte header; 16 fit a one-byte one.
const RID_BYTES_MAX: usize = 16;
/// Bytes of each token of an msid; RFC 8830 allows 64.
const LABEL_BYTES_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SectionKind {
    Media(MediaKind),
    /// Data channels over SCTP.
    Data,
    /// Something that is never served (text, image, RTP without DTLS).
    Other,
}

/// As the describing side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    pub(crate) fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    pub(crate) fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// A layer of a simulcast sender (RFC 8851), `paused` when `a=simulcast` marks it with `~`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rid {
    pub(crate) name: String,
    pub(crate) paused: bool,
}

/// A media SSRC and that of its retransmissions (an FID group of RFC 5576).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SsrcPair {
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: Option<u32>,
}

/// A line `a=extmap:<id>[/<direction>] <uri>` (RFC 8285 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemoteExtension {
    pub(crate) id: u8,
    pub(crate) extension: Extension,
    pub(crate) direction: Direction,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a line that is there or not")]
pub(crate) struct RemoteSection {
    pub(crate) mid: String,
    pub(crate) kind: SectionKind,
    /// The first token of `m=`'s format list, for the answer that rejects the section.
    pub(super) media: String,
    pub(super) protocol: String,
    pub(super) format: String,
    /// Port 0 without `a=bundle-only`: rejected or ended. Firefox writes port 0 with it on every
    /// bundled section of a later offer.
    pub(crate) stopped: bool,
    pub(crate) bundled: bool,
    pub(crate) direction: Direction,
    pub(crate) rtcp_mux: bool,
    pub(crate) extmap_allow_mixed: bool,
    /// In the order of the format list, which is the order of preference.
    pub(crate) codecs: Vec<Codec>,
    /// The known header extensions that are used in a direction that the section has.
    pub(crate) extensions: Vec<RemoteExtension>,
    /// What the client sends, in the order of `a=simulcast` (else of `a=rid`).
    pub(crate) rids: Vec<Rid>,
    pub(crate) ssrcs: Vec<SsrcPair>,
    /// The second token of the msid.
    pub(crate) track_label: Option<String>,
    pub(crate) sctp_port: Option<u16>,
    /// Bytes; 0: no limit. 64 KiB when the client does not say (RFC 8841 section 6.1).
    pub(crate) max_message_size: u64,
}

pub(super) fn parse(
    media: &MediaDescription,
    session: Attributes<'_>,
    bundle: Option<&HashSet<String>>,
) -> Result<RemoteSection, SdpError> {
    let own = Attributes(&media.attributes);
    own.check_count()?;
    let name = &media.media_name;
    if name.formats.len() > CODECS_MAX {
        return Err(SdpError::TooMany { what: "payload types in a section", max: CODECS_MAX });
    }
    let mid = own.value("mid").filter(|mid| is_token(mid, MID_BYTES_MAX)).ok_or(SdpError::Mid)?;
    let protocol = name.protos.join("/");
    let kind = match (name.media.as_str(), protocol.as_str()) {
        ("audio", "UDP/TLS/RTP/SAVPF") => SectionKind::Media(MediaKind::Audio),
        ("video", "UDP/TLS/RTP/SAVPF") => SectionKind::Media(MediaKind::Video),
        ("application", "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP") => SectionKind::Data,
        _ => SectionKind::Other,
    };
    let direction = direction(own).or_else(|| direction(session)).unwrap_or(Direction::SendRecv);
    let rtp = matches!(kind, SectionKind::Media(_));
    Ok(RemoteSection {
        mid: mid.to_owned(),
        kind,
        media: name.media.clone(),
        protocol: if is_protocol(&protocol) { protocol } else { "UDP".to_owned() },
        format: name.formats.first().filter(|f| is_token(f, 64)).map_or("0", |f| f).to_owned(),
        stopped: name.port.value == 0 && !own.has("bundle-only"),
        bundled: bundle.is_some_and(|mids| mids.contains(mid)),
        direction,
        rtcp_mux: own.has("rtcp-mux"),
        extmap_allow_mixed: own.has("extmap-allow-mixed"),
        codecs: if rtp { codecs(&name.formats, own)? } else { Vec::new() },
        extensions: if rtp { extensions(own, session, direction) } else { Vec::new() },
        rids: if rtp { rids(own)? } else { Vec::new() },
        ssrcs: if rtp { ssrcs(own)? } else { Vec::new() },
        track_label: track_label(own),
        sctp_port: own.value("sctp-port").and_then(|port| port.trim().parse().ok()),
        max_message_size: own
            .value("max-message-size")
            .and_then(|size| size.trim().parse().ok())
            .unwrap_or(65_536),
    })
}

fn direction(attributes: Attributes<'_>) -> Option<Direction> {
    attributes.0.iter().find_map(|attribute| match attribute.key.as_str() {
        "sendrecv" => Some(Direction::SendRecv),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::RecvOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    })
}

/// RFC 4566 token characters, which exclude all that could end a line or an attribute.
fn is_token(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte))
}

fn is_protocol(text: &str) -> bool {
    text.split('/').all(|part| is_token(part, 16))
}

fn codecs(formats: &[String], own: Attributes<'_>) -> Result<Vec<Codec>, SdpError> {
    let mut at = [None::<usize>; 128];
    let mut codecs: Vec<Codec> = Vec::with_capacity(formats.len());
    for format in formats {
        let pt = format.parse::<u8>().ok().filter(|pt| *pt < 128).ok_or(SdpError::Grammar)?;
        if at[usize::from(pt)].replace(codecs.len()).is_some() {
            return Err(SdpError::Grammar);
        }
        codecs.push(Codec {
            pt,
            name: String::new(),
            clock_rate: 0,
            channels: 1,
            fmtp: String::new(),
            feedback: Feedback::default(),
            rtx_for: None,
        });
    }
    // Splits `<pt> <rest>`; lines about payload types that are not in the format list are skipped.
    let of = |value: &str| -> Option<(usize, String)> {
        let (pt, rest) = value.trim().split_once(' ')?;
        let pt: u8 = pt.parse().ok()?;
        Some(((*at.get(usize::from(pt))?)?, rest.trim().to_owned()))
    };
    for value in own.values("rtpmap") {
        if let Some((at, rest)) = of(value) {
            let mut parts = rest.split('/');
            parts.next().unwrap_or_default().clone_into(&mut codecs[at].name);
            codecs[at].clock_rate = parts.next().and_then(|rate| rate.parse().ok()).unwrap_or(0);
            codecs[at].channels = parts.next().and_then(|count| count.parse().ok()).unwrap_or(1);
        }
    }
    for value in own.values("fmtp") {
        if let Some((at, rest)) = of(value) {
            codecs[at].fmtp = rest;
        }
    }
    for value in own.values("rtcp-fb") {
        if let Some(rest) = value.trim().strip_prefix("* ") {
            for codec in &mut codecs {
                codec.feedback.add(rest);
            }
        } else if let Some((at, rest)) = of(value) {
            codecs[at].feedback.add(&rest);
        }
    }
    for codec in &mut codecs {
        if codec.name.eq_ignore_ascii_case("rtx") {
            codec.rtx_for = codec.parameter("apt").and_then(|apt| apt.parse().ok());
        }
    }
    Ok(codecs)
}

/// A section's own lines come before the session's.
fn extensions(
    own: Attributes<'_>,
    session: Attributes<'_>,
    direction: Direction,
) -> Vec<RemoteExtension> {
    let lines = own.values("extmap").chain(session.values("extmap"));
    lines
        .filter_map(|value| {
            let mut parts = value.split_ascii_whitespace();
            let id = parts.next()?;
            let (id, suffix) = id.split_once('/').unwrap_or((id, "sendrecv"));
            let suffix = match suffix {
                "sendrecv" => Direction::SendRecv,
                "sendonly" if direction.sends() => Direction::SendOnly,
                "recvonly" if direction.receives() => Direction::RecvOnly,
                _ => return None,
            };
            let extension = Extension::from_uri(parts.next()?)?;
            Some(RemoteExtension { id: id.parse().ok()?, extension, direction: suffix })
        })
        .collect()
}

fn rids(own: Attributes<'_>) -> Result<Vec<Rid>, SdpError> {
    let mut declared = Vec::new();
    for value in own.values("rid") {
        let mut parts = value.split_ascii_whitespace();
        let (Some(name), Some("send")) = (parts.next(), parts.next()) else { continue };
        if !is_rid(name) || declared.contains(&name) {
            return Err(SdpError::Grammar);
        }
        if declared.len() == RIDS_MAX {
            return Err(SdpError::TooMany { what: "rids", max: RIDS_MAX });
        }
        declared.push(name);
    }
    let mut rids: Vec<Rid> = Vec::with_capacity(declared.len());
    for entry in simulcast_send(own) {
        // Alternatives of one layer (`a,b`) share its place; the first is the one that is sent.
        let first = entry.split(',').next().unwrap_or_default();
        let (name, paused) = first.strip_prefix('~').map_or((first, false), |name| (name, true));
        if declared.contains(&name) && rids.iter().all(|rid| rid.name != name) {
            rids.push(Rid { name: name.to_owned(), paused });
        }
    }
    if rids.is_empty() {
        rids =
            declared.iter().map(|name| Rid { name: (*name).to_owned(), paused: false }).collect();
    }
    Ok(rids)
}

/// The layers of `a=simulcast:[recv …] send <list>` (RFC 8853 section 5.1).
fn simulcast_send(own: Attributes<'_>) -> impl Iterator<Item = &str> {
    let mut parts = own.value("simulcast").unwrap_or_default().split_ascii_whitespace();
    let list = loop {
        match parts.next() {
            Some("send") => break parts.next().unwrap_or_default(),
            Some(_) => {}
            None => break "",
        }
    };
    list.split(';').filter(|entry| !entry.is_empty())
}

fn is_rid(name: &str) -> bool {
    (1..=RID_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn ssrcs(own: Attributes<'_>) -> Result<Vec<SsrcPair>, SdpError> {
    let mut pairs: Vec<SsrcPair> = Vec::new();
    let mut retransmissions = HashSet::new();
    for group in own.values("ssrc-group") {
        let mut parts = group.split_ascii_whitespace();
        if parts.next() != Some("FID") {
            continue;
        }
        let mut number = || parts.next().and_then(|text| text.parse::<u32>().ok());
        if let (Some(ssrc), Some(rtx_ssrc)) = (number(), number()) {
            if pairs.len() == SSRCS_MAX {
                return Err(SdpError::TooMany { what: "ssrcs", max: SSRCS_MAX });
            }
            retransmissions.insert(rtx_ssrc);
            pairs.push(SsrcPair { ssrc, rtx_ssrc: Some(rtx_ssrc) });
        }
    }
    for line in own.values("ssrc") {
        let ssrc = line.split_ascii_whitespace().next().and_then(|text| text.parse::<u32>().ok());
        let Some(ssrc) = ssrc else { continue };
        if retransmissions.contains(&ssrc) || pairs.iter().any(|pair| pair.ssrc == ssrc) {
            continue;
        }
        if pairs.len() == SSRCS_MAX {
            return Err(SdpError::TooMany { what: "ssrcs", max: SSRCS_MAX });
        }
        pairs.push(SsrcPair { ssrc, rtx_ssrc: None });
    }
    Ok(pairs)
}

/// `a=msid:<stream> <track>`, or the same on an `a=ssrc` line of an older client.
fn track_label(own: Attributes<'_>) -> Option<String> {
    let on_ssrc =
        || own.values("ssrc").find_map(|line| line.split_once(' ')?.1.trim().strip_prefix("msid:"));
    let msid = own.value("msid").or_else(on_ssrc)?;
    msid.split_ascii_whitespace()
        .nth(1)
        .filter(|label| {
            label.len() <= LABEL_BYTES_MAX && label.bytes().all(|b| b.is_ascii_graphic())
        })
        .map(str::to_owned)
}
