"""The traps of the signalling protocol, seen on the wire of a running appliance."""

import asyncio
import sys

import aiohttp

from kit import TLS, URL, WS_URL, Person, Signal, failures, models, scenario, sign_ins, until, wire
from raw import RawParticipant

FIRST_MESSAGE_S_MAX = 5
TRACK_PUBLISHED_S_MAX = 10


class Lesson:
    """A teacher in her lesson, with a media token."""

    async def __aenter__(self):
        self.person = await Person(*sign_ins("teacher")[0]).__aenter__()
        self.id = await self.person.start_lesson()
        self.socket = await self.person.enter(self.id)
        self.token = self.socket.token
        return self

    async def __aexit__(self, *_):
        await self.socket.close()
        await self.person.__aexit__()

    async def signal(self, **query):
        return await Signal(self.person.http, self.token).open(**query)


async def join_response():
    async with Lesson() as lesson:
        signal = await lesson.signal()
        join = await asyncio.wait_for(signal.first("join"), FIRST_MESSAGE_S_MAX)
        assert join.server_info.version and join.server_version, "an empty version makes JS refuse"
        assert join.server_info.protocol == 17, "18 without negotiated channels swallows data"
        assert join.ping_interval > 0 and join.ping_timeout > 0, "0 makes the native SDKs panic"
        assert join.participant.sid.startswith("PA_") and join.room.sid.startswith("RM_")
        assert join.participant.HasField("permission"), "without it JS cannot publish"
        assert join.subscriber_primary
        urls = [url for server in join.ice_servers for url in server.urls]
        assert urls and all("google" not in url for url in urls), "empty makes Android ask Google"
        offer = await signal.first("offer")
        assert offer.id == 1 and "webrtc-datachannel" in offer.sdp
        await signal.close()


async def status(http, path, **query):
    async with http.get(URL + path, params=query) as answer:
        return answer.status, await answer.text()


async def upgrade_status(http, path, token):
    try:
        socket = await http.ws_connect(f"{WS_URL}{path}?access_token={token}&protocol=17")
        await socket.close()
        return 101
    except aiohttp.WSServerHandshakeError as error:
        return error.status


async def refusals_before_the_upgrade():
    async with Lesson() as lesson, aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=TLS)) as http:
        assert await upgrade_status(http, "/rtc/v1", lesson.token) == 404
        assert (await status(http, "/rtc/v1/validate", access_token=lesson.token))[0] == 404
        assert (await status(http, "/rtc/validate", access_token=lesson.token))[0] == 200
        assert (await status(http, "/rtc", access_token=lesson.token))[0] == 404, "not an upgrade"
        head, body, tail = lesson.token.split(".")
        forged = f"{head}.{body}.{tail[:-4]}AAAA"
        for token in ("", "nonsense", forged):
            assert await upgrade_status(http, "/rtc", token) == 401, token
            assert (await status(http, "/rtc/validate", access_token=token))[0] == 401, token
        await lesson.socket.command("end")
        code, text = await status(http, "/rtc/validate", access_token=lesson.token)
        assert code == 404 and "requested room does not exist" in text, (code, text)


async def publishing():
    async with Lesson() as lesson:
        signal = await lesson.signal()
        await signal.first("join")
        await signal.send(subscription_permission=wire.SubscriptionPermission(all_participants=True))
        layers = [
            models.VideoLayer(quality=models.MEDIUM, width=640, height=360, bitrate=450_000),
            models.VideoLayer(quality=models.LOW, width=320, height=180, bitrate=160_000),
        ]
        camera = wire.AddTrackRequest(cid="cam", type=models.VIDEO, source=models.CAMERA, width=640, height=360, layers=layers)
        await signal.send(add_track=camera)
        published = await asyncio.wait_for(signal.first("track_published"), TRACK_PUBLISHED_S_MAX)
        assert published.cid == "cam" and published.track.sid.startswith("TR_"), published
        qualities = [layer.quality for layer in published.track.layers]
        assert qualities == sorted(qualities), "unsorted layers come in RID order q, h"
        await signal.close()


async def update_precedes_offer():
    async with Lesson() as lesson, Person(*sign_ins("student")[0]) as person:
        watcher = await lesson.signal()
        await watcher.first("offer")
        other = await person.enter(lesson.id)
        raw = await RawParticipant(person, other.token).join()
        await raw.signal.send(add_track=wire.AddTrackRequest(cid="a", type=models.AUDIO, source=models.MICROPHONE))
        sid = (await raw.signal.first("track_published")).track.sid
        kinds = lambda: [r.WhichOneof("message") for r in watcher.received]
        carries = lambda r: any(t.sid == sid for p in r.update.participants for t in p.tracks)
        await until("the update about the track", lambda: any(carries(r) for r in watcher.received))
        offers = [r for r in watcher.received if r.WhichOneof("message") == "offer" and sid in r.offer.sdp]
        assert not offers or watcher.received.index(offers[0]) > next(i for i, r in enumerate(watcher.received) if carries(r)), kinds()
        await raw.close()
        await other.close()
        await watcher.close()


