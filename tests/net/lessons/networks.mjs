// Lessons on the networks that schools have: Chromium and Firefox behind each, in one lesson with a teacher who has none of it.
//
//   node networks.mjs [--only NAME,NAME] [--help]
//
// networks.json holds the networks. Behind each: joined, and heard both ways; a hand, a message, the microphone's state and an
// enlarged picture stay through what happens to the network; nobody clicks.
//
// Environment: BELFRY_BINARY, BELFRY_NET (built emulator), BELFRY_NETWORK_FIRST (number of the first scenario, 2).

import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { Appliance } from "../kit/appliance.mjs";
import { figure, report, scenario, whenFailed } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { District } from "./district.mjs";
import { flows } from "./reception.mjs";
import { atChromium, atFirefox, enter, go, start, turn } from "./people.mjs";

const JOIN_MS_MAX = 5_000;
const BACK_MS_MAX = 5_000;
/** For what is waited for at all; a slower one than the limits above is told with its time. */
const DEADLINE_MS = 45_000;
const FIRST = Number(process.env.BELFRY_NETWORK_FIRST ?? 2);

const { values: options } = parseArgs({ options: { only: { type: "string" }, help: { type: "boolean" } } });
if (options.help) {
  const [about] = readFileSync(new URL(import.meta.url), "utf8").split("\n\n");
  console.log(about.replaceAll(/^\/\/ ?/gm, ""));
  process.exit();
}
const networks = JSON.parse(readFileSync(new URL("networks.json", import.meta.url), "utf8"));
const wanted = options.only?.split(",");
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const district = District.create({ ipv6: true });
const appliance = await Appliance.start({ school: district });
const people = [];
let lesson;
let teacher;
let students;

/** Runs for each student at the same time; fails with all that failed, by browser. */
async function each(run) {
  const ended = await Promise.allSettled(students.map(run));
  const failed = ended.flatMap((one, index) => (one.status === "rejected" ? [`${students[index].browser}: ${one.reason.message}`] : []));
  if (failed.length) throw new Error(failed.join("\n"));
  return ended.map((one) => one.value);
}

/** What the network of a site is like from now on. */
async function become(site, network) {
  site.family(network.ipv6 ? 6 : 4);
  site.firewall(...(network.firewall ?? []));
  if (network.nat) site.translate();
  else site.translateNot();
  await site.order({ middlebox: network.middlebox ?? "open" });
}

const EVENTS = {
  renumber: async (site) => site.renumber(),
  remap: async (site) => site.forgetMappings(),
  outage: async (site, { outage_s }) => {
    await site.cut();
    await pause(outage_s * 1000);
    await site.mend();
  },
};

async function join(student) {
  await enter(student, lesson);
  const begun = Date.now();
  student.joined_ms = (await flows(student, 1, DEADLINE_MS)) - begun;
  await turn(student, "microphone", true);
  await turn(student, "camera", true);
}

/** Things that have to be there afterwards. */
async function leaveMarks(student, network) {
  student.message = `Hello from ${network.name} at ${student.browser}`;
  await student.press("Raise hand");
  await student.pressStarting("Chat");
  await student.fill("Message", student.message);
  await student.press("Send message");
  await student.see(student.message);
  await student.pressStarting(teacher.me.name);
  await until("the teacher's picture is enlarged", () => student.evaluate(enlarged));
}

/** Runs in the page: whether a picture is enlarged. */
function enlarged() {
  return document.querySelector("[aria-pressed=true]") !== null;
}

async function findMarks(student) {
  await student.see("Lower hand");
  await student.see(student.message);
  await student.see(/^Mute$/m);
  await student.see(/^Stop video$/m);
  if (!(await student.evaluate(enlarged))) throw new Error("the enlarged picture is small again");
}

async function heardByTeacher(deadline_ms = DEADLINE_MS) {
  return flows(teacher, students.length, deadline_ms);
}

function short(what, name, ms, limit) {
  figure(`net_${name}`, ms, "ms");
  return ms <= limit ? [] : [`${what} after ${ms} ms, at most ${limit}`];
}

