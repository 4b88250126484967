//! The offers for a client's subscriber connection: we send, the client receives.
//!
//! The m-lines of a connection are never taken away, so this list only grows; a track that goes
//! leaves its section inactive, and after the client has seen that, another track may have it.

use std::collections::HashMap;

use belfry_media_api::MediaKind;
use belfry_model::limits::DATA_MESSAGE_BYTES_MAX;
use belfry_model::{ParticipantSid, TrackSid};
use rtc_sdp::description::media::MediaDescription;

use super::codec::{Codec, CodecKind, Feedback, NegotiatedCodec, PayloadTypes};
use super::extension::{Extension, Extensions};
use super::remote::{Remote, Setup};
use super::section::{RemoteSection, SectionKind};
use super::write::{self, Lines};
use super::{Local, Origin, SCTP_PORT, SECTIONS_MAX, SdpError};

/// The identification of the data channels' section, always the first.
const DATA_MID: &str = "0";

/// A track to be sent to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) track: TrackSid,
    pub(crate) publisher: ParticipantSid,
    /// The lip-sync group within the publisher.
    pub(crate) stream: String,
    pub(crate) kind: MediaKind,
    /// What the publication may consist of, in the order of preference.
    pub(crate) codecs: Vec<CodecKind>,
    pub(crate) ssrc: u32,
    /// For video.
    pub(crate) rtx_ssrc: Option<u32>,
}

/// An offer to be given to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) id: u32,
    pub(crate) text: String,
    pub(crate) mids: Vec<(String, TrackSid)>,
}

/// What the client accepted for one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sending {
    pub(crate) mid: String,
    /// In the client's order of preference.
    pub(crate) codecs: Vec<NegotiatedCodec>,
    pub(crate) payload_types: PayloadTypes,
    pub(crate) extensions: Extensions,
}

impl Sending {
    /// The agreed payload types of a codec.
    pub(crate) fn codec(&self, kind: CodecKind) -> Option<&NegotiatedCodec> {
        self.codecs.iter().find(|codec| codec.kind == kind)
    }
}

/// The client's answer, section by section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answered {
    /// All tracks of the offer that are still to be sent; `None`: the client cannot take it, and
    /// it was taken off the list.
    pub(crate) tracks: Vec<(TrackSid, Option<Sending>)>,
    /// The largest data message that the client takes, in bytes; `None`: it has no data channels.
    pub(crate) data_message_size_max: Option<u64>,
}

#[derive(Debug)]
enum State {
    /// Carries a track.
    Used(Box<Outgoing>),
    /// Carries nothing; `settled` once the client has answered that, or was never told otherwise.
    Idle { settled: bool },
    /// The client rejected the section (port 0). Once an offer has said the same (Firefox insists),
    /// its place may be taken under a new identification (RFC 8829 section 5.2.2).
    Rejected { told: bool },
}

#[derive(Debug)]
struct Slot {
    mid: String,
    kind: MediaKind,
    /// Of the present or the last track: an inactive section lists codecs, too.
    codecs: Vec<CodecKind>,
    state: State,
    /// What the outstanding offer says of this section.
    offered: Option<TrackSid>,
    /// It has carried another track. The client's receiver keeps the name of its first track.
    reused: bool,
}

/// The sections of one subscriber connection.
#[derive(Debug)]
pub(crate) struct Subscriber {
    session_id: u64,
    /// Media sections; the data section comes before them.
    slots: Vec<Slot>,
    by_track: HashMap<TrackSid, usize>,
    /// Slots that may be taken, by kind: `[audio, video]`.
    free: [Vec<usize>; 2],
    rejected: Vec<usize>,
    mid_next: u32,
    offer_id_last: u32,
    /// The offer that waits for its answer, and how many slots it had.
    outstanding: Option<(u32, usize)>,
    changed: bool,
}

impl Subscriber {
    /// `session_id` is random, below 2^63.
    pub(crate) fn new(session_id: u64) -> Self {
        Self {
            session_id,
            slots: Vec::new(),
            by_track: HashMap::new(),
            free: [Vec::new(), Vec::new()],
            rejected: Vec::new(),
            mid_next: 1,
            offer_id_last: 0,
            outstanding: None,
            changed: true,
        }
    }

    /// Something changed since the last offer, and no offer waits for its answer: changes that
    /// come meanwhile go into one offer.
    pub(crate) fn wants_offer(&self) -> bool {
        self.changed && self.outstanding.is_none()
    }

    /// The track has a section.
    #[cfg(test)]
    pub(crate) fn contains(&self, track: &TrackSid) -> bool {
        self.by_track.contains_key(track)
    }

