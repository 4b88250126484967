//! A participant: its two connections and what it subscribes to.

use std::collections::HashMap;
use std::time::Instant;

use belfry_media_api::{Carried, ConnectionQuality, Event, PeerRole};
use belfry_model::outside::Refusal;
use belfry_model::{Outside, ParticipantSid};

use crate::connection::{Connection, Setup};
use crate::context::Context;
use crate::down::Down;
use crate::egress::Egress;
use crate::ladder::Ladder;
use crate::publisher::Publisher;
use crate::sdp::{self, Answered, DESCRIPTION, SdpError};

#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) sid: ParticipantSid,
    pub(crate) publisher: Option<Publisher>,
    /// The key of the subscriber connection.
    pub(crate) key: usize,
    pub(crate) egress: Egress,
    pub(crate) offers: sdp::Subscriber,
    /// Keys of the tracks that it subscribes to.
    pub(crate) subscriptions: Vec<usize>,
    /// The track that goes out on an SSRC.
    pub(crate) by_ssrc: HashMap<u32, usize>,
    pub(crate) quality: Option<ConnectionQuality>,
    /// How much of what it wants it gets.
    pub(crate) carried: Carried,
    pub(crate) ladder: Ladder,
    /// It is shown large to all.
    pub(crate) spotlit: bool,
    /// The next sender and receiver reports.
    pub(crate) reports_at: Instant,
}

impl Participant {
    pub(crate) fn connection(&mut self, role: PeerRole) -> Option<&mut Connection> {
        match role {
            PeerRole::Publisher => {
                self.publisher.as_mut().map(|publisher| &mut publisher.connection)
            }
            PeerRole::Subscriber => Some(&mut self.egress.connection),
        }
    }

    /// The earliest time at which one of its connections wants to be woken.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let publisher = self.publisher.as_ref();
        [
            self.egress.connection.deadline(),
            publisher.and_then(|publisher| publisher.connection.deadline()),
            publisher.and_then(|publisher| publisher.feedback.deadline()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// An SSRC that no other track has on the subscriber connection.
    pub(crate) fn new_ssrc(&mut self, track: usize) -> u32 {
        loop {
            let ssrc = rand::random();
            if ssrc != 0 && !self.by_ssrc.contains_key(&ssrc) {
                self.by_ssrc.insert(ssrc, track);
                return ssrc;
            }
        }
    }

    /// The track does not go to this participant any more.
    pub(crate) fn forget(&mut self, track: usize, down: &Down) {
        self.subscriptions.retain(|other| *other != track);
        for ssrc in [Some(down.ssrc), down.rtx_ssrc].into_iter().flatten() {
            self.by_ssrc.remove(&ssrc);
        }
    }

    /// Sends an offer if something changed and none is outstanding.
    pub(crate) fn offer_if_wanted(&mut self, context: &mut Context<'_>) {
        if self.offers.wants_offer() {
            self.offer(context);
        }
    }

    /// Sends an offer, whatever is outstanding.
    pub(crate) fn offer(&mut self, context: &mut Context<'_>) {
        let offer = self.offers.offer(&context.shared.local(&self.egress.connection));
        context.tell(Event::SubscriberOffer {
            participant: self.sid.clone(),
            offer_id: offer.id,
            sdp: offer.text,
            mids: offer.mids,
        });
    }

    /// Takes the client's answer.
    pub(crate) fn answered(&mut self, id: u32, text: &str) -> Result<Answered, Refusal<SdpError>> {
        let answer = DESCRIPTION.parse(Outside::new(text.as_bytes()))?;
        let answered = self
            .offers
            .answered(id, &answer)
            .map_err(|source| Refusal::Malformed { parser: "subscriber answer", source })?;
        let (ufrag, pwd) = (&answer.ufrag, &answer.pwd);
        let setup =
            if answer.setup == sdp::Setup::Passive { Setup::Passive } else { Setup::Active };
        self.egress.connection.set_remote(ufrag, pwd, answer.fingerprint, setup);
        Ok(answered)
    }
}
