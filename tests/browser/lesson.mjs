// A real lesson: a teacher and two students at Chromium, one student at Firefox, fake devices, real media.

import { mkdirSync, writeFileSync } from "node:fs";
import { join as path } from "node:path";
import { Appliance } from "./kit/appliance.mjs";
import { violations } from "./kit/axe.mjs";
import { grown } from "./kit/media.mjs";
import { startChromium, startFirefox } from "./kit/browsers.mjs";
import { startCrowd } from "./kit/crowd.mjs";
import { ChromiumPerson, FirefoxPerson } from "./kit/person.mjs";
import { figure, report, scenario, whenFailed } from "./kit/scenarios.mjs";
import { until } from "./kit/wait.mjs";

const screenshots = process.env.BELFRY_SCREENSHOTS;
if (screenshots) mkdirSync(screenshots, { recursive: true });

const appliance = await Appliance.start();
const chromium = await startChromium(appliance.rootCertificate);
const firefox = await startFirefox(appliance.rootCertificate);
const accounts = appliance.signIns();
const [teacherAccount] = accounts.filter((one) => one.role === "teacher");
const studentAccounts = accounts.filter((one) => one.role === "student");
const origin = appliance.url;
/** Twenty readings, 100 ms apart: two beeps of a fake microphone. */
const WINDOW_READINGS = 20;

const atChromium = async (options) => new ChromiumPerson(await chromium.page({ origin, ...options }), origin);
const teacher = await atChromium();
const first = await atChromium();
const second = await atChromium();
const third = new FirefoxPerson(await firefox.page(), origin);
const students = [first, second, third];
const everyone = [teacher, ...students];
let lesson;

whenFailed(async (id) => {
  if (!screenshots) return;
  const said = everyone.map((person) => `${person.username}: ${(person.page.problems ?? []).join("\n")}`);
  writeFileSync(path(screenshots, `failed-${id}.log`), `${appliance.log}\n${said.join("\n")}`);
  for (const person of everyone) {
    await person.page.screenshot({ path: path(screenshots, `failed-${id}-${person.username ?? "nobody"}.png`) });
  }
});

/** Every page of the lesson with its tiles named; axe has to find nothing on it. */
async function accessible(person, what) {
  const found = await violations(person.page);
  if (found.length) throw new Error(`${what}: ${JSON.stringify(found, null, 1)}`);
}

async function join(person, label) {
  await person.see(/Microphone o(n|ff)/);
  await person.press(label);
}

/** Opens the panel if it is not open. */
async function panel(person, name) {
  if (!(await person.sees(`Close ${name}`))) await person.pressStarting(name);
  await person.see(`Close ${name}`);
}

/** The received track that comes from somebody, by the sound or picture that stops with it. */
async function menu(person, of, item) {
  await person.press(`Actions for ${of.me.name}`);
  await person.press(item, "menuitem");
}

async function unmuted(person) {
  if (await person.sees(/^Unmute$/m)) await person.press("Unmute");
  await person.see(/^Mute$/m);
}

async function filmed(person) {
  if (await person.sees(/^Start video$/m)) await person.press("Start video");
  await person.see(/^Stop video$/m);
}

/** How many audio tracks a person hears within a window; fake microphones beep once a second. */
async function heard(person) {
  const before = await person.tracks();
  let readings = 0;
  await until("a window of readings", () => ++readings > WINDOW_READINGS);
  return grown("audio", before, await person.tracks()).length;
}


await scenario("lesson.1", "a teacher starts her class with one tap; three students join", async () => {
  await teacher.signIn(teacherAccount);
  await Promise.all(students.map((student, index) => student.signIn(studentAccounts[index])));
  await teacher.page.goto(`${origin}/`);
  const begun = Date.now();
  await teacher.pressStarting("Start ");
  await join(teacher, "Join and teach");
  await teacher.see("1 person");
  figure("lesson_teacher_from_tap_to_lesson", Date.now() - begun, "ms");
  lesson = new URL(teacher.page.url()).pathname;
  for (const student of students) {
    await student.page.goto(origin + lesson);
    await join(student, "Join");
  }
  await Promise.all(everyone.map((person) => person.see("4 people")));
  figure("lesson_four_present_after_tap", Date.now() - begun, "ms");
});

await scenario("lesson.2", "each receives moving video and audible sound of all others", async () => {
  for (const person of everyone) {
    await unmuted(person);
    await filmed(person);
  }
  await Promise.all(everyone.map((person) => person.receives("audio", 3)));
  await Promise.all(everyone.map((person) => person.receives("video", 3)));
});

await scenario("lesson.3", "an enlarged tile changes the simulcast layer at the receiver", async () => {
  const widest = async () => Math.max(...(await first.tracks()).filter((row) => row.kind === "video").map((row) => row.width));
  const before = await until("a small layer is received", async () => {
    const width = await widest();
    return width > 0 && width < 1280 && width;
  });
  await first.pressStarting(teacher.me.name);
  await until("a larger layer is received", async () => (await widest()) > before);
  await first.pressStarting(teacher.me.name);
});

