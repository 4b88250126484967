// Keys, cables and switches of the people's devices.

import { writeFileSync } from "node:fs";
import { join as path } from "node:path";
import { startChromium } from "../kit/browsers.mjs";
import { ChromiumPerson } from "../kit/person.mjs";
import { scenario } from "../kit/scenarios.mjs";
import { silence } from "../kit/sound.mjs";
import { until } from "../kit/wait.mjs";
import { filmed, heard, hears, join, muted, unmuted } from "./steps.mjs";

/** What a beep adds to a track's energy in a window is a hundred times more. */
const SILENT_ENERGY_MAX = 1e-5;

/** Whether some voice comes in packets within a window and adds no energy. */
async function soundless(person) {
  const before = new Map((await person.tracks()).map((row) => [row.ssrc, row]));
  await heard(person);
  return (await person.tracks()).some((row) => {
    const was = before.get(row.ssrc);
    return row.kind === "audio" && was && row.packets > was.packets && row.energy - was.energy < SILENT_ENERGY_MAX;
  });
}

export async function devices(all) {
  const { teacher, first, second, third } = all;

  await scenario("lesson.19", "push-to-talk: heard while the key is held, and no longer", async () => {
    for (const person of all.everyone) await muted(person);
    await first.press("Settings");
    await first.press("Hold space to talk", "checkbox");
    await first.page.keyboard.press("Escape");
    await first.evaluate(() => document.activeElement.blur());
    await Promise.all([second, third].map((person) => hears(person, 0)));
    await first.page.keyboard.down("Space");
    await Promise.all([second, third].map((person) => hears(person, 1)));
    await first.page.keyboard.up("Space");
    await Promise.all([second, third].map((person) => hears(person, 0)));
    await first.press("Settings");
    await first.press("Hold space to talk", "checkbox");
    await first.page.keyboard.press("Escape");
  });

  await scenario("lesson.20", "a microphone that is pulled out is replaced: the others go on hearing", async () => {
    await unmuted(first);
    await first.press("Settings");
    await first.choose("Microphone", "Fake Audio Input 1");
    await first.page.keyboard.press("Escape");
    await hears(teacher, 1);
    await first.evaluate(() => window.devices.unplug("audio"));
    await first.see("Your microphone was disconnected. In use now:");
    await teacher.receives("audio", 1);
    await first.press("OK");
    await first.evaluate(() => window.devices.plug());
    await first.see("New microphone:");
    await first.press("Not now");
  });

  await scenario("lesson.21", "a camera that is pulled out is replaced, and one that comes is offered", async () => {
    await filmed(first);
    await teacher.receives("video", 3);
    await first.evaluate(() => window.devices.unplug("video"));
    await first.see("Your camera was disconnected. In use now:");
    await teacher.receives("video", 3);
    await first.press("OK");
    await first.evaluate(() => window.devices.plug());
    await first.see("New camera:");
    await first.press("Use it");
    await first.miss("New camera:");
    await teacher.receives("video", 3);
  });

  await scenario("lesson.22", "a microphone that gives no sound is noticed", async () => {
    const file = path(all.appliance.data, "silence.wav");
    writeFileSync(file, silence());
    const browser = await startChromium(all.appliance.rootCertificate, { flags: [`--use-file-for-fake-audio-capture=${file}`] });
    try {
      const someone = new ChromiumPerson(await browser.page({ origin: all.origin }), all.origin);
      await someone.signIn(all.account("student", 3));
      await someone.page.goto(all.origin + all.lesson);
      await someone.press("Camera on");
      await join(someone, "Join");
      await someone.see("5 people");
      await unmuted(someone);
      await someone.see("Your microphone is on, but no sound comes from it.", 60_000);
      await until("the teacher gets packets without a sound", () => soundless(teacher));
      await someone.press("Leave");
      await someone.press("Leave lesson");
      await teacher.see("4 people");
    } finally {
      await browser.close();
    }
  });
}