    /// Gives a track a section. A track that has one keeps it.
    pub(crate) fn add(&mut self, outgoing: Outgoing) -> Result<(), SdpError> {
        if self.by_track.contains_key(&outgoing.track) {
            return Ok(());
        }
        let (track, kind) = (outgoing.track.clone(), outgoing.kind);
        let codecs = outgoing.codecs.clone();
        let state = State::Used(Box::new(outgoing));
        let at = if let Some(at) = self.free[kind as usize].pop() {
            let slot = &mut self.slots[at];
            (slot.codecs, slot.state, slot.reused) = (codecs, state, true);
            at
        } else if let Some(at) = self.rejected.pop() {
            let mid = self.new_mid();
            self.slots[at] = Slot { mid, kind, codecs, state, offered: None, reused: false };
            at
        } else if self.slots.len() + 1 < SECTIONS_MAX {
            let mid = self.new_mid();
            self.slots.push(Slot { mid, kind, codecs, state, offered: None, reused: false });
            self.slots.len() - 1
        } else {
            return Err(SdpError::TooMany { what: "media sections", max: SECTIONS_MAX });
        };
        self.by_track.insert(track, at);
        self.changed = true;
        Ok(())
    }

    /// Takes a track's section away; `false` if it had none.
    pub(crate) fn remove(&mut self, track: &TrackSid) -> bool {
        let Some(at) = self.by_track.remove(track) else { return false };
        self.slots[at].state = State::Idle { settled: false };
        self.changed = true;
        true
    }

    /// The present list as an offer. It supersedes one that waits for its answer (needed when the
    /// client may never have got that one), and carries new credentials if `local` does.
    pub(crate) fn offer(&mut self, local: &Local<'_>) -> Offer {
        self.offer_id_last = self.offer_id_last.checked_add(1).unwrap_or(1);
        let id = self.offer_id_last;
        let mut mids = Vec::with_capacity(self.by_track.len());
        let mut bundle = vec![DATA_MID];
        let mut media = vec![data_section(local)];
        for slot in &mut self.slots {
            slot.offered = None;
            if let State::Used(outgoing) = &slot.state {
                slot.offered = Some(outgoing.track.clone());
                mids.push((slot.mid.clone(), outgoing.track.clone()));
            }
            media.push(slot.section(local));
            if !matches!(slot.state, State::Rejected { .. }) {
                bundle.push(&slot.mid);
            }
        }
        let origin = Origin { session_id: self.session_id, version: u64::from(id) };
        let text = write::description(origin, &bundle, true, media);
        self.outstanding = Some((id, self.slots.len()));
        self.changed = false;
        Offer { id, text, mids }
    }

    /// Takes the answer to the outstanding offer; id 0 means that one, whatever its id.
    pub(crate) fn answered(&mut self, id: u32, answer: &Remote) -> Result<Answered, SdpError> {
        let Some((outstanding, slot_count)) = self.outstanding else { return Err(SdpError::Stale) };
        if id != 0 && id != outstanding {
            return Err(SdpError::Stale);
        }
        // We offer actpass: the client picks, but has to pick (RFC 5763 section 5).
        if answer.setup == Setup::ActPass {
            return Err(SdpError::Setup);
        }
        let (data, media) = answer.sections.split_first().ok_or(SdpError::Mismatch)?;
        let fits = data.mid == DATA_MID
            && media.len() == slot_count
            && media.iter().zip(&self.slots).all(|(section, slot)| section.mid == slot.mid);
        if !fits {
            return Err(SdpError::Mismatch);
        }
        self.outstanding = None;
        let mut answered = Answered {
            tracks: Vec::new(),
            data_message_size_max: (data.kind == SectionKind::Data && !data.stopped)
                .then_some(data.max_message_size),
        };
        for (at, section) in media.iter().enumerate() {
            answered.tracks.extend(self.settle(at, section));
        }
        Ok(answered)
    }

    /// Takes up what the client says of one section.
    fn settle(
        &mut self,
        at: usize,
        section: &RemoteSection,
    ) -> Option<(TrackSid, Option<Sending>)> {
        let slot = &mut self.slots[at];
        let offered = slot.offered.take();
        match &mut slot.state {
            State::Rejected { told } => {
                if !std::mem::replace(told, true) {
                    self.rejected.push(at);
                }
                None
            }
            State::Idle { .. } if section.stopped => {
                self.free[slot.kind as usize].retain(|free| *free != at);
                slot.state = State::Rejected { told: false };
                None
            }
            State::Idle { settled } => {
                // Removed after the offer had gone: the client has yet to hear of it.
                if offered.is_none() && !*settled {
                    *settled = true;
                    self.free[slot.kind as usize].push(at);
                }
                None
            }
            State::Used(outgoing) if offered.as_ref() == Some(&outgoing.track) => {
                let track = outgoing.track.clone();
                let sending = slot.sending(section);
                if sending.is_none() {
                    self.by_track.remove(&track);
                    if section.stopped {
                        self.slots[at].state = State::Rejected { told: false };
                    } else {
                        self.slots[at].state = State::Idle { settled: false };
                        self.changed = true;
                    }
                }
                Some((track, sending))
            }
            // Taken over since the offer; the next offer tells.
            State::Used(_) => None,
        }
    }

    fn new_mid(&mut self) -> String {
        let mid = self.mid_next.to_string();
        self.mid_next += 1;
        mid
    }
}

