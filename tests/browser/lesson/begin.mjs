// A lesson begins, and media flows.

import { soundCounted } from "../kit/coded.mjs";
import { figure, scenario } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { filmed, join, muted, unmuted } from "./steps.mjs";

/** Frames of a voice after which it is said in what it comes: two seconds of them. */
const FRAMES_MIN = 100;

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

  await scenario("lesson.37", "the teacher's voice comes with redundancy to those who take it, and without to the others", async () => {
    const someone = await all.atChromium({ scripts: ["coded"] });
    await someone.signIn(all.account("student", 3));
    await someone.page.goto(origin + all.lesson);
    await someone.press("Camera on");
    await join(someone, "Join");
    const heard = await someone.receives("audio", 4);
    const voice = await until("one of four voices comes with redundancy", async () => {
      const sources = Object.entries(await someone.evaluate(soundCounted));
      if (sources.length !== heard.length || sources.some(([, { red, opus }]) => red + opus < FRAMES_MIN)) return null;
      const redundant = sources.filter(([, { red }]) => red > 0);
      if (redundant.length !== 1 || redundant[0][1].opus > 0) throw new Error(JSON.stringify(sources));
      return heard.find((row) => String(row.ssrc) === redundant[0][0]);
    });
    // It is the teacher's, and a mute holds for it as for any other.
    await muted(teacher);
    await someone.standsStill(voice, "packets");
    await unmuted(teacher);
    const again = await someone.receives("audio", 4);
    if (!again.some((row) => row.ssrc === voice.ssrc)) throw new Error("the teacher is not heard again");
    // Firefox knows no redundancy: it gets the voice alone, in half as many bytes.
    const each = ({ bytes, packets }) => bytes / packets;
    const alone = Math.max(...(await third.receives("audio", 3)).map(each));
    const [both] = again.filter((row) => row.ssrc === voice.ssrc).map(each);
    if (both < 1.5 * alone) throw new Error(`${both} bytes a packet with redundancy, ${alone} without`);
    await someone.press("Leave");
    await someone.press("Leave lesson");
    await teacher.see("4 people");
    await someone.page.context().close();
  });

  await scenario("lesson.7", "an enlarged tile changes the simulcast layer at the receiver", async () => {
    const width = async () => {
      const track = await first.evaluate(trackOfTile, teacher.me.name);
      return (await first.tracks()).find((row) => row.track === track)?.width ?? 0;
    };
    // In a small window the two lower layers do: on a busy machine browsers stop sending the highest. So small that the lowest
    // does of a 4:3 picture, too (240 pixels wide): which one the shared fake camera gives depends on who opens it first.
    const usual = first.page.viewportSize();
    await first.page.setViewportSize({ width: 600, height: 600 });
    try {
      const before = await until("a small layer is received", async () => {
        const now = await width();
        if (now > 0 && now < 640) return now;
        throw new Error(`${now} pixels wide`);
      }, 60_000);
      await first.pressStarting(teacher.me.name);
      await until("a larger layer is received", async () => (await width()) > before, 60_000);
      await first.pressStarting(teacher.me.name);
    } finally {
      await first.page.setViewportSize(usual);
    }
  });
}
