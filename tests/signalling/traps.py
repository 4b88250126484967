"""The traps of the signalling protocol, seen on the wire of a running appliance."""

import asyncio
import re
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


class Class:
    """A teacher and a student with real connections."""

    async def __aenter__(self):
        self.people = [await Person(*sign_ins(role)[0]).__aenter__() for role in ("teacher", "student")]
        lesson = await self.people[0].start_lesson()
        self.sockets = [await person.enter(lesson) for person in self.people]
        self.teacher_socket, self.student_socket = self.sockets
        pairs = zip(self.people, self.sockets)
        self.raw = [await RawParticipant(person, socket.token).join() for person, socket in pairs]
        self.teacher, self.student = self.raw
        return self

    async def __aexit__(self, *_):
        await self.teacher_socket.command("end")  # the next lesson of the class starts with its own rules
        for one in [*self.raw, *self.sockets]:
            await one.close()
        for person in self.people:
            await person.__aexit__()


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
        candidates = {":".join(line.split()[4:6]) for line in offer.sdp.splitlines() if line.startswith("a=candidate:")}
        servers = {url.removeprefix("stun:") for url in urls}
        assert candidates and not candidates & servers, "libwebrtc takes all that comes from its STUN server as that server's"
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
        for prefix in ("/", "/sfu", "/sfu/", "/district/media"):
            assert await upgrade_status(http, f"{prefix}/rtc", lesson.token) == 101, prefix
            assert (await status(http, f"{prefix}/rtc/validate", access_token=lesson.token))[0] == 200, prefix
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
    async with Class() as lesson:
        sid = (await lesson.student.publish("audio")).sid
        received = lesson.teacher.signal.received

        def position(carries):
            return next((place for place, response in enumerate(received) if carries(response)), None)

        offered = await until("an offer with the track", lambda: position(lambda r: sid in r.offer.mid_to_track_id.values()))
        told = position(lambda r: any(t.sid == sid for p in r.update.participants for t in p.tracks))
        assert told is not None and told < offered, "JS drops a track of a participant that it does not know"
        assert sid in received[offered].offer.sdp, "the section's msid names the track, too"
        await until("the track arrives", lambda: lesson.teacher.tracks)


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
    async with Class() as lesson:
        student, identity = lesson.student, lesson.student_socket.you["identity"]
        sid = (await student.publish("audio")).sid
        await until("the teacher sees it", lambda: lesson.teacher.sees(sid))
        assert (await lesson.teacher_socket.command("mute", identity=identity, source="microphone"))["type"] == "done"
        mute = await student.signal.first("mute")
        assert mute.sid == sid and mute.muted
        await until("the teacher sees that it is muted", lambda: lesson.teacher.sees(sid).muted)
        await student.signal.send(mute=wire.MuteTrackRequest(sid=sid, muted=True))
        await student.signal.send(ping_req=wire.Ping(timestamp=1))
        await student.signal.first("pong_resp")
        assert len(student.signal.all("mute")) == 1, "an echo is not answered with another mute"
        await student.signal.send(mute=wire.MuteTrackRequest(sid=sid, muted=False))
        await until("an unmute of one's own", lambda: not lesson.teacher.sees(sid).muted)
        await lesson.teacher_socket.command("lock", what="microphones", on=True)
        await until("the lock mutes", lambda: len(student.signal.all("mute")) == 2)
        await student.signal.send(mute=wire.MuteTrackRequest(sid=sid, muted=False))
        await until("a third mute", lambda: len(student.signal.all("mute")) == 3)
        assert student.signal.all("mute")[-1].muted, "an unmute against a lock is taken back"
        assert lesson.teacher.sees(sid).muted


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
        await second.send(ping_req=wire.Ping(timestamp=5))
        await second.first("pong_resp")
        # Whose description means nothing cannot go on with this connection, and is told to begin again.
        await second.send(offer=wire.SessionDescription(type="offer", sdp="v=0\r\nrubbish", id=1))
        leave = await second.first("leave")
        assert leave.reason == models.MEDIA_FAILURE, leave
        await second.close()


async def socket_breaks():
    async with Class() as lesson:
        student, teacher = lesson.student, lesson.teacher
        sid = (await student.publish("audio")).sid
        await until("the track arrives", lambda: teacher.tracks)
        own = student.joined.participant.sid
        student.signal.socket._response.connection.transport.abort()
        await until("the socket is broken", lambda: student.signal.socket.closed or student.signal.reader.done())
        student.send(user=models.UserPacket(payload=b"still here"), destination_identities=[lesson.teacher_socket.you["identity"]])
        await until("data without a signalling socket", lambda: b"still here" in teacher.user_payloads())
        student.answering.cancel()
        student.signal = await Signal(lesson.people[1].http, lesson.student_socket.token).open(reconnect=1, sid=own)
        await student.signal.first("reconnect")
        student.answering = asyncio.create_task(student.answer_offers())
        offer = await student.signal.first("offer")
        assert "a=ice-ufrag" in offer.sdp, "the subscriber's ICE starts again"
        track = wire.TrackPublishedResponse(cid="stale", track=student.sees(sid) or models.TrackInfo(sid=sid))
        await student.signal.send(sync_state=wire.SyncState(publish_tracks=[track]))
        teacher.send(user=models.UserPacket(payload=b"welcome back"))
        await until("data to the resumed one", lambda: b"welcome back" in student.user_payloads())
        gone = [p for u in teacher.signal.all("update") for p in u.participants if p.sid == own and p.state == models.ParticipantInfo.DISCONNECTED]
        assert not gone, "a resume is no leave"
        await lesson.teacher_socket.command("mute", identity=lesson.student_socket.you["identity"], source="microphone")
        assert (await student.signal.first("mute")).sid == sid, "the publication is the same"


