//! One session: from the socket's opening to its end.

use std::sync::Arc;
use std::time::Duration;

use belfry_signalling::proto::signal_request::Message as Request;
use belfry_signalling::proto::signal_response::Message as Response;
use belfry_signalling::proto::{self, leave_request};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::peer_connection::{PeerConnection, RTCSessionDescription};

use crate::Error;
use crate::connection::{Happened, Shared, Target, connection};
use crate::participant::{Progress, Publish};
use crate::publisher::{self, Outgoing};
use crate::socket::{Address, Socket};

/// What clients allow for the first message.
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);
const EVENTS_MAX: usize = 16;

/// How a session ended, if it did not fail.
pub(crate) enum End {
    /// We left.
    Left,
    /// The appliance asks for a new session.
    Reconnect,
}

/// A joined session.
pub(crate) struct Session {
    socket: Socket,
    shared: Shared,
    events: mpsc::Receiver<Happened>,
    publish: Publish,
    progress: Progress,
    ping_interval: Duration,
    ping_timeout: Duration,
    subscriber: Option<Arc<dyn PeerConnection>>,
    publisher: Option<Arc<dyn PeerConnection>>,
    /// Tracks announced by `add_track` and not yet confirmed.
    unconfirmed: usize,
    audio: Option<Outgoing>,
    video: Option<Outgoing>,
    /// Tasks that feed the published tracks.
    tasks: JoinSet<()>,
}

impl Session {
    /// Opens the socket and waits for the join response.
    pub(crate) async fn join(
        address: &Address,
        publish: Publish,
        progress: Progress,
    ) -> Result<Self, Error> {
        let mut socket = Socket::open(address, &progress.token()).await?;
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let shared = progress.begin_session(sender);
        let first = timeout(JOIN_TIMEOUT, socket.next()).await.map_err(|_| Error::Silence)?;
        let join = match first.ok_or(Error::Lost)?? {
            Response::Join(join) => join,
            Response::Leave(leave) => return Err(Error::Ended { reason: leave.reason }),
            _ => return Err(Error::Message),
        };
        let seconds = |n: i32| Duration::from_secs(u64::try_from(n).unwrap_or(0).max(1));
        let mut session = Self {
            socket,
            shared,
            events,
            publish,
            progress,
            ping_interval: seconds(join.ping_interval),
            ping_timeout: seconds(join.ping_timeout),
            subscriber: None,
            publisher: None,
            unconfirmed: 0,
            audio: None,
            video: None,
            tasks: JoinSet::new(),
        };
        session.announce().await?;
        Ok(session)
    }

    async fn announce(&mut self) -> Result<(), Error> {
        let video = self.publish.video.map(publisher::video_request);
        let audio = self.publish.audio.then(publisher::audio_request);
        for request in audio.into_iter().chain(video) {
            self.unconfirmed += 1;
            self.socket.send(Request::AddTrack(request)).await?;
        }
        Ok(())
    }

