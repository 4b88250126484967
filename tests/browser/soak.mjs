// A lesson of thirty that goes on: a teacher and two students at Chromium, 27 synthetic students. Everybody receives everything.
//
// One minute, ten with BELFRY_FULL=1. Memory is flat when the mean of the last third of the time is not above that of the
// middle third by more than GROWTH_PERCENT_MAX or, for a small process, GROWTH_KB_MAX.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { Appliance } from "./kit/appliance.mjs";
import { startChromium } from "./kit/browsers.mjs";
import { ChromiumPerson } from "./kit/person.mjs";
import { figure, report, scenario } from "./kit/scenarios.mjs";
import { until } from "./kit/wait.mjs";
import { Watch } from "./kit/watch.mjs";

const SECONDS = process.env.BELFRY_FULL === "1" ? 600 : 60;
const BROWSER_STUDENTS = 2;
const BOTS = 27;
/** The first bots speak and are seen; with the teacher six of each. */
const SPEAKING_BOTS = 5;
const VIDEO = { frames_per_second: 20, bits_per_second: 300_000 };
/** Small, as nobody looks: painting costs more than the network does. */
const VIEWPORT = { width: 800, height: 600 };
const LOSS_PERCENT_MAX = 0.1;
const GROWTH_PERCENT_MAX = 3;
const GROWTH_KB_MAX = 1_024;
/** All of the bots have to hear and see all others: the teacher's and the speaking bots' tracks. */
const TRACKS_MIN = 2 * SPEAKING_BOTS;

const root = process.env.BELFRY_ROOT_DIR;
const appliance = await Appliance.start();
const environment = { ...process.env, BELFRY_URL: appliance.url, BELFRY_ROOT: appliance.rootCertificate, BELFRY_SIGN_INS: "" };

/** A child that is steered by lines and answers in lines. */
class Lines {
  constructor(command, args) {
    this.child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], env: environment, cwd: root });
    this.lines = [];
    this.read = 0;
    let rest = "";
    this.child.stdout.on("data", (text) => {
      const parts = (rest + text).split("\n");
      rest = parts.pop();
      this.lines.push(...parts);
    });
  }

  say(line) {
    this.child.stdin.write(`${line}\n`);
  }

  async hear(what, deadlineMs) {
    await until(what, () => {
      if (this.child.exitCode !== null) throw new Error(`the process ended with ${this.child.exitCode}`);
      return this.lines.length > this.read;
    }, deadlineMs);
    return this.lines[this.read++];
  }

  async stop() {
    if (this.child.exitCode === null) {
      const ended = once(this.child, "exit");
      this.child.stdin.end();
      await ended;
    }
    if (this.child.exitCode !== 0) throw new Error(`a helper process ended with ${this.child.exitCode}`);
  }
}

const chromium = await startChromium(appliance.rootCertificate);
const accounts = appliance.signIns();
const teacherAccount = accounts.find((one) => one.role === "teacher");
const students = accounts.filter((one) => one.role === "student");
const atChromium = async () => new ChromiumPerson(await chromium.page({ origin: appliance.url, viewport: VIEWPORT }), appliance.url);
const teacher = await atChromium();
const browsers = await Promise.all(students.slice(0, BROWSER_STUDENTS).map(atChromium));
const everyone = 1 + BROWSER_STUDENTS + BOTS;
let inClass;
let bots;

async function botsReport() {
  bots.say('"report"');
  return JSON.parse(await bots.hear("a report of the bots"));
}

async function browserPackets() {
  const rows = (await Promise.all([teacher, ...browsers].map((person) => person.tracks()))).flat();
  const sum = (field) => rows.reduce((all, row) => all + row[field], 0);
  return { received: sum("packets"), lost: sum("lost") };
}

/** Waits until `count` audio streams have brought packets since now. By packets, as the bots' voices are silent. */
async function hears(person, count) {
  const before = new Map();
  await until(`${person.username} is sent ${count} voices`, async () => {
    const rows = (await person.tracks()).filter((row) => row.kind === "audio");
    for (const row of rows) if (!before.has(row.ssrc)) before.set(row.ssrc, row.packets);
    return rows.filter((row) => row.packets > before.get(row.ssrc)).length >= count;
  });
}

