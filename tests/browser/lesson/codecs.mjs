// Pictures in every format that the district may choose, decoded at a receiver.

import { scenario } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { signInAsGuest } from "./evening.mjs";
import { filmed, join, panel } from "./steps.mjs";

const FORMATS = { VP9: "video/VP9", AV1: "video/AV1", "H.264": "video/H264", VP8: "video/VP8" };

/** Waits until a person decodes frames in a format, and nothing in another. */
const decodes = (person, mime) =>
  until(`${person.username} decodes ${mime}`, async () => {
    const rows = await person.receives("video", 1, 10_000);
    return rows.length === 1 && rows[0].codec === mime;
  });

export async function codecs(all, { set }) {
  await scenario("lesson.4", "pictures in VP9, AV1 and H.264, as the district chooses, are decoded by the others", async () => {
    const host = await all.atChromium();
    await host.signIn(all.account("teacher", 1));
    await host.page.goto(`${all.origin}/`);
    await host.fill("Name of the lesson", "Formats");
    await host.press("Make lesson");
    const link = await host.page.getByLabel("Link for guests").inputValue();
    await host.press("Go to the lesson");
    const guest = await signInAsGuest(all, link, "Mr. Format");
    const lesson = host.page.url();
    await join(host, "Join and teach");
    await panel(host, "People");
    await host.press("Admit Mr. Format");
    await guest.see("2 people");
    for (const [format, mime] of Object.entries(FORMATS)) {
      // The first letters choose in a list, as a keyboard does.
      await set("Video", ...format);
      for (const [person, label] of [[host, "Join and teach"], [guest, "Join"]]) {
        await person.page.goto(lesson);
        await join(person, label);
        await person.see("2 people");
        await filmed(person);
      }
      await Promise.all([host, guest].map((person) => decodes(person, mime)));
    }
    await host.press("Leave");
    await host.press("End lesson for everyone");
    await guest.see("The lesson has ended.");
    for (const person of [host, guest]) await person.page.context().close();
  });
}
