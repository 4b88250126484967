//! Belfry's media process, driven as the control process drives it.

use std::collections::HashMap;

use anyhow::Context as _;
use belfry_media_api::{
    Command, Configure, Event, Layer, Publication, Quality, Source, TrackSettings,
};
use belfry_model::{ParticipantSid, RoomSid, TrackSid};
use belfry_workers::{Commands, Report};
use tokio::sync::{mpsc, oneshot};

use crate::peer::Request;

const TRACK: &str = "TR_VC";
const PUBLISHER: &str = "PA_publisher";

pub(crate) struct Belfry {
    pub(crate) process_id: u32,
    commands: Commands<Command>,
    reports: mpsc::Receiver<Report<Event>>,
}

impl Belfry {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let configure =
            Configure { listen: vec!["127.0.0.1:0".parse()?], shards: 1, ..Configure::default() };
        let (commands, mut reports) =
            belfry_media::supervise(None, vec!["media".into()], configure, None);
        let mut started = None;
        loop {
            match reports.recv().await.context("the media process")? {
                Report::Started { process_id } => started = process_id,
                Report::Message(Event::Ready { .. }) => break,
                Report::Message(Event::Unusable { sentence }) => anyhow::bail!(sentence),
                Report::Message(_) => {}
                Report::Ended(end) => anyhow::bail!("the media process ended: {end:?}"),
                Report::GaveUp => anyhow::bail!("the media process does not start"),
            }
        }
        Ok(Self { process_id: started.context("a process id")?, commands, reports })
    }

    /// Answers the publisher's offer and publishes its track.
    pub(crate) async fn publish(&mut self, mid: &str, offer: String) -> anyhow::Result<String> {
        let room = RoomSid::new("RM_bench");
        let participant = ParticipantSid::new(PUBLISHER);
        self.send(Command::OpenParticipant { room, participant: participant.clone() }).await?;
        let offered = Command::PublisherOffer {
            participant: participant.clone(),
            offer_id: 1,
            sdp: offer,
            preferences: Vec::new(),
        };
        self.send(offered).await?;
        let answer = loop {
            match self.next().await? {
                Event::PublisherAnswer { sdp, .. } => break sdp,
                Event::OfferRefused { reason, .. } => anyhow::bail!("refused: {reason}"),
                _ => {}
            }
        };
        let layer =
            Layer { quality: Quality::High, width: 1280, height: 720, bitrate_bps: 9_000_000 };
        let publication = Publication {
            track: TrackSid::new(TRACK),
            mid: mid.to_owned(),
            source: Source::Camera,
            layers: vec![layer],
            muted: false,
            lead: true,
        };
        self.send(Command::Publish { participant, publication }).await?;
        Ok(answer)
    }

    /// Subscribes all and hands offers to them and answers back, until each has the track.
    pub(crate) async fn subscribe(
        &mut self,
        subscribers: &[mpsc::Sender<Request>],
    ) -> anyhow::Result<()> {
        let mut by_sid = HashMap::new();
        for (index, requests) in subscribers.iter().enumerate() {
            let participant = ParticipantSid::new(format!("PA_{index}"));
            by_sid.insert(participant.clone(), requests);
            let room = RoomSid::new("RM_bench");
            self.send(Command::OpenParticipant { room, participant: participant.clone() }).await?;
            let (track, publisher) = (TrackSid::new(TRACK), ParticipantSid::new(PUBLISHER));
            self.send(Command::Subscribe {
                participant: participant.clone(),
                track: track.clone(),
                publisher,
                stream: "camera".to_owned(),
            })
            .await?;
            let settings = TrackSettings {
                disabled: false,
                quality: Quality::High,
                width: 1280,
                height: 720,
                fps: 0,
            };
            self.send(Command::Settings { participant, track, settings }).await?;
        }
        let mut served_count = 0;
        while served_count < subscribers.len() {
            match self.next().await? {
                Event::SubscriberOffer { participant, offer_id, sdp, mids } => {
                    let Some(requests) = by_sid.get(&participant) else { continue };
                    let (reply, answer) = oneshot::channel();
                    requests.send(Request::Offer(sdp, reply)).await?;
                    let sdp = answer.await?;
                    served_count += usize::from(!mids.is_empty());
                    self.send(Command::SubscriberAnswer { participant, offer_id, sdp }).await?;
                }
                Event::SubscriptionFailed { error, .. } => anyhow::bail!("{error:?}"),
                Event::OfferRefused { reason, .. } => anyhow::bail!("refused: {reason}"),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads events until the process ends or this is dropped: a parent that does not read stops it.
    pub(crate) async fn listen(&mut self) -> anyhow::Result<()> {
        loop {
            self.next().await?;
        }
    }

    async fn send(&self, command: Command) -> anyhow::Result<()> {
        Ok(self.commands.send(command).await?)
    }

    async fn next(&mut self) -> anyhow::Result<Event> {
        match self.reports.recv().await.context("the media process")? {
            Report::Message(event) => Ok(event),
            other => anyhow::bail!("the media process: {other:?}"),
        }
    }
}