/** Datagrams that a kernel dropped because a socket was not read in time; `text` is a /proc/net/snmp. */
function unread(text) {
  const [names, values] = text.split("\n").filter((line) => line.startsWith("Udp:"));
  return Number(values.split(" ")[names.split(" ").indexOf("RcvbufErrors")]);
}

/** The same for those who receive, and for the appliance in its own network. */
const unreadHere = () => unread(readFileSync("/proc/net/snmp", "utf8"));
const unreadThere = () => unread(String(appliance.school.inside("cat", "/proc/net/snmp")));

/** Packets that a kernel dropped between the cable and the sockets, its backlog being full. */
function backlogDropped() {
  const rows = readFileSync("/proc/net/softnet_stat", "utf8").trim().split("\n");
  return rows.reduce((sum, row) => sum + parseInt(row.split(" ")[1], 16), 0);
}

/** Presses `from` unless it is pressed already, which shows as `to`. */
async function turn(person, from, to) {
  if (await person.sees(new RegExp(`^${from}$`, "m"))) await person.press(from);
  await person.see(new RegExp(`^${to}$`, "m"));
}

await scenario("soak.1", "thirty are in one lesson, and each receives every speaker", async () => {
  await teacher.signIn(teacherAccount);
  await teacher.pressStarting("Start ");
  await teacher.see(/Microphone o(n|ff)/);
  await teacher.press("Join and teach");
  await teacher.see("1 person");
  const lesson = new URL(teacher.page.url()).pathname;
  for (const [n, student] of browsers.entries()) {
    await student.signIn(students[n]);
    await student.see("Your classes today");
    await student.page.goto(appliance.url + lesson);
    await student.see(/Microphone o(n|ff)/);
    await student.press("Join");
    // Three encoders of simulcast video are more than two cores have left.
    await turn(student, "Stop video", "Start video");
    await turn(student, "Mute", "Unmute");
  }
  inClass = new Lines(process.env.BELFRY_PYTHON, [join(root, "tests/soak/class.py"), lesson.split("/").at(-1)]);
  for (const one of students.slice(BROWSER_STUDENTS, BROWSER_STUDENTS + BOTS)) inClass.say(`${one.username} ${one.password}`);
  inClass.say("");
  bots = new Lines(process.env.BELFRY_SOAK_BOTS, []);
  for (let n = 0; n < BOTS; n++) {
    const speaks = n < SPEAKING_BOTS;
    const token = await inClass.hear("a student's media token");
    bots.say(JSON.stringify({ join: { token, audio: speaks, video: speaks ? VIDEO : null } }));
    await bots.hear("a bot joins");
  }
  await teacher.see(`${everyone} people`);
  await turn(teacher, "Unmute", "Mute");
  await turn(teacher, "Start video", "Stop video");
  // A speaking bot does not hear itself, but it hears the teacher.
  await until("every bot receives every speaker", async () => (await botsReport()).tracks_min >= TRACKS_MIN);
  await Promise.all(browsers.map((student) => hears(student, 1 + SPEAKING_BOTS)));
});

let before;
let after;
let watches;
const mediaPid = appliance.mediaPid();

await scenario("soak.2", `${SECONDS} s pass: nobody falls out, nobody comes back`, async () => {
  watches = [new Watch("control", appliance.process.pid), new Watch("media", mediaPid)];
  const read = async () => ({ at: Date.now(), bots: await botsReport(), browsers: await browserPackets(), kernel: { here: unreadHere(), there: unreadThere(), backlog: backlogDropped() } });
  before = await read();
  await until("the time is over", () => Date.now() - before.at >= SECONDS * 1000, SECONDS * 2000);
  after = await read();
  const { participants, connected, reconnects } = after.bots;
  if (participants !== BOTS || connected !== BOTS) throw new Error(`${connected} of ${BOTS} are connected`);
  if (reconnects) throw new Error(`${reconnects} reconnects`);
  await Promise.all([teacher, ...browsers].map((person) => person.see(`${everyone} people`)));
});

