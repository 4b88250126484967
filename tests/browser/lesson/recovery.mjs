// What breaks comes back by itself.

import { figure, scenario } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { filmed, panel, unmuted } from "./steps.mjs";

export async function recovery(all) {
  const { appliance, teacher, first, second, everyone } = all;
  for (const person of everyone) {
    await unmuted(person);
    await filmed(person);
  }

  await scenario("lesson.29", "all are back by themselves after every socket is cut", async () => {
    appliance.cutSockets();
    await Promise.all(everyone.map((person) => person.see("4 people")));
    await Promise.all(everyone.map((person) => person.receives("video", 3)));
    await panel(first, "Chat");
    await first.fill("Message", "Still here after the cut");
    await first.press("Send message");
    await panel(second, "Chat");
    await second.see("Still here after the cut");
  });

  await scenario("lesson.30", "all are back by themselves after the media process is killed", async () => {
    const begun = Date.now();
    await appliance.killMedia();
    await Promise.all(everyone.map((person) => person.receives("video", 3, 60_000)));
    await Promise.all(everyone.map((person) => person.receives("audio", 1, 60_000)));
    figure("lesson_media_back_after_kill", Date.now() - begun, "ms");
  });

  await scenario("lesson.31", "all are back by themselves after the appliance is killed; the lesson's state is kept", async () => {
    await panel(teacher, "People");
    await first.press("Raise hand");
    await teacher.see("1 hand raised");
    // The last tenth of a second before a kill is not promised.
    await until("the hand is written down", () => appliance.keptLessons().some((lesson) => lesson.hands.length === 1));
    const begun = Date.now();
    await appliance.killAndRestart();
    await Promise.all(everyone.map((person) => person.receives("video", 3, 60_000)));
    figure("lesson_back_after_restart", Date.now() - begun, "ms");
    await teacher.see("1 hand raised");
    await panel(second, "Chat");
    await second.see("Still here after the cut");
  });

  await scenario("lesson.38", "whoever is coming back when the line breaks once more has microphone and camera as before", async () => {
    // Each time the new line breaks when the teacher's page has just made it: what it gave before is taken back by then, and
    // not yet given again.
    const lines = () => teacher.evaluate(() => window.keptConnections.length);
    for (let again = 0; again < 3; again += 1) {
      const before = await lines();
      await appliance.killMedia();
      await until("the teacher's page makes a new line", async () => (await lines()) > before);
    }
    await Promise.all(everyone.map((person) => person.receives("video", 3, 60_000)));
    await Promise.all(everyone.map((person) => person.receives("audio", 1, 60_000)));
  });
}