await scenario("lesson.4", "a muted student falls silent at the others' receivers and may speak again", async () => {
  for (const student of [second, third]) {
    await panel(teacher, "People");
    await menu(teacher, student, "Mute");
    await student.see("The teacher has muted your microphone.");
  }
  await until("of three, only the teacher is heard", async () => (await heard(first)) === 1);
  await unmuted(second);
  await first.receives("audio", 2);
});

await scenario("lesson.5", "locked microphones stay locked at the server", async () => {
  await panel(teacher, "People");
  await teacher.press("Microphones", "checkbox");
  await Promise.all([first, second].map((student) => student.see(/^Unmute$/m)));
  await until("the teacher hears nobody", async () => (await heard(teacher)) === 0);
  await teacher.press("Microphones", "checkbox");
  await unmuted(second);
  await teacher.receives("audio", 1);
});

await scenario("lesson.6", "chat reaches whom it may: everyone, teachers only, nobody", async () => {
  await panel(first, "Chat");
  await first.fill("Message", "Good morning class");
  await first.press("Send message");
  await panel(second, "Chat");
  await second.see("Good morning class");
  await panel(teacher, "People");
  await teacher.press("Students write to teachers only", "radio");
  await until("only teachers can be addressed", async () => !(await first.evaluate(() => document.querySelector("#chat-to")?.innerText ?? "")).includes("Everyone"));
  await first.fill("Message", "For the teacher alone");
  await first.press("Send message");
  await panel(teacher, "Chat");
  await teacher.see("For the teacher alone");
  await panel(teacher, "People");
  await teacher.press("Off for students", "radio");
  await first.see("The teacher has turned off the chat.");
  if (await second.sees("For the teacher alone")) throw new Error("another student read a message to teachers");
  await teacher.press("On: students write to everyone", "radio");
});

await scenario("lesson.7", "hands queue in order at the teacher's page", async () => {
  await second.press("Raise hand");
  await teacher.see("1 hand raised");
  await first.press("Raise hand");
  await teacher.see("2 hands raised");
  const queue = await teacher.evaluate(() => [...document.querySelectorAll("ol li .name")].map((one) => one.innerText));
  if (queue[0] !== second.me.name || queue[1] !== first.me.name) throw new Error(`the queue is ${queue}`);
  await teacher.press(`Lower the hand of ${second.me.name}`);
  await teacher.see("1 hand raised");
  await teacher.press("Lower all");
  await first.miss("1 hand raised");
});

await scenario("lesson.8", "a shared screen is seen by all", async () => {
  const before = new Set((await first.tracks()).filter((row) => row.kind === "video").map((row) => row.ssrc));
  await teacher.press("Share screen");
  await Promise.all([first, third].map((student) => student.see(`Screen of ${teacher.me.name}`)));
  await until("frames of the screen are decoded", async () =>
    (await first.tracks()).some((row) => row.kind === "video" && !before.has(row.ssrc) && row.frames > 5),
  );
  await teacher.press("Stop sharing");
  await first.miss(`Screen of ${teacher.me.name}`);
});

await scenario("lesson.9", "axe finds nothing in the lesson, with each panel open", async () => {
  for (const name of ["People", "Chat"]) {
    await panel(teacher, name);
    await accessible(teacher, `teacher, ${name}`);
    await panel(first, name);
    await accessible(first, `student, ${name}`);
  }
  await first.press("Settings");
  await accessible(first, "settings");
  await first.page.keyboard.press("Escape");
});

await scenario("lesson.10", "all are back by themselves after every socket is cut", async () => {
  appliance.cutSockets();
  await Promise.all(everyone.map((person) => person.see("4 people")));
  await Promise.all(everyone.map((person) => person.receives("video", 3)));
  await panel(first, "Chat");
  await first.fill("Message", "Still here after the cut");
  await first.press("Send message");
  await panel(second, "Chat");
  await second.see("Still here after the cut");
});

await scenario("lesson.11", "all are back by themselves after the media process is killed", async () => {
  const begun = Date.now();
  await appliance.killMedia();
  await Promise.all(everyone.map((person) => person.receives("video", 3, 60_000)));
  await Promise.all(everyone.map((person) => person.receives("audio", 1, 60_000)));
  figure("lesson_media_back_after_kill", Date.now() - begun, "ms");
});

await scenario("lesson.12", "all are back by themselves after the appliance is killed; the lesson's state is kept", async () => {
  await panel(teacher, "People");
  await first.press("Raise hand");
  await teacher.see("1 hand raised");
  const begun = Date.now();
  await appliance.killAndRestart();
  await Promise.all(everyone.map((person) => person.receives("video", 3, 60_000)));
  figure("lesson_back_after_restart", Date.now() - begun, "ms");
  await teacher.see("1 hand raised");
  await panel(second, "Chat");
  await second.see("Still here after the cut");
});

