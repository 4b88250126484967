"""People of the demo school, spoken for by scripts: sign-in, the class socket, and raw signalling."""

import asyncio
import json
import os
import ssl
import time
import traceback
from urllib.parse import urlencode

import aiohttp
from livekit.protocol import models, rtc as wire

URL = os.environ["BELFRY_URL"]
WS_URL = URL.replace("https:", "wss:")
TLS = ssl.create_default_context(cafile=os.environ["BELFRY_ROOT"])
DEADLINE_S = 30
# Of the class socket (PROTOCOL.md); the server gives up after 25 s of silence.
PING_EVERY_S = 10

failures = []


async def scenario(identifier, title, run):
    """Runs one numbered scenario and reports it on the line that tests/run counts."""
    start = time.monotonic()
    try:
        await asyncio.wait_for(run(), 180)
        print(f"scenario {identifier} ok {title} ({time.monotonic() - start:.1f} s)", flush=True)
    except BaseException as error:  # a failed scenario must not hide the next
        failures.append(identifier)
        traceback.print_exception(error)
        print(f"scenario {identifier} FAIL {title}: {error!r}", flush=True)


async def until(what, condition, deadline_s=DEADLINE_S):
    """Waits for a condition, never for a time."""
    end = time.monotonic() + deadline_s
    while True:
        seen = condition()
        if asyncio.iscoroutine(seen):
            seen = await seen
        if seen:
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {deadline_s} s (last seen: {seen!r})")
        await asyncio.sleep(0.05)


def sign_ins(role):
    """(username, password) of the demo accounts with this role."""
    with open(os.environ["BELFRY_SIGN_INS"], encoding="utf-8") as lines:
        rows = [line.split() for line in lines if line.strip()]
    return [(username, password) for row, username, password in rows if row == role]


class Person:
    """An account with a browser session."""

    def __init__(self, username, password):
        self.username, self.password = username, password

    async def __aenter__(self):
        connector = aiohttp.TCPConnector(ssl=TLS)
        self.http = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True))
        async with self.http.post(
            f"{URL}/sign-in",
            data={"username": self.username, "password": self.password},
            headers={"origin": URL, "sec-fetch-site": "same-origin"},
            allow_redirects=False,
        ) as answer:
            assert answer.status == 303, f"sign-in of {self.username}: {answer.status} {await answer.text()}"
        self.me = await self.get("/app/api/me")
        return self

    async def __aexit__(self, *_):
        await self.http.close()

    async def get(self, path):
        async with self.http.get(URL + path) as answer:
            body = await answer.text()
            assert answer.status == 200, f"{path}: {answer.status} {body}"
            return json.loads(body)

    async def post(self, path, body=None):
        headers = {"x-csrf": self.me["csrf"], "origin": URL, "sec-fetch-site": "same-origin"}
        async with self.http.post(URL + path, json=body or {}, headers=headers) as answer:
            text = await answer.text()
            assert answer.status == 200, f"{path}: {answer.status} {text}"
            return json.loads(text)

    async def start_lesson(self):
        today = await self.get("/app/api/today")
        started = await self.post(f"/app/api/classes/{today['classes'][0]['class']}/start")
        return started["lesson"]

    async def enter(self, lesson):
        """Opens the class socket and waits for admission."""
        room = ClassSocket(self, lesson)
        await room.open()
        await until(f"{self.username} is admitted", lambda: room.token)
        return room


class ClassSocket:
    def __init__(self, person, lesson):
        self.person, self.lesson = person, lesson
        self.frames, self.token, self.you, self.state, self.bye = [], None, None, None, None
        self.next_id = 1

    async def open(self):
        self.socket = await self.person.http.ws_connect(f"{WS_URL}/class/{self.lesson}", origin=URL)
        await self.socket.send_json({"type": "hello", "resume": None})
        self.reader = asyncio.create_task(self.read())
        self.pinger = asyncio.create_task(self.ping())
        await until("a welcome", lambda: self.you or self.bye)

    async def read(self):
        async for message in self.socket:
            if message.type == aiohttp.WSMsgType.TEXT:
                self.take(json.loads(message.data))

    async def ping(self):
        while not self.socket.closed:
            await self.socket.send_json({"type": "ping"})
            await asyncio.sleep(PING_EVERY_S)

    def take(self, frame):
        self.frames.append(frame)
        if frame["type"] == "welcome":
            self.state = frame["state"]
            self.meet(frame["you"])
        elif frame["type"] == "bye":
            self.bye = frame
        elif frame["type"] == "event":
            event = frame["event"]
            if event["kind"] in ("admitted", "role"):
                self.meet(event["you"])
            elif event["kind"] == "token":
                self.token = event["token"]

    def meet(self, you):
        self.you = you
        if you.get("media"):
            self.token = you["media"]["token"]

    async def command(self, kind, **fields):
        """Sends a command and returns the server's answer to it."""
        identifier, self.next_id = self.next_id, self.next_id + 1
        await self.socket.send_json({"type": "command", "id": identifier, "command": {"kind": kind, **fields}})

        def answered():
            return next((f for f in self.frames if f["type"] in ("done", "refused") and f.get("id") == identifier), None)

        return await until(f"an answer to {kind}", answered)

    def events(self, kind):
        return [f["event"] for f in self.frames if f["type"] == "event" and f["event"]["kind"] == kind]

    async def close(self):
        self.pinger.cancel()
        self.reader.cancel()
        await self.socket.close()


class Signal:
    """A raw signalling socket: what the wire says, without a client library's opinion."""

    def __init__(self, http, token):
        self.http, self.token, self.received = http, token, []

    async def open(self, path="/rtc", **query):
        fields = {"access_token": self.token, "protocol": 17, "sdk": "python", "version": "1.2.1", "auto_subscribe": 1, **query}
        self.socket = await self.http.ws_connect(f"{WS_URL}{path}?{urlencode(fields)}", max_msg_size=4 * 1024 * 1024)
        self.reader = asyncio.create_task(self.read())
        return self

    async def read(self):
        async for message in self.socket:
            if message.type == aiohttp.WSMsgType.BINARY:
                self.received.append(wire.SignalResponse.FromString(message.data))

    async def send(self, **message):
        await self.socket.send_bytes(wire.SignalRequest(**message).SerializeToString())

    def all(self, kind):
        return [getattr(r, kind) for r in self.received if r.WhichOneof("message") == kind]

    async def first(self, kind):
        return (await until(f"a {kind}", lambda: self.all(kind)))[0]

    async def close(self):
        self.reader.cancel()
        await self.socket.close()


__all__ = ["ClassSocket", "Person", "Signal", "TLS", "URL", "WS_URL", "failures", "models", "scenario", "sign_ins", "until", "wire"]
