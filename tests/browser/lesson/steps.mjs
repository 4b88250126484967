// What people do in a lesson, in the words of its page.

import { violations } from "../kit/axe.mjs";
import { grown } from "../kit/media.mjs";
import { until } from "../kit/wait.mjs";

/** Twenty readings, 100 ms apart: two beeps of a fake microphone. */
const WINDOW_READINGS = 20;

/** axe has to find nothing on the page as it is now. */
export async function accessible(person, what) {
  const found = await violations(person.page);
  if (found.length) throw new Error(`${what}: ${JSON.stringify(found, null, 1)}`);
}

export async function join(person, label) {
  await person.see(/Microphone o(n|ff)/);
  await person.press(label);
}

/** Opens the panel if it is not open. */
export async function panel(person, name) {
  if (!(await person.sees(`Close ${name}`))) await person.pressStarting(name);
  await person.see(`Close ${name}`);
}

/** An entry of the menu of actions for somebody. */
export async function menu(person, of, item) {
  await panel(person, "People");
  await person.press(`Actions for ${of.me.name}`);
  await person.press(item, "menuitem");
}

/** An entry of the layout menu. */
export async function layout(person, item, role = "menuitemradio") {
  await person.press("Layout");
  await person.press(item, role);
}

export async function unmuted(person) {
  if (await person.sees(/^Unmute$/m)) await person.press("Unmute");
  await person.see(/^Mute$/m);
}

export async function muted(person) {
  if (await person.sees(/^Mute$/m)) await person.press("Mute");
  await person.see(/^Unmute$/m);
}

export async function filmed(person) {
  if (await person.sees(/^Start video$/m)) await person.press("Start video");
  await person.see(/^Stop video$/m);
}

/** The tracks of a kind that grow at a receiver within a window; fake microphones beep once a second. */
export async function growing(person, kind) {
  const before = await person.tracks();
  let readings = 0;
  await until("a window of readings", () => ++readings > WINDOW_READINGS);
  return grown(kind, before, await person.tracks());
}

/** How many audio tracks a person hears within a window. */
export const heard = async (person) => (await growing(person, "audio")).length;

/** Waits until a person hears exactly so many others. */
export const hears = (person, count) =>
  until(`${person.username} hears ${count}`, async () => (await heard(person)) === count);

/** Who is on a person's stage, by the name that a screen reader says; "" when nobody is. */
export const stage = (person) =>
  person.evaluate(() => document.querySelector("section[aria-label=Stage] .face")?.getAttribute("aria-label") ?? "");

/** Waits until somebody is on a person's stage, in a picture that moves. */
export async function seesLarge(person, of) {
  await until(`${person.username} has ${of.me.name} on the stage`, async () => (await stage(person)).startsWith(of.me.name));
  const track = await until("the stage has a picture", () => person.evaluate(stageTrack));
  const frames = async () => (await person.tracks()).find((row) => row.track === track)?.frames ?? 0;
  const before = await frames();
  await until("the picture on the stage moves", async () => (await frames()) > before + 5);
  return track;
}

/** Runs in the page: the id of the track that the stage shows. */
function stageTrack() {
  const video = document.querySelector("section[aria-label=Stage] video");
  return video?.srcObject?.getVideoTracks()[0]?.id ?? null;
}
