// People of a lesson, each at a browser in a site of its own.

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { startChromium, startFirefox } from "../kit/browsers.mjs";
import { ChromiumPerson, FirefoxPerson } from "../kit/person.mjs";
import { until } from "../kit/wait.mjs";
import { forwarded } from "./forward.mjs";
import { keepSids } from "./reception.mjs";

/** Continuous speech: no sentence ends, so nobody pauses. It is said again and again. */
const TEXT = `the water of the sea rises into the air and comes down as rain on the hills where it gathers in small streams
that run together into rivers and on their way to the sea they carry sand and stones and make valleys wider every year until
the hills themselves are low and round and the rivers slow and wide and the fields beside them green and full of birds`;

const ASSIGN_AGAIN_MS = 5_000;

/** A recording of speech for the fake microphones. */
export function speech(folder) {
  const file = join(folder, "speech.wav");
  execFileSync("espeak-ng", ["-v", "en", "-s", "170", "-a", "180", "-w", file, TEXT.replaceAll("\n", " ")]);
  return file;
}

/** Somebody at Chromium in a site; the microphone speaks without end. */
export async function atChromium(appliance, site, url = appliance.url) {
  const flags = [`--use-file-for-fake-audio-capture=${speech(site.district.folder)}`];
  const browser = await startChromium(appliance.rootCertificate, { executable: site.wrapper("/usr/bin/chromium"), flags });
  const page = await browser.page({ origin: url });
  await page.context().addInitScript(keepSids);
  const person = new ChromiumPerson(page, url);
  return Object.assign(person, { site, close: () => browser.close() });
}

/** Somebody at Firefox in a site; its fake microphone hums. */
export async function atFirefox(appliance, site, url = appliance.url) {
  const forward = await forwarded(site);
  const executable = site.wrapper("/usr/bin/firefox-esr");
  const browser = await startFirefox(appliance.rootCertificate, { executable, port: forward.port });
  const page = await browser.page();
  await page.evaluateOnNewDocument(keepSids);
  const close = async () => {
    await browser.close();
    forward.close();
  };
  return Object.assign(new FirefoxPerson(page, url), { site, close });
}

/**
 * Opens an address as a link does. Firefox says that a page was aborted when the one before was still on its way, and its
 * driver then waits in vain for each later page; here nobody waits but on what the page shows.
 */
export async function go(person, address) {
  const rests = () => document.readyState === "complete" && location.pathname !== "/sign-in";
  await until(`${person.username} has arrived somewhere`, () => person.evaluate(rests));
  // The answer may be lost with the page that gave it, and the wish with a page that was on its way: it is said again.
  let said = 0;
  const there = (to) => location.href === to && document.readyState === "complete";
  await until(`${person.username} opens ${address}`, async () => {
    if (await person.evaluate(there, address)) return true;
    if (Date.now() - said > ASSIGN_AGAIN_MS) {
      said = Date.now();
      await person.evaluate((to) => location.assign(to), address).catch(() => {});
    }
    return false;
  });
}

/** From the address of the lesson to the lesson. */
export async function enter(person, lesson, button = "Join") {
  await go(person, person.url + lesson);
  await person.see(/Microphone o(n|ff)/);
  await person.press(button);
}

/** The teacher's tap that starts her class; the lesson's path. */
export async function start(teacher) {
  await teacher.page.goto(`${teacher.url}/`);
  await teacher.pressStarting("Start ");
  await teacher.see(/Microphone o(n|ff)/);
  await teacher.press("Join and teach");
  await teacher.see("1 person");
  return new URL(teacher.page.url()).pathname;
}

const SWITCHES = { microphone: ["Mute", "Unmute"], camera: ["Stop video", "Start video"] };

/** Turns one's own microphone or camera on or off, if it is not so already. */
export async function turn(person, device, on) {
  const [whenOn, whenOff] = SWITCHES[device];
  const [wanted, other] = on ? [whenOn, whenOff] : [whenOff, whenOn];
  const line = (text) => new RegExp(`^${text}$`, "m");
  await person.see(new RegExp(`^(${whenOn}|${whenOff})$`, "m"));
  if (await person.sees(line(other))) await person.press(other);
  await person.see(line(wanted));
}