await scenario("lesson.13", "a removed student is out, and blocked from coming back", async () => {
  await panel(teacher, "People");
  await menu(teacher, second, "Remove from lesson");
  await teacher.fill("Reason", "Disturbs the others");
  await teacher.press("Do not let them back into this lesson", "checkbox").catch(() => {});
  await teacher.press("Remove");
  await second.see(/You were removed|You cannot come back/);
  await teacher.see("3 people");
  await second.page.goto(origin + lesson);
  await join(second, "Join");
  await second.see("You cannot come back to this lesson.");
});

await scenario("lesson.14", "a guest waits until the teacher admits", async () => {
  const guest = await atChromium();
  const link = await teacher.evaluate(() => navigator.clipboard?.readText?.().catch(() => "") ?? "");
  const adhoc = await teacher.evaluate(async () => {
    const { csrf } = await (await fetch("/app/api/me")).json();
    const answer = await fetch("/app/api/lessons", {
      method: "POST",
      headers: { "content-type": "application/json", "x-csrf": csrf },
      body: JSON.stringify({ name: "Parents' evening" }),
    });
    return answer.json();
  });
  if (!adhoc.guest_link) throw new Error(`no guest link: ${JSON.stringify(adhoc)} ${link}`);
  const host = await atChromium();
  await host.signIn(accounts.filter((one) => one.role === "teacher")[1] ?? teacherAccount);
  await teacher.page.goto(`${origin}/lesson/${adhoc.lesson}`);
  await join(teacher, "Join and teach");
  await guest.page.goto(new URL(new URL(adhoc.guest_link).pathname, origin).href);
  await guest.fill("Your name", "Dr. Visitor");
  await guest.page.getByRole("button").first().click();
  await join(guest, "Join");
  await guest.see("Waiting until the teacher lets you in");
  await panel(teacher, "People");
  await teacher.press("Admit Dr. Visitor");
  await guest.see("2 people");
  await guest.receives("audio", 1);
});

await scenario("lesson.15", "axe finds nothing on the pages around the lesson", async () => {
  const someone = await atChromium();
  await someone.page.goto(`${origin}/sign-in`);
  await accessible(someone, "sign-in");
  await someone.signIn(studentAccounts[5]);
  await someone.page.goto(`${origin}/`);
  await someone.see("Your classes today");
  await accessible(someone, "today, student");
  await someone.page.goto(origin + lesson);
  await someone.see("Check camera and microphone");
  await accessible(someone, "join");
});

await scenario("lesson.16", "pictures of a lesson of thirty, light and dark, desktop and 320 px", async () => {
  // Students pass the waiting room while a teacher is there.
  await teacher.page.goto(origin + lesson);
  await join(teacher, "Join and teach");
  const crowd = await startCrowd(appliance, lesson, studentAccounts.slice(3));
  try {
    await teacher.see("30 people");
    for (const colorScheme of ["light", "dark"]) {
      for (const [name, width, height] of [["desktop", 1440, 900], ["320", 320, 640]]) {
        await teacher.page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        await teacher.page.setViewportSize({ width, height });
        await teacher.receives("video", 1);
        const overflow = await teacher.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        if (overflow > 0) throw new Error(`${name}: the page is ${overflow} px too wide`);
        await accessible(teacher, `thirty, ${colorScheme}, ${name}`);
        if (screenshots) await teacher.page.screenshot({ path: path(screenshots, `lesson-30-${colorScheme}-${name}.png`) });
      }
    }
  } finally {
    await crowd.stop();
  }
});

await scenario("lesson.17", "the lesson ends for all", async () => {
  await teacher.page.setViewportSize({ width: 1280, height: 800 });
  await teacher.press("Leave");
  await teacher.press("End lesson for everyone");
  await Promise.all([first, third].map((student) => student.see("The lesson has ended.")));
});

await scenario("lesson.18", "no page asked another origin, broke its policy or logged a name", async () => {
  for (const person of [teacher, first, second]) {
    if (person.page.foreignRequests.length) throw new Error(`foreign: ${person.page.foreignRequests}`);
    const policy = person.page.problems.filter((text) => /Content Security Policy|TrustedHTML|TrustedScript/.test(text));
    if (policy.length) throw new Error(policy.join("\n"));
  }
  const names = everyone.map((person) => person.me.name);
  const leaked = names.filter((name) => appliance.log.includes(name));
  if (leaked.length) throw new Error(`the log holds ${leaked.length} names`);
  if (/access_token=ey|panicked/.test(appliance.log)) throw new Error("the log holds a token or a panic");
});


await firefox.close();
await chromium.close();
await appliance.stop();
report();