async function happen(network) {
  await each((student) => leaveMarks(student, network));
  await Promise.all(students.map((student) => EVENTS[network.event](student.site, network)));
  const back = Date.now();
  const [hear, heard] = await Promise.all([
    each(async (student) => [student, (await flows(student, 1, DEADLINE_MS)) - back]),
    heardByTeacher(),
  ]);
  const late = hear.flatMap(([student, ms]) => short(`${student.browser}: media again`, `${network.name}_back_${student.browser}`, ms, BACK_MS_MAX));
  late.push(...short("the teacher hears all again", `${network.name}_heard_again`, heard - back, BACK_MS_MAX));
  await each(findMarks);
  await teacher.see(`${students.length} hands raised`);
  await teacher.see(`${students.length + 1} people`);
  await teacher.press("Lower all");
  if (late.length) throw new Error(late.join("\n"));
}

/** Nothing is said or shown for longer than the mappings of a NAT last; then they speak again. */
async function quiet(network) {
  const all = [teacher, ...students];
  await Promise.all(all.map(async (person) => {
    await turn(person, "microphone", false);
    await turn(person, "camera", false);
  }));
  await pause(network.quiet_s * 1000);
  await Promise.all(all.map((person) => turn(person, "microphone", true)));
  const begun = Date.now();
  const late = (await each(async (student) => (await flows(student, 1, DEADLINE_MS)) - begun))
    .flatMap((ms, index) => short(`${students[index].browser}: heard after the quiet`, `${network.name}_after_quiet_${students[index].browser}`, ms, BACK_MS_MAX));
  await heardByTeacher();
  await Promise.all(all.map((person) => turn(person, "camera", true)));
  if (late.length) throw new Error(late.join("\n"));
}

async function behind(network) {
  for (const student of students) await become(student.site, network);
  await each((student) => join(student));
  const late = students.flatMap((student) => short(`${student.browser}: joined`, `${network.name}_join_${student.browser}`, student.joined_ms, JOIN_MS_MAX));
  await heardByTeacher();
  if (network.quiet_s) await quiet(network);
  if (network.event) await happen(network);
  if (late.length) throw new Error(late.join("\n"));
}

/** Runs in the page: its connections, and the beginning of its text. */
function condition() {
  const connections = (window.keptConnections ?? []).map((one) => `${one.connectionState}/${one.iceConnectionState}`);
  return `${connections.join(" ")}: ${document.body.innerText.replaceAll(/\s+/g, " ").slice(0, 400)}`;
}

whenFailed(async () => {
  for (const person of [teacher, ...students].filter(Boolean)) {
    console.log(`${person.username} at ${person.browser}: ${await person.evaluate(condition)}`);
    const sounds = (await person.tracks()).filter(({ kind }) => kind === "audio");
    console.log(`  hears ${sounds.map(({ ssrc, bytes, packets, lost }) => `${ssrc}: ${bytes} B, ${packets} packets, ${lost} lost`).join("; ")}`);
    console.log(`  problems: ${(person.page.problems ?? []).slice(-4).join(" | ").slice(0, 600)}`);
  }
  console.log(appliance.log.slice(-3000));
});

/** Out of the lesson, whatever state the scenario ended in. */
async function goHome() {
  for (const student of students) {
    await student.site.mend();
    await go(student, `${appliance.url}/`).catch((error) => console.log(error.message));
    await become(student.site, {});
  }
  await teacher.see("1 person").catch((error) => console.log(`not yet alone again: ${error.message}`));
}

async function gather() {
  const accounts = appliance.signIns();
  const at = async (browser, place, account) => {
    const site = await district.site(place, { up: { delay_ms: 2 }, down: { delay_ms: 2 } });
    const person = await (browser === "firefox" ? atFirefox : atChromium)(appliance, site);
    people.push(Object.assign(person, { browser, account }));
    await person.signIn(account);
    return person;
  };
  const classmates = accounts.filter((one) => one.role === "student");
  teacher = await at("chromium", "teacher", accounts.find((one) => one.role === "teacher"));
  students = [await at("chromium", "chromium", classmates[0]), await at("firefox", "firefox", classmates[1])];
  lesson = await start(teacher);
  await turn(teacher, "microphone", true);
  await turn(teacher, "camera", true);
  await teacher.pressStarting("People");
}

try {
  await gather();
  for (const [index, network] of networks.entries()) {
    if (wanted && !wanted.includes(network.name)) continue;
    await scenario(`network.${FIRST + index}`, network.title, () => behind(network));
    await goHome();
  }
  figure("net_load_average_of_networks", loadavg()[0].toFixed(1), "processes");
} finally {
  for (const person of people) await person.close().catch(() => {});
  await appliance.stop().catch((error) => {
    console.log(`WRONG ${error.message}`);
    process.exitCode = 1;
  });
  await district.remove();
}
report();
process.exit();
