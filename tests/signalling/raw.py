"""A participant that speaks the protocol directly: it can say what no client library would."""

import asyncio

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from kit import Signal, models, until, wire


class RawParticipant:
    """Signalling by hand, data channels by aiortc."""

    def __init__(self, person, token):
        self.signal = Signal(person.http, token)
        self.publisher = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.subscriber = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.packets, self.tasks, self.answered = [], [], 0

    async def join(self, **query):
        await self.signal.open(**query)
        self.joined = await self.signal.first("join")
        self.subscriber.on("datachannel", self.listen)
        self.tasks.append(asyncio.create_task(self.answer_offers()))
        await self.open_channels()
        return self

    def listen(self, channel):
        channel.on("message", lambda data: self.packets.append(models.DataPacket.FromString(data)))

    async def answer_offers(self):
        while True:
            offers = await until("an offer", lambda: self.signal.all("offer")[self.answered :], 600)
            offer = offers[0]
            self.answered += 1
            await self.subscriber.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            await self.subscriber.setLocalDescription(await self.subscriber.createAnswer())
            answer = wire.SessionDescription(type="answer", sdp=self.subscriber.localDescription.sdp, id=offer.id)
            await self.signal.send(answer=answer)

    async def open_channels(self):
        self.reliable = self.publisher.createDataChannel("_reliable", ordered=True)
        self.lossy = self.publisher.createDataChannel("_lossy", ordered=False, maxRetransmits=0)
        await self.publisher.setLocalDescription(await self.publisher.createOffer())
        offer = wire.SessionDescription(type="offer", sdp=self.publisher.localDescription.sdp, id=1)
        await self.signal.send(offer=offer)
        answer = await self.signal.first("answer")
        await self.publisher.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        await until("the channels open", lambda: self.reliable.readyState == "open" and self.lossy.readyState == "open")

    def send(self, **packet):
        self.reliable.send(models.DataPacket(kind=models.DataPacket.RELIABLE, **packet).SerializeToString())

    def user_payloads(self):
        return [packet.user.payload for packet in self.packets if packet.WhichOneof("value") == "user"]

    async def close(self):
        for task in self.tasks:
            task.cancel()
        await self.publisher.close()
        await self.subscriber.close()
        await self.signal.close()