async def resume():
    async with Lesson() as lesson:
        first = await lesson.signal()
        join = await first.first("join")
        sid = join.participant.sid
        await first.send(add_track=wire.AddTrackRequest(cid="mic", type=models.AUDIO, source=models.MICROPHONE))
        track = (await first.first("track_published")).track
        await first.close()
        second = await lesson.signal(reconnect=1, sid=sid)
        await second.first("reconnect")
        assert second.received[0].WhichOneof("message") == "reconnect", "must be the first message"
        assert second.all("reconnect")[0].ice_servers and second.all("reconnect")[0].server_info.version
        await until("an update about itself", lambda: any(p.sid == sid for u in second.all("update") for p in u.participants))
        stale = wire.TrackPublishedResponse(cid="another name", track=track)
        await second.send(sync_state=wire.SyncState(publish_tracks=[stale]))
        await second.send(ping_req=wire.Ping(timestamp=1, rtt=1))
        await second.first("pong_resp")
        assert not second.all("leave"), "a stale cid is not a mismatch"
        unknown = wire.TrackPublishedResponse(cid="x", track=models.TrackInfo(sid="TR_unknown"))
        await second.send(sync_state=wire.SyncState(publish_tracks=[unknown]))
        leave = await second.first("leave")
        assert leave.action == wire.LeaveRequest.Action.RECONNECT, leave
        await second.close()
        third = await lesson.signal(reconnect=1, sid="PA_unknown")
        leave = await third.first("leave")
        assert third.received[0].WhichOneof("message") == "leave" and leave.action == wire.LeaveRequest.Action.RECONNECT
        await third.close()


async def server_mute():
    async with Lesson() as lesson, Person(*sign_ins("student")[0]) as person:
        other = await person.enter(lesson.id)
        raw = await RawParticipant(person, other.token).join()
        await raw.signal.send(add_track=wire.AddTrackRequest(cid="a", type=models.AUDIO, source=models.MICROPHONE))
        sid = (await raw.signal.first("track_published")).track.sid
        assert (await lesson.socket.command("mute", identity=other.you["identity"], source="microphone"))["type"] == "done"
        mute = await raw.signal.first("mute")
        assert mute.sid == sid and mute.muted
        await raw.signal.send(mute=wire.MuteTrackRequest(sid=sid, muted=True))
        await raw.signal.send(ping_req=wire.Ping(timestamp=1))
        await raw.signal.first("pong_resp")
        assert len(raw.signal.all("mute")) == 1, "an echo is not answered with another mute"
        await lesson.socket.command("lock", what="microphones", on=True)
        await raw.signal.send(mute=wire.MuteTrackRequest(sid=sid, muted=False))
        await until("a second mute", lambda: len(raw.signal.all("mute")) == 2)
        assert raw.signal.all("mute")[-1].muted, "an unmute against a lock is taken back"
        await raw.close()
        await other.close()


async def duplicates_and_rubbish():
    async with Lesson() as lesson:
        first = await lesson.signal()
        await first.first("join")
        second = await lesson.signal()
        await second.first("join")
        leave = await first.first("leave")
        assert leave.reason == models.DUPLICATE_IDENTITY and leave.action == wire.LeaveRequest.Action.DISCONNECT, leave
        await second.socket.send_bytes(b"\xff\xff\xff rubbish")
        await second.send(trickle=wire.TrickleRequest(candidateInit="{not json", target=wire.PUBLISHER))
        await second.send(offer=wire.SessionDescription(type="offer", sdp="v=0\r\nrubbish", id=1))
        await second.send(ping_req=wire.Ping(timestamp=5))
        await second.first("pong_resp")
        await second.close()


async def main():
    await scenario("signalling.10", "the join response holds what clients need", join_response)
    await scenario("signalling.11", "refusals come before the upgrade, with the status that clients read", refusals_before_the_upgrade)
    await scenario("signalling.12", "publishing is answered at once, layers sorted", publishing)
    await scenario("signalling.13", "an update precedes the offer that carries its track", update_precedes_offer)
    await scenario("signalling.14", "resume keeps the session, mismatch asks for a full reconnect", resume)
    await scenario("signalling.15", "a server mute wins, and its echo ends there", server_mute)
    await scenario("signalling.16", "a second join evicts the first; rubbish disturbs nobody", duplicates_and_rubbish)


asyncio.run(main())
sys.exit(1 if failures else 0)