def as_firefox(sdp):
    """Later sections at port 0 with bundle-only, directions in extmaps, msids in braces that name nothing."""
    session, *sections = re.split(r"(?=^m=)", sdp, flags=re.M)
    changed = [sections[0]]
    for section in sections[1:]:
        section = re.sub(r"^(m=\w+) \d+ ", r"\1 0 ", section)
        section = re.sub(r"^(a=mid:.*\r\n)", r"\1a=bundle-only\r\n", section, flags=re.M)
        changed.append(section)
    text = "".join([session, *changed])
    text = re.sub(r"^a=extmap:(\d+) ", r"a=extmap:\1/sendonly ", text, flags=re.M)
    return re.sub(r"^a=msid:.*$", "a=msid:{00000000-0000-4000-8000-000000000001} {00000000-0000-4000-8000-000000000002}\r", text, flags=re.M)


async def firefox_dialect():
    async with Class() as lesson:
        track = await lesson.student.publish("audio", cid="{its name in add_track}", change=as_firefox)
        assert track.mid, "a section was found for it"
        answer = lesson.student.signal.all("answer")[-1].sdp
        audio = next(section for section in re.split(r"(?=^m=)", answer, flags=re.M) if section.startswith("m=audio"))
        assert not audio.startswith("m=audio 0 "), "port 0 with bundle-only is no rejection"
        assert "/sendonly" not in audio, "the answer's direction is ours"
        await until("the track arrives", lambda: lesson.teacher.tracks)
        sound = lesson.teacher.tracks[0]
        await asyncio.wait_for(sound.recv(), TRACK_PUBLISHED_S_MAX)


def with_paused_layers(sdp):
    """The video section of a simulcast sender after dynacast: two of three layers paused."""
    head, video = sdp[: sdp.index("m=video")], sdp[sdp.index("m=video") :]
    rids = "".join(f"a=rid:{rid} send\r\n" for rid in "qhf")
    extension = "a=extmap:14 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
    return f"{head}{video}{extension}{rids}a=simulcast:send q;~h;~f\r\n"


async def offers_in_a_row():
    async with Class() as lesson:
        student = lesson.student
        video = student.publisher.addTransceiver("video", direction="sendonly")
        assert video
        await student.signal.send(add_track=wire.AddTrackRequest(cid="camera", type=models.VIDEO, source=models.CAMERA))
        first = await student.offer(with_paused_layers)
        second = await student.send_offer(with_paused_layers(student.publisher.localDescription.sdp))
        answers = [await student.answer_to(identifier) for identifier in (first, second)]
        for answer in answers:
            assert re.search(r"^a=simulcast:recv .*q.*h.*f", answer.sdp, flags=re.M), answer.sdp
        order = [answer.id for answer in student.signal.all("answer")]
        assert order == sorted(order), order
        assert not student.signal.all("leave")


async def dynacast():
    async with Class() as lesson:
        sid = (await lesson.student.publish("video")).sid
        await until("the picture arrives", lambda: lesson.teacher.tracks)
        settings = wire.UpdateTrackSettings(track_sids=[sid], disabled=True)
        await lesson.teacher.signal.send(track_setting=settings)
        update = await lesson.student.signal.first("subscribed_quality_update")
        assert update.track_sid == sid and update.subscribed_codecs[0].codec == "vp8", update
        qualities = update.subscribed_codecs[0].qualities
        assert [q.quality for q in qualities] == [models.LOW, models.MEDIUM, models.HIGH], "a missing one may be sent"
        assert not any(q.enabled for q in qualities), update


async def main():
    await scenario("signalling.10", "the join response holds what clients need", join_response)
    await scenario("signalling.11", "refusals come before the upgrade, with the status that clients read", refusals_before_the_upgrade)
    await scenario("signalling.12", "publishing is answered at once, layers sorted", publishing)
    await scenario("signalling.13", "an update precedes the offer that carries its track", update_precedes_offer)
    await scenario("signalling.14", "resume keeps the session, mismatch asks for a full reconnect", resume)
    await scenario("signalling.15", "a server mute wins, and its echo ends there", server_mute)
    await scenario("signalling.16", "a second join evicts the first; rubbish disturbs nobody", duplicates_and_rubbish)
    await scenario("signalling.17", "media and data outlive a broken socket, and a resume takes them up", socket_breaks)
    await scenario("signalling.18", "Firefox's offers are understood", firefox_dialect)
    await scenario("signalling.19", "offers in a row are answered in order, with paused layers as layers", offers_in_a_row)
    await scenario("signalling.20", "a publisher is told which layers nobody wants", dynacast)


asyncio.run(main())
sys.exit(1 if failures else 0)
