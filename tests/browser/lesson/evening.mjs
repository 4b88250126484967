// A lesson beside the class's own, with guests: their waiting room, and the grace time for a teacher who is away.
// It runs while the class does; its scenarios report when they are waited for.

import { scenario } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { accessible, join, muted, panel, unmuted } from "./steps.mjs";

/** Starts it; gives what reports its scenarios. */
export function evening(all) {
  const told = {};
  const guests = begun(all);
  told.waiting = guests.then(async ({ guest, host }) => {
    await guest.see("2 people");
    await unmuted(host);
    await guest.receives("audio", 1);
  });
  told.away = told.waiting.then(() => guests).then((who) => away(all, who));
  told.over = told.away.then(() => guests).then((who) => over(who));
  for (const promise of Object.values(told)) promise.catch(() => {});
  return async () => {
    await scenario("lesson.26", "a guest waits until the teacher admits", () => told.waiting);
    await scenario("lesson.27", "a teacher who is away is waited for, and comes back into the lesson", () => told.away);
    await scenario("lesson.28", "a lesson whose teacher does not come back ends when the grace time is over", () => told.over);
  };
}

/** Opens a guest link, gives a name and goes to the door; `at`: somebody who has a browser already. */
export async function signInAsGuest(all, link, name, at) {
  const guest = at ?? (await all.atChromium());
  guest.username = name;
  guest.me = { name };
  await guest.page.goto(new URL(new URL(link).pathname, all.origin).href);
  await accessible(guest, "the guest's page");
  await guest.fill("Your name", name);
  await guest.press("Ask to join");
  await guest.press("Camera on");
  await join(guest, "Join");
  return guest;
}

/** The second teacher makes a lesson outside the timetable; a guest waits at its door and is let in. */
async function begun(all) {
  const host = await all.atChromium();
  await host.signIn(all.account("teacher", 1));
  await host.page.goto(`${all.origin}/`);
  await host.fill("Name of the lesson", "Parents' evening");
  await host.press("Make lesson");
  await host.see("is ready");
  const link = await host.page.getByLabel("Link for guests").inputValue();
  await host.press("Go to the lesson");
  await host.press("Camera on");
  await join(host, "Join and teach");
  await host.see("1 person");
  const lesson = host.page.url();
  const guest = await signInAsGuest(all, link, "Dr. Visitor");
  await guest.see("Waiting until the teacher lets you in");
  if ((await guest.tracks()).length) throw new Error("somebody who waits receives media");
  await panel(host, "People");
  await host.press("Admit Dr. Visitor");
  return { host, guest, link, lesson };
}

/** The teacher's page is gone: the others are told, the lesson goes on, and the teacher comes back into it. */
async function away(all, who) {
  const { host, guest, link, lesson } = who;
  const other = await signInAsGuest(all, link, "Ms. Caller");
  await panel(host, "People");
  await host.press("Admit Ms. Caller");
  await other.see("3 people");
  await unmuted(guest);
  await muted(other);
  await host.page.goto("about:blank");
  for (const one of [guest, other]) await one.see("The teacher is away.", 60_000);
  await other.receives("audio", 1);
  await host.page.goto(lesson);
  await join(host, "Join and teach");
  for (const one of [guest, other]) await one.miss("The teacher is away.");
  await unmuted(host);
  await other.receives("audio", 2);
  Object.assign(who, { other });
}

/** The teacher leaves and does not come back: the lesson ends when the grace time is over, not before. */
async function over({ host, guest, other }) {
  await host.press("Leave");
  await host.press("Leave, the lesson goes on");
  const left = Date.now();
  for (const one of [guest, other]) await one.see("The teacher is away.");
  await Promise.all([guest, other].map((one) => one.see("The lesson has ended.", 180_000)));
  const seconds = (Date.now() - left) / 1000;
  if (seconds < GRACE_S_MIN) throw new Error(`it ended after ${seconds} s`);
  await until("nobody receives media any more", async () => (await guest.tracks()).length === 0);
}

/** What the administrator has set in this suite. */
const GRACE_S_MIN = 59;
