// Pictures in every format that the district may choose, decoded at a receiver.

import { startFirefox } from "../kit/browsers.mjs";
import { FirefoxPerson } from "../kit/person.mjs";
import { scenario } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { signInAsGuest } from "./evening.mjs";
import { filmed, join, panel } from "./steps.mjs";

const FORMATS = { VP9: "video/VP9", AV1: "video/AV1", "H.264": "video/H264", VP8: "video/VP8" };

/** Firefox decodes H.264 by a plug-in that it would have to download. */
const NOT_AT_FIREFOX = "H.264";

/** Waits until a person decodes so many pictures in a format, and none in another. */
const decodes = (person, mime, count) =>
  until(`${person.username} decodes ${mime}`, async () => {
    const rows = await person.receives("video", count, 10_000);
    const codecs = rows.map((row) => row.codec);
    if (codecs.length !== count || codecs.some((codec) => codec !== mime)) throw new Error(`${codecs}`);
    return true;
  });

export async function codecs(all, { set }) {
  await scenario("lesson.4", "pictures in VP9, AV1 and H.264, as the district chooses, are decoded by the others, VP9 and AV1 at Firefox, too", async () => {
    const host = await all.atChromium();
    await host.signIn(all.account("teacher", 1));
    await host.page.goto(`${all.origin}/`);
    await host.fill("Name of the lesson", "Formats");
    await host.press("Make lesson");
    const link = await host.page.getByLabel("Link for guests").inputValue();
    await host.press("Go to the lesson");
    const guest = await signInAsGuest(all, link, "Mr. Format");
    const firefox = await startFirefox(all.appliance.rootCertificate);
    const viewer = await signInAsGuest(all, link, "Ms. Viewer", new FirefoxPerson(await firefox.page(), all.origin));
    const lesson = host.page.url();
    await join(host, "Join and teach");
    await panel(host, "People");
    for (const { username } of [guest, viewer]) await host.press(`Admit ${username}`);
    await viewer.see("3 people");
    for (const [format, mime] of Object.entries(FORMATS)) {
      // The first letters choose in a list, as a keyboard does.
      await set("Video", ...format);
      for (const [person, label] of [[host, "Join and teach"], [guest, "Join"]]) {
        await person.page.goto(lesson);
        await join(person, label);
        await person.see("3 people");
        await filmed(person);
      }
      const each = [host, guest].map((person) => decodes(person, mime, 1));
      await Promise.all(format === NOT_AT_FIREFOX ? each : [...each, decodes(viewer, mime, 2)]);
    }
    await host.press("Leave");
    await host.press("End lesson for everyone");
    await guest.see("The lesson has ended.");
    for (const person of [host, guest]) await person.page.context().close();
    await firefox.close();
  });
}
