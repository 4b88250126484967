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
    print("all in", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for room, person in zip(rooms, people):
        await room.close()
        await person.__aexit__()


asyncio.run(main(sys.argv[1]))
