"""The Python LiveKit SDK (native libwebrtc), unmodified, in a lesson: joins, publishes, receives."""

import asyncio
import sys

import numpy
from livekit import rtc

from kit import Person, URL, WS_URL, failures, scenario, sign_ins, until

RATE_HZ, WIDTH, HEIGHT = 48_000, 640, 360


class Participant:
    """A Room of the SDK with what it has received so far."""

    def __init__(self):
        self.room = rtc.Room()
        self.video_frames, self.audio_energy, self.data, self.tasks = {}, {}, [], []
        self.room.on("track_subscribed", self.subscribed)
        self.room.on("data_received", lambda packet: self.data.append(packet))

    def subscribed(self, track, publication, participant):
        reader = self.read_video if track.kind == rtc.TrackKind.KIND_VIDEO else self.read_audio
        self.tasks.append(asyncio.create_task(reader(track, participant.identity)))

    async def read_video(self, track, identity):
        async for _ in rtc.VideoStream(track):
            self.video_frames[identity] = self.video_frames.get(identity, 0) + 1

    async def read_audio(self, track, identity):
        async for event in rtc.AudioStream(track):
            samples = numpy.frombuffer(event.frame.data, dtype=numpy.int16).astype(float)
            self.audio_energy[identity] = self.audio_energy.get(identity, 0.0) + float((samples**2).sum())

    async def connect(self, token):
        await self.room.connect(WS_URL, token)

    async def publish(self):
        """A tone and a moving picture, for as long as the participant lives."""
        audio, video = rtc.AudioSource(RATE_HZ, 1), rtc.VideoSource(WIDTH, HEIGHT)
        microphone = rtc.LocalAudioTrack.create_audio_track("microphone", audio)
        camera = rtc.LocalVideoTrack.create_video_track("camera", video)
        local = self.room.local_participant
        self.microphone = await local.publish_track(microphone, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
        self.camera = await local.publish_track(camera, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA))
        self.tasks += [asyncio.create_task(self.speak(audio)), asyncio.create_task(self.film(video))]

    async def speak(self, source):
        samples, phase = RATE_HZ // 100, 0
        while True:
            tone = 8_000 * numpy.sin(2 * numpy.pi * 440 * (numpy.arange(samples) + phase) / RATE_HZ)
            phase += samples
            await source.capture_frame(rtc.AudioFrame(tone.astype(numpy.int16).tobytes(), RATE_HZ, 1, samples))

    async def film(self, source):
        picture = numpy.zeros((HEIGHT, WIDTH, 4), dtype=numpy.uint8)
        while True:
            picture = numpy.roll(picture + numpy.uint8(3), 8, axis=1)
            picture[:, : WIDTH // 4, 0] += numpy.uint8(17)
            source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, picture.tobytes()))
            await asyncio.sleep(1 / 15)

    async def close(self):
        for task in self.tasks:
            task.cancel()
        await self.room.disconnect()


async def joins_publishes_receives():
    teacher_account, student_account = sign_ins("teacher")[0], sign_ins("student")[0]
    async with Person(*teacher_account) as teacher_person, Person(*student_account) as student_person:
        lesson = await teacher_person.start_lesson()
        teacher_class, student_class = await teacher_person.enter(lesson), await student_person.enter(lesson)
        teacher, student = Participant(), Participant()
        try:
            await teacher.connect(teacher_class.token)
            await student.connect(student_class.token)
            await teacher.publish()
            await student.publish()
            for one, other in ((teacher, student_class), (student, teacher_class)):
                identity = other.you["identity"]
                await until(f"pictures of {identity} move", lambda: one.video_frames.get(identity, 0) > 10)
                await until(f"{identity} is heard", lambda: one.audio_energy.get(identity, 0) > 1e9)
            await teacher.room.local_participant.publish_data(b"to the class", reliable=True, topic="demo")
            await until("the student receives data", lambda: any(p.data == b"to the class" for p in student.data))
            sender = student.data[0].participant
            assert sender and sender.identity == teacher_class.you["identity"], sender
        finally:
            await student.close()
            await teacher.close()
            await student_class.close()
            await teacher_class.close()


async def main():
    assert URL.startswith("https://")
    await scenario("signalling.2", "the Python SDK joins, publishes and receives", joins_publishes_receives)


asyncio.run(main())
sys.exit(1 if failures else 0)
