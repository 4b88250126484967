"""Somebody who speaks the protocol directly tries to get round every rule of a lesson, and fails.

Each attempt is followed by something allowed on the same path; when that has arrived, the attempt has been decided, too.
So a refusal is seen by order, not by waiting for silence.
"""

import asyncio
import re
import sys

import aiohttp

from kit import Person, Signal, failures, models, scenario, sign_ins, until, wire
from raw import RawParticipant

SECRET = b"meet me behind the gym"
# The same where the grammar has no spaces.
LABEL = "behind-the-gym"


class Lesson:
    """A teacher and two students, all raw."""

    async def __aenter__(self):
        accounts = [sign_ins("teacher")[0], *sign_ins("student")[1:3]]
        self.people = [await Person(*account).__aenter__() for account in accounts]
        self.id = await self.people[0].start_lesson()
        self.sockets = [await person.enter(self.id) for person in self.people]
        pairs = zip(self.people, self.sockets)
        self.raw = [await RawParticipant(person, socket.token).join() for person, socket in pairs]
        self.teacher, self.first, self.second = self.raw
        self.teacher_id, self.first_id, self.second_id = (socket.you["identity"] for socket in self.sockets)
        return self

    async def __aexit__(self, *_):
        await self.sockets[0].command("end")  # the next lesson of the class starts with its own rules
        for raw in self.raw:
            await raw.close()
        for socket in self.sockets:
            await socket.close()
        for person in self.people:
            await person.__aexit__()

    async def settled(self, marker):
        """The first student says something to the teacher, after all that it said before; the teacher then to the second student.

        The second student's channel keeps the order: what it was to be given before is there now.
        """
        self.first.send(user=models.UserPacket(payload=marker), destination_identities=[self.teacher_id])
        await until("the allowed message after it", lambda: marker in self.teacher.user_payloads())
        self.teacher.send(user=models.UserPacket(payload=marker), destination_identities=[self.second_id])
        await until("the teacher's message", lambda: marker in self.second.user_payloads())


def refused(lesson):
    """Nothing of the attempt is among what the second student received."""
    for message in [*lesson.second.packets, *lesson.second.signal.received]:
        assert SECRET not in message.SerializeToString() and LABEL.encode() not in message.SerializeToString(), message


async def private_messages():
    async with Lesson() as lesson:
        first, second = lesson.first, lesson.second_id
        first.send(user=models.UserPacket(payload=SECRET), destination_identities=[second])
        first.send(user=models.UserPacket(payload=SECRET, topic="lk.chat"), destination_identities=[second])
        first.send(user=models.UserPacket(payload=SECRET, destination_identities=[second]))
        first.send(user=models.UserPacket(payload=SECRET), destination_identities=[lesson.teacher_id, second])
        first.send_lossy(user=models.UserPacket(payload=SECRET), destination_identities=[second])
        first.send(user=models.UserPacket(payload=SECRET, destination_sids=[lesson.second.joined.participant.sid]))
        first.send(user=models.UserPacket(payload=SECRET))
        first.send(chat_message=models.ChatMessage(id="1", message=SECRET.decode()), destination_identities=[second])
        first.send(sip_dtmf=models.SipDTMF(code=1, digit=SECRET.decode()), destination_identities=[second])
        await lesson.settled(b"private")
        refused(lesson)


async def streams_calls_and_ciphertext():
    async with Lesson() as lesson:
        first, second, text = lesson.first, lesson.second_id, SECRET.decode()
        header = models.DataStream.Header(stream_id="s", topic="lk.chat", mime_type="text/plain", attributes={"note": text})
        first.send(stream_header=header, destination_identities=[second])
        first.send(stream_chunk=models.DataStream.Chunk(stream_id="s", content=SECRET), destination_identities=[second])
        first.send(stream_trailer=models.DataStream.Trailer(stream_id="s", reason=text), destination_identities=[second])
        first.send(rpc_request=models.RpcRequest(id="r", method=text, payload=text), destination_identities=[second])
        first.send(rpc_response=models.RpcResponse(request_id="r", payload=text), destination_identities=[second])
        first.send(encrypted_packet=models.EncryptedPacket(encrypted_value=SECRET), destination_identities=[second])
        first.send(encrypted_packet=models.EncryptedPacket(encrypted_value=SECRET))
        first.send(transcription=models.Transcription(segments=[models.TranscriptionSegment(id="1", text=text)]))
        await lesson.settled(b"streams")
        refused(lesson)


async def foreign_identity():
    async with Lesson() as lesson:
        forged = models.UserPacket(payload=b"forged", participant_identity=lesson.second_id)
        lesson.first.send(
            user=forged, participant_identity=lesson.second_id, participant_sid="PA_forged", destination_identities=[lesson.teacher_id]
        )
        await until("the message arrives", lambda: b"forged" in lesson.teacher.user_payloads())
        packet = next(p for p in lesson.teacher.packets if p.user.payload == b"forged")
        sid = lesson.first.joined.participant.sid
        assert packet.participant_identity == lesson.first_id and packet.participant_sid == sid, packet
        assert packet.user.participant_identity in ("", lesson.first_id), packet


