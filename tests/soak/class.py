"""Students of a lesson as far as the class socket goes: signs each in, is admitted, prints the media token, and holds on.

    class.py LESSON   with `USER PASSWORD` lines and an empty line on its input; ends with its input

Prints one line `TOKEN` for each, in order.
"""

import asyncio
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "signalling"))
from kit import Person  # noqa: E402 (the kit is a folder next to ours)

PING_S = 10


async def keep_alive(room):
    while True:
        await room.socket.send_json({"type": "ping"})
        await asyncio.sleep(PING_S)


async def main(lesson):
    accounts = []
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        accounts.append(line.split())
    keep = []
    for account in accounts:
        person = await Person(*account).__aenter__()
        room = await person.enter(lesson)
        keep.append((person, room, asyncio.create_task(keep_alive(room))))
        print(room.token, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    # A class socket that was closed on us has kept nobody in the lesson.
    closed = [person.username for person, room, _ in keep if room.socket.closed]
    for person, room, task in keep:
        task.cancel()
        await room.close()
        await person.__aexit__()
    if closed:
        sys.exit(f"class sockets that did not hold: {closed}")


asyncio.run(main(sys.argv[1]))