impl Slot {
    fn section(&self, local: &Local<'_>) -> MediaDescription {
        let mut lines = Lines::default();
        lines.value("mid", self.mid.as_str());
        let formats = self.formats();
        let name = match self.kind {
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
        };
        if matches!(self.state, State::Rejected { .. }) {
            lines.flag("inactive");
            return write::media(name, "UDP/TLS/RTP/SAVPF", formats, false, lines);
        }
        lines.transport(local, "actpass", false);
        lines.flag(if matches!(self.state, State::Used(_)) { "sendonly" } else { "inactive" });
        lines.flag("rtcp-mux");
        lines.flag("rtcp-rsize");
        for extension in Extension::ALL.into_iter().filter(|it| it.fits(self.kind)) {
            if let Some(id) = extension.subscriber_id() {
                lines.value("extmap", format!("{id} {}", extension.uri()));
            }
        }
        for codec in &self.codecs {
            let fmtp = codec.subscriber_fmtp().unwrap_or_default();
            lines.codec(*codec, codec.subscriber_pt(), fmtp, feedback(*codec));
            if let Some(rtx_pt) = codec.subscriber_rtx_pt() {
                lines.rtx(rtx_pt, codec.subscriber_pt());
            }
        }
        if let State::Used(outgoing) = &self.state {
            outgoing.describe(&mut lines, self.reused);
        }
        write::media(name, "UDP/TLS/RTP/SAVPF", formats, true, lines)
    }

    fn formats(&self) -> Vec<String> {
        let of = |codec: &CodecKind| [Some(codec.subscriber_pt()), codec.subscriber_rtx_pt()];
        self.codecs.iter().flat_map(of).flatten().map(|pt| pt.to_string()).collect()
    }

    /// What the client accepted; `None` if nothing that can be sent.
    fn sending(&self, section: &RemoteSection) -> Option<Sending> {
        if section.stopped
            || section.kind != SectionKind::Media(self.kind)
            || !section.direction.receives()
        {
            return None;
        }
        let codecs: Vec<_> =
            section.codecs.iter().filter_map(|codec| self.accepted(codec, section)).collect();
        if codecs.iter().all(|codec| codec.kind == CodecKind::Red) {
            return None;
        }
        let mut extensions = Extensions::default();
        for accepted in &section.extensions {
            if accepted.extension.subscriber_id() == Some(accepted.id) {
                extensions.add(accepted.extension, accepted.id);
            }
        }
        Some(Sending {
            mid: self.mid.clone(),
            payload_types: PayloadTypes::of(&codecs),
            codecs,
            extensions,
        })
    }

    /// A payload type of the answer, if it is one of ours.
    fn accepted(&self, codec: &Codec, section: &RemoteSection) -> Option<NegotiatedCodec> {
        let kind = self.codecs.iter().copied().find(|kind| kind.subscriber_pt() == codec.pt)?;
        if !kind.name().eq_ignore_ascii_case(&codec.name) {
            return None;
        }
        let rtx = section.codecs.iter().find(|rtx| rtx.rtx_for == Some(codec.pt));
        let rtx_pt = rtx.map(|rtx| rtx.pt).filter(|pt| Some(*pt) == kind.subscriber_rtx_pt());
        Some(NegotiatedCodec { kind, pt: codec.pt, rtx_pt, feedback: codec.feedback })
    }
}

impl Outgoing {
    /// Whose track it is, and on which SSRCs. In a section that was another track's before, only the
    /// name of the stream reaches the client's application: it has to be the track's.
    fn describe(&self, lines: &mut Lines, reused: bool) {
        let (stream, track) = (&self.stream, &self.track);
        let named: &str = if reused { track.as_str() } else { stream.as_ref() };
        lines.value("msid", format!("{}|{named} {track}", self.publisher));
        if let Some(rtx_ssrc) = self.rtx_ssrc {
            lines.value("ssrc-group", format!("FID {} {rtx_ssrc}", self.ssrc));
        }
        // One CNAME for what is played in step (RFC 8834 section 4.9).
        for ssrc in [Some(self.ssrc), self.rtx_ssrc].into_iter().flatten() {
            lines.value("ssrc", format!("{ssrc} cname:{}|{stream}", self.publisher));
        }
    }
}

fn feedback(codec: CodecKind) -> Feedback {
    let video = codec.media() == MediaKind::Video;
    // Redundancy takes the place of retransmission in RED.
    Feedback { nack: codec != CodecKind::Red, pli: video, fir: video, transport_cc: true }
}

fn data_section(local: &Local<'_>) -> MediaDescription {
    let mut lines = Lines::default();
    lines.value("mid", DATA_MID);
    lines.transport(local, "actpass", true);
    lines.value("sctp-port", SCTP_PORT.to_string());
    lines.value("max-message-size", DATA_MESSAGE_BYTES_MAX.to_string());
    let format = vec!["webrtc-datachannel".to_owned()];
    write::media("application", "UDP/DTLS/SCTP", format, true, lines)
}
