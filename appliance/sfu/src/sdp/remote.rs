//! A client's description, offer or answer.

use std::collections::HashSet;
use std::io::Cursor;

use belfry_model::limits::SDP_BYTES_MAX;
use belfry_model::outside::Parser;
use rtc_sdp::SessionDescription;
use rtc_sdp::description::common::Attribute;

use super::section::{self, RemoteSection};
use super::{ATTRIBUTES_MAX, LINE_BYTES_MAX, SECTIONS_MAX, SdpError};

/// Descriptions as clients send them.
pub(crate) static DESCRIPTION: Parser<Remote, SdpError> =
    Parser::new("session description", SDP_BYTES_MAX, SEED, parse);

const SEED: &[u8] = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n\
a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:actpass\r\n\
m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\n\
a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=rid:q send\r\na=rid:h send\r\n\
a=simulcast:send q;~h\r\na=msid:s t\r\na=ssrc-group:FID 1 2\r\na=ssrc:1 cname:c\r\n\
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n\
a=sctp-port:5000\r\na=max-message-size:262144\r\n";

/// The DTLS role that a description claims (RFC 8842).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    ActPass,
    Active,
    Passive,
}

/// What a client's description says. A client's ICE candidates are not kept: an ICE-lite side
/// learns addresses from authenticated checks alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
    /// SHA-256 of the certificate that DTLS must show.
    pub(crate) fingerprint: [u8; 32],
    pub(crate) setup: Setup,
    /// The session-level `a=extmap-allow-mixed` (RFC 8285 section 6).
    pub(crate) extmap_allow_mixed: bool,
    /// One per m-line, in order.
    pub(crate) sections: Vec<RemoteSection>,
}

fn parse(bytes: &[u8]) -> Result<Remote, SdpError> {
    if bytes.split(|byte| *byte == b'\n').any(|line| line.len() > LINE_BYTES_MAX) {
        return Err(SdpError::TooMany { what: "bytes in a line", max: LINE_BYTES_MAX });
    }
    let description =
        SessionDescription::unmarshal(&mut Cursor::new(bytes)).map_err(|_| SdpError::Grammar)?;
    if description.media_descriptions.len() > SECTIONS_MAX {
        return Err(SdpError::TooMany { what: "media sections", max: SECTIONS_MAX });
    }
    let session = Attributes(&description.attributes);
    session.check_count()?;
    let bundle = bundle_of(session);
    let mut mids = HashSet::new();
    let mut sections = Vec::with_capacity(description.media_descriptions.len());
    for media in &description.media_descriptions {
        let section = section::parse(media, session, bundle.as_ref())?;
        if !mids.insert(section.mid.clone()) {
            return Err(SdpError::Mid);
        }
        sections.push(section);
    }
    // The transport of a bundle is described by its tagged section (RFC 8843 section 7.1), which
    // is the first one that lives; what that one leaves out stands at session level.
    let tagged = sections
        .iter()
        .position(|section| section.bundled && !section.stopped)
        .or_else(|| sections.iter().position(|section| !section.stopped));
    let own = tagged.map(|at| Attributes(&description.media_descriptions[at].attributes));
    let value = |key| own.and_then(|own| own.value(key)).or_else(|| session.value(key));
    Ok(Remote {
        ufrag: ice_text(value("ice-ufrag"), 4)?,
        pwd: ice_text(value("ice-pwd"), 22)?,
        fingerprint: own
            .and_then(fingerprint)
            .or_else(|| fingerprint(session))
            .ok_or(SdpError::Fingerprint)?,
        setup: match value("setup") {
            Some("actpass") => Setup::ActPass,
            Some("active") => Setup::Active,
            Some("passive") => Setup::Passive,
            _ => return Err(SdpError::Setup),
        },
        extmap_allow_mixed: session.has("extmap-allow-mixed"),
        sections,
    })
}

/// The identifications of the first BUNDLE group; `None` when there is no such group.
fn bundle_of(session: Attributes<'_>) -> Option<HashSet<String>> {
    session
        .values("group")
        .find_map(|group| group.strip_prefix("BUNDLE"))
        .map(|mids| mids.split_ascii_whitespace().map(str::to_owned).collect())
}

/// RFC 8839 section 5.4: ice-chars, a least length, 256 at most.
fn ice_text(text: Option<&str>, bytes_min: usize) -> Result<String, SdpError> {
    let text = text.ok_or(SdpError::Ice)?;
    let fits = (bytes_min..=256).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    if fits { Ok(text.to_owned()) } else { Err(SdpError::Ice) }
}

/// The first SHA-256 fingerprint (RFC 8122 section 5).
fn fingerprint(attributes: Attributes<'_>) -> Option<[u8; 32]> {
    attributes.values("fingerprint").find_map(|value| {
        let (hash, digits) = value.split_once(' ')?;
        if !hash.eq_ignore_ascii_case("sha-256") {
            return None;
        }
        let mut bytes = [0; 32];
        let mut pairs = digits.trim().split(':');
        for byte in &mut bytes {
            *byte = pairs
                .next()
                .filter(|pair| pair.len() == 2)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())?;
        }
        pairs.next().is_none().then_some(bytes)
    })
}

/// The attribute lines of one level of a description.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(pub(super) &'a [Attribute]);

impl<'a> Attributes<'a> {
    pub(super) fn check_count(self) -> Result<(), SdpError> {
        if self.0.len() > ATTRIBUTES_MAX {
            return Err(SdpError::TooMany { what: "attributes", max: ATTRIBUTES_MAX });
        }
        Ok(())
    }

    pub(super) fn has(self, key: &str) -> bool {
        self.0.iter().any(|attribute| attribute.key == key)
    }

    pub(super) fn value(self, key: &'a str) -> Option<&'a str> {
        self.values(key).next()
    }

    pub(super) fn values(self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |attribute| attribute.key == key)
            .filter_map(|attribute| attribute.value.as_deref())
    }
}
