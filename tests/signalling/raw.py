"""A participant that speaks the protocol directly: it can say what no client library would."""

import asyncio

from aiortc import AudioStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack

from kit import Signal, models, until, wire

MEDIA = {
    "audio": (AudioStreamTrack, models.TrackType.AUDIO, models.TrackSource.MICROPHONE),
    "video": (VideoStreamTrack, models.TrackType.VIDEO, models.TrackSource.CAMERA),
}


def connection():
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


class RawParticipant:
    """Signalling by hand, media and data channels by aiortc."""

    def __init__(self, person, token):
        self.person, self.token = person, token
        self.signal = Signal(person.http, token)
        self.publisher, self.subscriber = connection(), connection()
        self.packets, self.tracks, self.offers = [], [], 0

    async def join(self, **query):
        await self.signal.open(**query)
        self.joined = await self.signal.first("join")
        self.subscriber.on("datachannel", self.listen)
        self.subscriber.on("track", self.tracks.append)
        self.answering = asyncio.create_task(self.answer_offers())
        await self.open_channels()
        return self

    def listen(self, channel):
        channel.on("message", lambda data: self.packets.append(models.DataPacket.FromString(data)))

    async def answer_offers(self):
        answered = 0
        while True:
            offer = (await until("an offer", lambda: self.signal.all("offer")[answered:], 600))[0]
            answered += 1
            await self.subscriber.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            await self.subscriber.setLocalDescription(await self.subscriber.createAnswer())
            answer = wire.SessionDescription(type="answer", sdp=self.subscriber.localDescription.sdp, id=offer.id)
            await self.signal.send(answer=answer)

    async def open_channels(self):
        self.reliable = self.publisher.createDataChannel("_reliable", ordered=True)
        self.lossy = self.publisher.createDataChannel("_lossy", ordered=False, maxRetransmits=0)
        await self.negotiate()
        await until("the channels open", lambda: self.reliable.readyState == "open" and self.lossy.readyState == "open")

    async def offer(self, change=lambda sdp: sdp):
        """Sends an offer; `change` turns it into another client's dialect. Returns its id."""
        await self.publisher.setLocalDescription(await self.publisher.createOffer())
        return await self.send_offer(change(self.publisher.localDescription.sdp))

    async def send_offer(self, sdp):
        self.offers += 1
        await self.signal.send(offer=wire.SessionDescription(type="offer", sdp=sdp, id=self.offers))
        return self.offers

    async def answer_to(self, identifier):
        def answers():
            return [answer for answer in self.signal.all("answer") if answer.id == identifier]

        return (await until(f"the answer to offer {identifier}", answers))[0]

    async def negotiate(self, change=lambda sdp: sdp):
        answer = await self.answer_to(await self.offer(change))
        await self.publisher.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        return answer

    async def publish(self, kind, cid=None, change=lambda sdp: sdp, **more):
        """Publishes a camera or a microphone that really sends. `cid`: another name than the section's; `more`: of the request."""
        make, of_type, source = MEDIA[kind]
        track = make()
        self.publisher.addTrack(track)
        name = cid or track.id
        request = wire.AddTrackRequest(cid=name, type=of_type, source=source, width=640, height=480, **more)
        await self.signal.send(add_track=request)
        await self.negotiate(change)
        return await self.published(name)

    async def published(self, cid):
        """The track as its publisher is told of it, when its request and its section have met."""
        answer = await until("track_published", lambda: next((p for p in self.signal.all("track_published") if p.cid == cid), None))
        sid = answer.track.sid
        return await until(f"{sid} is among the tracks", lambda: self.sees(sid))

    def sees(self, sid):
        """A track, as the latest update that holds it tells."""
        updates = reversed(self.signal.all("update"))
        return next((track for update in updates for person in update.participants for track in person.tracks if track.sid == sid), None)

    def send(self, **packet):
        self.reliable.send(models.DataPacket(kind=models.DataPacket.RELIABLE, **packet).SerializeToString())

    def send_lossy(self, **packet):
        self.lossy.send(models.DataPacket(kind=models.DataPacket.LOSSY, **packet).SerializeToString())

    def user_payloads(self):
        return [packet.user.payload for packet in self.packets if packet.WhichOneof("value") == "user"]

    async def close(self):
        self.answering.cancel()
        await self.publisher.close()
        await self.subscriber.close()
        await self.signal.close()
