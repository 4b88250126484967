// A lesson begins, and media flows.

import { figure, scenario } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { filmed, join, unmuted } from "./steps.mjs";

/** Runs in the page: the id of the track that somebody's tile shows. */
function trackOfTile(name) {
  const face = [...document.querySelectorAll(".face")].find((one) => one.getAttribute("aria-label")?.startsWith(name));
  return face?.closest("article").querySelector("video")?.srcObject?.getVideoTracks()[0]?.id ?? null;
}

export async function begin(all) {
  const { teacher, first, third, students, everyone, origin } = all;

  await scenario("lesson.5", "a teacher starts her class with one tap; three students join", async () => {
    await teacher.signIn(all.account("teacher"));
    await Promise.all(students.map((student, index) => student.signIn(all.account("student", index))));
    await teacher.page.goto(`${origin}/`);
    const begun = Date.now();
    await teacher.pressStarting("Start ");
    await join(teacher, "Join and teach");
    await teacher.see("1 person");
    figure("lesson_teacher_from_tap_to_lesson", Date.now() - begun, "ms");
    all.lesson = new URL(teacher.page.url()).pathname;
    for (const student of students) {
      await student.page.goto(origin + all.lesson);
      await join(student, "Join");
    }
    await Promise.all(everyone.map((person) => person.see("4 people")));
    figure("lesson_four_present_after_tap", Date.now() - begun, "ms");
  });

  await scenario("lesson.6", "each receives moving video and audible sound of all others", async () => {
    for (const person of everyone) {
      await unmuted(person);
      await filmed(person);
    }
    await Promise.all(everyone.map((person) => person.receives("audio", 3)));
    await Promise.all(everyone.map((person) => person.receives("video", 3)));
  });

  await scenario("lesson.7", "an enlarged tile changes the simulcast layer at the receiver", async () => {
    const width = async () => {
      const track = await first.evaluate(trackOfTile, teacher.me.name);
      return (await first.tracks()).find((row) => row.track === track)?.width ?? 0;
    };
    const before = await until("a small layer is received", async () => {
      const now = await width();
      return now > 0 && now < 1280 && now;
    });
    await first.pressStarting(teacher.me.name);
    await until("a larger layer is received", async () => (await width()) > before, 60_000);
    await first.pressStarting(teacher.me.name);
  });
}
