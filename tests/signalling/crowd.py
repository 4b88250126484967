"""Brings many students into a lesson by the class socket and holds them there until its input ends.

    crowd.py LESSON   with `USER PASSWORD` lines and an empty line on its input
"""

import asyncio
import sys

from kit import Person

HANDS = 2


async def main(lesson):
    accounts = []
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        accounts.append(line.split())
    people = [await Person(*account).__aenter__() for account in accounts]
    rooms = [await person.enter(lesson) for person in people]
    for room in rooms[:HANDS]:
        await room.command("raise_hand")
    keep = [asyncio.create_task(keep_alive(room)) for room in rooms]
    print("all in", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in keep:
        task.cancel()
    for room, person in zip(rooms, people):
        await room.close()
        await person.__aexit__()


async def keep_alive(room):
    while True:
        await room.socket.send_json({"type": "ping"})
        await asyncio.sleep(10)


asyncio.run(main(sys.argv[1]))
