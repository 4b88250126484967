// A first lesson on a machine made fresh: the quick start on a new Debian, in a network without a way out.
//
//   node fresh.mjs CERTIFICATE COMMAND...
//
// COMMAND runs the quick start (on what an earlier run has built) with the arguments that are added to it; CERTIFICATE is the
// file of the authority that it made then.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { startChromium } from "./kit/browsers.mjs";
import { School } from "./kit/network.mjs";
import { ChromiumPerson } from "./kit/person.mjs";
import { until } from "./kit/wait.mjs";

const START_DEADLINE_MS = 120_000;

const [certificate, ...command] = process.argv.slice(2);
const school = School.create();
const quickstart = spawn("ip", ["netns", "exec", school.namespace, ...command, "--https-port", "443"], {
  stdio: ["ignore", "pipe", "inherit"],
});
let shown = "";
quickstart.stdout.on("data", (text) => (shown += text));

/** "teacher" or "student": what the console says for one to sign in. */
function signIn(who) {
  const [, username, password] = new RegExp(`^\\s*${who}\\s+(\\S+) / (\\S+)\\s*$`, "im").exec(shown);
  return { username, password };
}

let browser;
try {
  await until("the quick start serves", () => {
    if (quickstart.exitCode !== null) throw new Error(`it ended: ${shown}`);
    return shown.includes("Ctrl-C");
  }, START_DEADLINE_MS);
  const origin = `https://${school.address}`;
  browser = await startChromium(certificate);
  const [teacher, student] = [new ChromiumPerson(await browser.page(), origin), new ChromiumPerson(await browser.page(), origin)];
  await teacher.signIn(signIn("teacher"));
  await student.signIn(signIn("student"));
  await teacher.page.goto(`${origin}/`);
  await teacher.pressStarting("Start ");
  for (const [person, label] of [[teacher, "Join and teach"], [student, "Join"]]) {
    if (person === student) await student.page.goto(origin + new URL(teacher.page.url()).pathname);
    await person.see(/Microphone o(n|ff)/);
    await person.press(label);
  }
  for (const person of [teacher, student]) {
    await person.see("2 people");
    if (await person.sees(/^Unmute$/m)) await person.press("Unmute");
    if (await person.sees(/^Start video$/m)) await person.press("Start video");
    await person.see(/^Mute$/m);
  }
  for (const person of [teacher, student]) {
    await person.receives("audio", 1);
    await person.receives("video", 1);
  }
} finally {
  await browser?.close();
  const ended = quickstart.exitCode === null ? once(quickstart, "exit") : Promise.resolve();
  quickstart.kill("SIGINT");
  await ended;
  school.remove();
}
process.exitCode = quickstart.exitCode;
