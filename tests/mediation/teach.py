"""A teacher's lesson: holds it, says something in its chat, and ends it when a line comes in."""

import asyncio
import os
import sys

from kit import Person


async def main():
    teacher = Person(os.environ["TEACHER"], os.environ["TEACHER_PASSWORD"])
    async with teacher:
        lesson = (await teacher.post("/app/api/lessons", {"name": "Rocks"}))["lesson"]
        room = await teacher.enter(lesson)
        answer = await room.command("chat", text=os.environ["TEACHER_SAYS"], to="everyone")
        assert answer["type"] == "done", answer
        print("said", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        answer = await room.command("end")
        assert answer["type"] == "done", answer
        await room.close()
    print("ended", flush=True)


asyncio.run(main())