async def attributes_and_names():
    async with Lesson() as lesson:
        request = wire.UpdateParticipantMetadata(attributes={"note": SECRET.decode()}, metadata=SECRET.decode(), name=SECRET.decode(), request_id=7)
        await lesson.first.signal.send(update_metadata=request)
        answer = await lesson.first.signal.first("request_response")
        assert answer.reason == wire.RequestResponse.Reason.NOT_ALLOWED, answer
        msid = re.compile(r"^a=msid:[^\r]*", flags=re.M)
        track = await lesson.first.publish(
            "audio",
            cid=SECRET.decode(),
            change=lambda sdp: msid.sub(f"a=msid:{LABEL} {LABEL}", sdp),
            name=SECRET.decode(),
            stream=SECRET.decode(),
        )
        await until("the second student is told of the track", lambda: lesson.second.sees(track.sid))
        await until("and receives it", lambda: lesson.second.tracks)
        await lesson.settled(b"names")
        refused(lesson)


async def forbidden_sources():
    async with Lesson() as lesson:
        done = await lesson.sockets[0].command("lock", what="cameras", on=True)
        assert done["type"] == "done", done
        camera = wire.AddTrackRequest(cid="c", type=models.TrackType.VIDEO, source=models.TrackSource.CAMERA)
        await lesson.first.signal.send(add_track=camera)
        answer = await lesson.first.signal.first("request_response")
        assert answer.reason == wire.RequestResponse.Reason.NOT_ALLOWED, answer
        assert not lesson.first.signal.all("track_published")
        unknown = wire.AddTrackRequest(cid="u", type=models.TrackType.VIDEO, source=models.TrackSource.UNKNOWN)
        await lesson.first.signal.send(add_track=unknown)
        await until("a second refusal", lambda: len(lesson.first.signal.all("request_response")) == 2)
        assert not lesson.first.signal.all("track_published")


async def commands_of_others():
    async with Lesson() as lesson:
        student, other = lesson.sockets[1], lesson.second_id
        attempts = [
            ("mute", {"identity": other, "source": "microphone"}),
            ("mute_all", {}),
            ("lock", {"what": "microphones", "on": True}),
            ("remove", {"identity": other, "reason": "no", "block": True}),
            ("chat_mode", {"mode": "off"}),
            ("layout", {"mode": "spotlight", "spotlight": other}),
            ("make_co_teacher", {"identity": lesson.first_id}),
            ("lower_hand_of", {"identity": other}),
            ("admit_all", {}),
            ("end", {}),
        ]
        for kind, fields in attempts:
            answer = await student.command(kind, **fields)
            assert answer["type"] == "refused" and answer["text"], (kind, answer)
        private = {"kind": "chat", "text": SECRET.decode(), "to": other}
        await student.socket.send_json({"type": "command", "id": 1000, "command": private})
        allowed = await student.command("chat", text="hello", to="everyone")
        assert allowed["type"] == "done", allowed
        heard = lesson.sockets[2]
        await until("the allowed message after it", lambda: heard.events("chat"))
        assert all(SECRET.decode() not in str(frame) for frame in heard.frames), "chat has no way to one student"


async def a_token_after_removal():
    async with Lesson() as lesson:
        person, socket = lesson.people[1], lesson.sockets[1]
        done = await lesson.sockets[0].command("remove", identity=lesson.first_id, reason="no", block=True)
        assert done["type"] == "done", done
        leave = await lesson.first.signal.first("leave")
        assert leave.action == wire.LeaveRequest.Action.DISCONNECT, leave
        for query in ({}, {"reconnect": 1, "sid": lesson.first.joined.participant.sid}):
            try:
                await Signal(person.http, socket.token).open(**query)
                raise AssertionError(f"a removed student's token opened a socket: {query}")
            except aiohttp.WSServerHandshakeError as error:
                assert error.status in (401, 403), error
        await lesson.second.signal.send(ping_req=wire.Ping(timestamp=1))
        await lesson.second.signal.first("pong_resp")


async def main():
    await scenario("signalling.4", "no private message on any data path", private_messages)
    await scenario("signalling.5", "nor by streams, calls or ciphertext", streams_calls_and_ciphertext)
    await scenario("signalling.6", "a foreign identity is overwritten", foreign_identity)
    await scenario("signalling.7", "nor by attributes, metadata, names or labels", attributes_and_names)
    await scenario("signalling.8", "forbidden sources are refused", forbidden_sources)
    await scenario("signalling.9", "a student's commands over others are refused", commands_of_others)
    await scenario("signalling.21", "a removed student's token opens nothing", a_token_after_removal)


asyncio.run(main())
sys.exit(1 if failures else 0)