    /// Runs until the session ends; closes what it opened.
    pub(crate) async fn run(mut self, stop: &mut mpsc::Receiver<()>) -> Result<End, Error> {
        let end = self.serve(stop).await;
        self.tasks.shutdown().await;
        for connection in [self.subscriber.take(), self.publisher.take()].into_iter().flatten() {
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "a connection did not close cleanly");
            }
        }
        end
    }

    async fn serve(&mut self, stop: &mut mpsc::Receiver<()>) -> Result<End, Error> {
        let mut pings = interval(self.ping_interval);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                message = self.socket.next() => {
                    heard = Instant::now();
                    let Some(message) = message else { return Err(Error::Lost) };
                    if let Some(end) = self.take(message?).await? {
                        return Ok(end);
                    }
                }
                Some(happened) = self.events.recv() => self.react(happened)?,
                _ = pings.tick() => {
                    if heard.elapsed() > self.ping_timeout {
                        return Err(Error::Silence);
                    }
                    self.socket.send(Request::PingReq(proto::Ping::default())).await?;
                }
                // Also when the participant was dropped.
                _ = stop.recv() => {
                    self.socket.send(Request::Leave(proto::LeaveRequest::default())).await?;
                    return Ok(End::Left);
                }
            }
        }
    }

    async fn take(&mut self, message: Response) -> Result<Option<End>, Error> {
        match message {
            Response::Offer(offer) => self.answer(offer).await?,
            Response::Answer(answer) => {
                if let Some(publisher) = &self.publisher {
                    let answer = RTCSessionDescription::answer(answer.sdp)?;
                    publisher.set_remote_description(answer).await?;
                }
            }
            Response::TrackPublished(_) => {
                self.unconfirmed = self.unconfirmed.saturating_sub(1);
                if self.unconfirmed == 0 {
                    self.offer().await?;
                }
            }
            Response::RefreshToken(token) => self.progress.keep_token(token),
            Response::Leave(leave) => {
                return match leave.action() {
                    leave_request::Action::Disconnect => Err(Error::Ended { reason: leave.reason }),
                    // A resume would be cheaper; a new session is always right.
                    leave_request::Action::Resume | leave_request::Action::Reconnect => {
                        Ok(Some(End::Reconnect))
                    }
                };
            }
            _ => {}
        }
        Ok(None)
    }

    /// Answers an offer of the subscriber connection, which the first one opens.
    async fn answer(&mut self, offer: proto::SessionDescription) -> Result<(), Error> {
        let subscriber = if let Some(subscriber) = &self.subscriber {
            Arc::clone(subscriber)
        } else {
            let new = connection(Target::Subscriber, self.socket.local, &self.shared).await?;
            self.subscriber = Some(Arc::clone(&new));
            new
        };
        subscriber.set_remote_description(RTCSessionDescription::offer(offer.sdp)?).await?;
        let answer = subscriber.create_answer(None).await?;
        subscriber.set_local_description(answer.clone()).await?;
        let answer = proto::SessionDescription {
            r#type: "answer".to_owned(),
            sdp: answer.sdp,
            id: offer.id,
            ..Default::default()
        };
        self.socket.send(Request::Answer(answer)).await
    }

    /// Offers our tracks. No candidates of ours are sent: the appliance is an ICE-lite agent with a
    /// known address, and learns ours from the checks (RFC 8445 section 7.3.1.3).
    async fn offer(&mut self) -> Result<(), Error> {
        let publisher = connection(Target::Publisher, self.socket.local, &self.shared).await?;
        self.audio = self.publish.audio.then(Outgoing::audio);
        self.video = self.publish.video.map(|_| Outgoing::video());
        for outgoing in self.audio.iter().chain(&self.video) {
            publisher.add_track(Arc::clone(&outgoing.track) as Arc<dyn TrackLocal>).await?;
        }
        let offer = publisher.create_offer(None).await?;
        publisher.set_local_description(offer.clone()).await?;
        self.publisher = Some(publisher);
        let offer = proto::SessionDescription {
            r#type: "offer".to_owned(),
            sdp: offer.sdp,
            id: 1,
            ..Default::default()
        };
        self.socket.send(Request::Offer(offer)).await
    }

    fn react(&mut self, happened: Happened) -> Result<(), Error> {
        match happened {
            Happened::Failed(_) => return Err(Error::Lost),
            Happened::Connected(Target::Subscriber) => {}
            Happened::Connected(Target::Publisher) => {
                // Taken, so that a connection that comes back does not start them twice.
                if let Some(audio) = self.audio.take() {
                    publisher::send_audio(&mut self.tasks, audio, self.progress.sent());
                }
                if let (Some(video), Some(settings)) = (self.video.take(), self.publish.video) {
                    let keyframe = Arc::clone(&self.shared.keyframe);
                    let sent = self.progress.sent();
                    publisher::send_video(&mut self.tasks, video, settings, keyframe, sent);
                }
            }
        }
        Ok(())
    }
}
