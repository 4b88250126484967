//! A participant's publisher connection: what its media sections are, and which of them a packet
//! belongs to.

use std::collections::HashMap;
use std::time::Instant;

use belfry_media_api::{Preference, Section};
use belfry_model::Outside;
use belfry_model::outside::Refusal;

use crate::connection::{Connection, Setup};
use crate::context::Shared;
use crate::layer::Incoming;
use crate::rtp::header::Header;
use crate::rtp::twcc::Recorder;
use crate::sdp::{self, DESCRIPTION, Extension, Origin, PayloadType, SdpError};

/// SSRCs that one connection may send on: its tracks with their layers and retransmissions, twice.
const SSRCS_MAX: usize = 128;
/// RIDs as clients name them, by ascending quality.
const RIDS: [&str; 3] = ["q", "h", "f"];

/// Where the media of an SSRC belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// Index of the section.
    pub(crate) section: usize,
    pub(crate) layer: usize,
}

#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) key: usize,
    pub(crate) connection: Connection,
    pub(crate) feedback: Recorder,
    sections: Vec<sdp::Received>,
    /// The track that a section is bound to, by the section's index.
    bound: Vec<Option<usize>>,
    sources: HashMap<u32, Source>,
    /// Any SSRC of the client, for feedback.
    pub(crate) ssrc: u32,
    session_id: u64,
    version: u64,
}

impl Publisher {
    pub(crate) fn new(key: usize, connection: Connection, now: Instant) -> Self {
        Self {
            key,
            connection,
            feedback: Recorder::new(now),
            sections: Vec::new(),
            bound: Vec::new(),
            sources: HashMap::new(),
            ssrc: 0,
            session_id: rand::random::<u64>() >> 2,
            version: 0,
        }
    }

    /// Answers an offer. On an error the connection is as it was.
    pub(crate) fn answer(
        &mut self,
        text: &str,
        preferences: &[Preference],
        shared: &Shared,
    ) -> Result<(String, Vec<Section>), Refusal<SdpError>> {
        let offer = DESCRIPTION.parse(Outside::new(text.as_bytes()))?;
        let refused = |source| Refusal::Malformed { parser: "publisher offer", source };
        let origin = Origin { session_id: self.session_id, version: self.version + 1 };
        // A trial first: the real answer needs the credentials of a restart, which are made only
        // when the offer is taken.
        let answer = |connection: &Connection| {
            sdp::answer(&offer, preferences, &shared.local(connection), origin).map_err(refused)
        };
        answer(&self.connection)?;
        self.connection.set_remote(&offer.ufrag, &offer.pwd, offer.fingerprint, Setup::Active);
        let answer = answer(&self.connection)?;
        self.version += 1;
        self.settle(answer.received);
        Ok((answer.text, answer.sections))
    }

    /// Takes over the sections of a new description; they are told apart by their mids.
    fn settle(&mut self, sections: Vec<sdp::Received>) {
        let bound = sections.iter().map(|section| self.bound_track(&section.mid)).collect();
        // Clients name mid and rid only at the beginning of a stream: what was learnt of a section
        // that goes on as it was must not be forgotten, or its media never finds it again.
        let kept = |source: &Source| {
            let before = self.sections.get(source.section)?;
            let index = sections.iter().position(|section| section.mid == before.mid)?;
            let after = sections.get(index)?;
            let same = before.ssrcs == after.ssrcs && before.rids.len() == after.rids.len();
            same.then_some(Source { section: index, layer: source.layer })
        };
        self.sources =
            self.sources.iter().filter_map(|(ssrc, source)| Some((*ssrc, kept(source)?))).collect();
        self.sections = sections;
        self.bound = bound;
    }

    fn bound_track(&self, mid: &str) -> Option<usize> {
        self.bound.get(self.index(mid)?).copied().flatten()
    }

    fn index(&self, mid: &str) -> Option<usize> {
        self.sections.iter().position(|section| section.mid == mid)
    }