await scenario("soak.3", `less than ${LOSS_PERCENT_MAX} % of the packets is lost on the way to bots and browsers`, async () => {
  const seconds = (after.at - before.at) / 1000;
  const grown = (who, field) => after[who][field] - before[who][field];
  const percent = (lost, received) => (100 * lost) / Math.max(1, lost + received);
  const loss = percent(grown("bots", "lost"), grown("bots", "received"));
  const browserLoss = percent(grown("browsers", "lost"), grown("browsers", "received"));
  figure("soak_bots_received", (grown("bots", "received") / seconds).toFixed(0), "packets/s");
  figure("soak_bots_received_bits", ((grown("bots", "bytes") * 8) / seconds / 1e6).toFixed(2), "Mbit/s");
  figure("soak_bots_sent", (grown("bots", "sent") / seconds).toFixed(0), "packets/s");
  figure("soak_bots_loss", loss.toFixed(4), "%");
  figure("soak_bots_repaired", grown("bots", "recovered"), "packets");
  figure("soak_bots_duplicates", grown("bots", "duplicates"), "packets");
  figure("soak_bots_dropped_in_their_own_channels", grown("bots", "received") - grown("bots", "delivered"), "packets");
  figure("soak_bots_lost_sound", grown("bots", "lost_audio"), "packets");
  figure("soak_bots_lost_video", grown("bots", "lost") - grown("bots", "lost_audio"), "packets");
  figure("soak_unread_by_bots_and_browsers", grown("kernel", "here"), "packets");
  figure("soak_unread_by_the_appliance", grown("kernel", "there"), "packets");
  figure("soak_dropped_in_the_kernel_backlog", grown("kernel", "backlog"), "packets");
  figure("soak_browsers_received", (grown("browsers", "received") / seconds).toFixed(0), "packets/s");
  figure("soak_browsers_loss", browserLoss.toFixed(4), "%");
  // Five audio streams and five pictures for each bot is the least; less would make the loss mean nothing.
  const least = seconds * BOTS * SPEAKING_BOTS * (50 + VIDEO.frames_per_second) * 0.9;
  const leastOfBrowsers = seconds * (1 + BROWSER_STUDENTS) * SPEAKING_BOTS * 50 * 0.9;
  if (grown("browsers", "received") < leastOfBrowsers) throw new Error(`only ${grown("browsers", "received")} packets came to browsers, not ${leastOfBrowsers}`);
  if (grown("bots", "received") < least) throw new Error(`only ${grown("bots", "received")} packets came, not ${least}`);
  if (!(loss < LOSS_PERCENT_MAX)) throw new Error(`bots lost ${loss} %`);
  if (!(browserLoss < LOSS_PERCENT_MAX)) throw new Error(`browsers lost ${browserLoss} %`);
});

await scenario("soak.4", `memory is flat: the last third at most ${GROWTH_PERCENT_MAX} % above the middle third`, async () => {
  for (const watch of watches) {
    const { middleKb, lastKb, cpu } = watch.stop();
    figure(`soak_${watch.name}_memory`, (lastKb / 1024).toFixed(1), "MB");
    figure(`soak_${watch.name}_memory_growth`, (((lastKb - middleKb) / middleKb) * 100).toFixed(2), "%");
    figure(`soak_${watch.name}_cpu`, cpu.toFixed(3), "CPU-s/s");
    const most = middleKb + Math.max(GROWTH_KB_MAX, (middleKb * GROWTH_PERCENT_MAX) / 100);
    if (!(lastKb <= most)) throw new Error(`${watch.name}: ${middleKb.toFixed(0)} kB became ${lastKb.toFixed(0)} kB`);
  }
});

await scenario("soak.5", "no panic, and the same media process from begin to end", async () => {
  if (appliance.mediaPid() !== mediaPid) throw new Error(`the media process ${mediaPid} was replaced by ${appliance.mediaPid()}`);
  const panics = appliance.log.split("\n").filter((line) => line.includes("panicked"));
  figure("soak_panics", panics.length, "panics");
  if (panics.length) throw new Error(panics.join("\n"));
});

await scenario("soak.6", "all leave, and the appliance ends cleanly", async () => {
  const ended = [];
  for (const one of [bots, inClass]) ended.push(await one?.stop().catch((error) => error));
  await chromium.close();
  ended.push(await appliance.stop().catch((error) => error));
  const failed = ended.filter(Boolean);
  if (failed.length) throw new Error(failed.join("; "));
});

report();
if (process.exitCode) console.error(appliance.log.slice(-8000));