    pub(crate) fn section(&self, mid: &str) -> Option<&sdp::Received> {
        self.sections.get(self.index(mid)?)
    }

    /// Media of the section goes to `track` from now on; returns which it went to before.
    pub(crate) fn bind(&mut self, mid: &str, track: Option<usize>) -> Option<usize> {
        let slot = self.index(mid).and_then(|index| self.bound.get_mut(index))?;
        std::mem::replace(slot, track)
    }

    /// Nothing goes to `track` any more.
    pub(crate) fn unbind(&mut self, track: usize) {
        for bound in self.bound.iter_mut().filter(|bound| **bound == Some(track)) {
            *bound = None;
        }
    }

    pub(crate) fn track_of(&self, source: Source) -> Option<usize> {
        self.bound.get(source.section).copied().flatten()
    }

    /// The negotiated id of the transport-wide number; all sections of a bundle agree on it.
    pub(crate) fn transport_cc_id(&self) -> u8 {
        let id = |section: &sdp::Received| section.extensions.id(Extension::TransportCc);
        self.sections.iter().find_map(id).unwrap_or(0)
    }

    /// Where a packet belongs. What its extensions say is learnt once per SSRC.
    pub(crate) fn identify(&mut self, header: &Header, bytes: &[u8]) -> Option<Source> {
        if let Some(source) = self.sources.get(&header.ssrc) {
            return Some(*source);
        }
        let source =
            self.by_extensions(header, bytes).or_else(|| self.by_description(header.ssrc))?;
        if self.sources.len() < SSRCS_MAX {
            self.sources.insert(header.ssrc, source);
        }
        Some(source)
    }

    fn by_extensions(&self, header: &Header, bytes: &[u8]) -> Option<Source> {
        self.sections.iter().enumerate().find_map(|(index, section)| {
            let text = |extension| {
                let data = header.extension(bytes, section.extensions.id(extension)?)?;
                std::str::from_utf8(data).ok()
            };
            if text(Extension::Mid)? != section.mid {
                return None;
            }
            let layer = if section.rids.is_empty() {
                0
            } else {
                let rid = text(Extension::Rid).or_else(|| text(Extension::RepairedRid))?;
                layer_of(section, rid)?
            };
            Some(Source { section: index, layer })
        })
    }

    fn by_description(&self, ssrc: u32) -> Option<Source> {
        self.sections.iter().enumerate().find_map(|(index, section)| {
            let layer = section
                .ssrcs
                .iter()
                .position(|pair| pair.ssrc == ssrc || pair.rtx_ssrc == Some(ssrc))?;
            Some(Source { section: index, layer })
        })
    }

    /// Takes a packet out of its envelope: RFC 4588 for retransmissions.
    pub(crate) fn open<'a>(
        &self,
        source: Source,
        header: &'a Header,
        bytes: &'a [u8],
    ) -> Option<(Incoming<'a>, bool)> {
        let section = self.sections.get(source.section)?;
        let payload = bytes.get(header.payload())?;
        let incoming = |sequence, payload, codec| Incoming {
            header,
            bytes,
            extensions: section.extensions,
            sequence,
            payload,
            codec,
        };
        match section.payload_types.get(header.payload_type)? {
            PayloadType::Media(codec) => Some((incoming(header.sequence, payload, codec), false)),
            PayloadType::Rtx { kind, .. } => {
                // A probe carries no original.
                let (original, payload) = payload.split_first_chunk::<2>()?;
                Some((incoming(u16::from_be_bytes(*original), payload, kind), true))
            }
        }
    }
}

/// The index of a RID's layer: by its name if the client uses the usual ones, else by its place.
fn layer_of(section: &sdp::Received, rid: &str) -> Option<usize> {
    let usual = RIDS
        .get(..section.rids.len())
        .is_some_and(|usual| section.rids.iter().all(|rid| usual.contains(&rid.name.as_str())));
    if usual {
        RIDS.iter().position(|usual| *usual == rid)
    } else {
        section.rids.iter().position(|other| other.name == rid)
    }
}
