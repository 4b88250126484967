// Attacks on an appliance while a lesson runs: refused, and nothing that lasts is left of them.
//
//   node hostile.mjs
//
// The attackers have a site of their own. Each attack runs twice: what it needs for the first time may stay, the second must
// add nothing. Environment: BELFRY_BINARY, BELFRY_NET (built emulator), BELFRY_ATTACK (attack.py).

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { promisify } from "node:util";
import { Appliance } from "../kit/appliance.mjs";
import { figure, report, scenario } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { residentKb } from "../kit/watch.mjs";
import { District } from "../net/district.mjs";
import { atChromium, enter, start, turn } from "../net/people.mjs";
import { flows } from "../net/reception.mjs";

/** What the second run of an attack may add to the memory of a process. */
const GROWTH_KB_MAX = 4096;
/** Of the lesson's packets, over all attacks. The attackers share two cores with the appliance and the browsers. */
const LOSS_PERCENT_MAX = 1;
/** How long a page may take meanwhile. */
const PAGE_MS_MAX = 5_000;
/** The appliance says what it refused every 5 s, as long as there is more. */
const TOLD_EVERY_MS = 6_000;
const FLOW_MS = 30_000;
const ATTACK_MS_MAX = 90_000;
/** Further addresses: one alone is stopped early; together they hold more connections than a process may open files at its start. */
const ATTACKER_ADDRESSES = 2;
const HALF_OPEN = 1_800;
const SLOW = 200;
/** Of a flood of datagrams, so many reach the appliance and are counted; the kernel drops what there is no time to read. */
const DATAGRAMS_MIN = 2_000;
/** What an address gets of answers to plain questions: a burst, and so many a second. */
const [BINDINGS_BURST, BINDINGS_A_SECOND] = [4_000, 400];
/** Of one participant. */
const ALLOCATIONS_MAX = 32;
/** What the relay says to a peer that is not its own media (RFC 8656, 9.2), and to whom it does not know (RFC 8489, 9.2.4). */
const [FORBIDDEN, UNAUTHORISED] = [403, 401];

const run = promisify(execFile);
const district = District.create();
const appliance = await Appliance.start({ school: district });
const people = [];
let attacker;
/** All addresses of the attacker. */
let sources;
let teacher;
let student;
/** Signed in, not in the lesson; attacks as somebody of the school. */
let insider;
let lesson;
/** When the last attack was over. */
let attacked = 0;

async function at(site, name, given = {}) {
  const words = Object.entries(given).map(([key, value]) => `${key}=${value}`);
  const inside = ["netns", "exec", site.namespace, "python3", process.env.BELFRY_ATTACK, name, appliance.school.address, ...words];
  const { stdout } = await run("ip", inside, { timeout: ATTACK_MS_MAX });
  console.log(`  ${name}: ${stdout.trim()}`);
  return JSON.parse(stdout);
}

const attack = (name, given) => at(attacker, name, given);

const memory = () => ({ control: residentKb(appliance.process.pid), media: residentKb(appliance.mediaPid()) });

/** The lines in which the appliance says what it has refused so far. */
function told() {
  return appliance.log.replace(/\u001b\[[0-9;]*m/g, "").split("\n").filter((line) => line.includes("refused since the start"));
}

/** By kind. */
function refused() {
  const lines = told();
  return Object.fromEntries([...(lines.at(-1) ?? "").matchAll(/(\w+)=(\d+)/g)].map(([, kind, count]) => [kind, Number(count)]));
}

/**
 * Runs an attack; the appliance counts at least so many refusals of each kind more than before. `one+other`: of both together,
 * where it depends on the speed of the machine which of them stops an attacker.
 */
async function counted(name, kinds, attempt) {
  // What an earlier attack did is not counted to this one.
  await until("the appliance has said all of what was before", () => {
    const said = Date.parse(told().at(-1)?.split(" ")[0] ?? "") || 0;
    return Date.now() - Math.max(said, attacked) > TOLD_EVERY_MS;
  });
  const before = refused();
  await attempt();
  attacked = Date.now();
  const rose = () => {
    const now = refused();
    const more = (kind) => (now[kind] ?? 0) - (before[kind] ?? 0);
    return Object.fromEntries(Object.keys(kinds).map((kinds) => [kinds, kinds.split("+").reduce((sum, kind) => sum + more(kind), 0)]));
  };
  await until(`${name}: it is counted (${JSON.stringify(kinds)})`, () => {
    const more = rose();
    if (Object.entries(kinds).some(([kind, least]) => more[kind] < least)) throw new Error(JSON.stringify(more));
    return true;
  });
  for (const [kind, more] of Object.entries(rose())) figure(`hostile_${name}_refused_${kind}`, more, "refusals");
}

/** Counted, twice, and measures what the second time adds to the memory; `attempt` judges what came back. */
async function twice(name, kinds, attempt) {
  const before = memory();
  const flowed = await packets();
  await counted(name, kinds, attempt);
  const first = memory();
  await attempt();
  attacked = Date.now();
  // What is freed late is not kept.
  const grown = await until(`${name}: memory is flat`, () => {
    const now = memory();
    const more = Object.keys(now).map((process) => now[process] - first[process]);
    if (more.some((kb) => kb > GROWTH_KB_MAX)) throw new Error(JSON.stringify({ first, now }));
    return now;
  });
  for (const process of ["control", "media"]) {
    figure(`hostile_${name}_${process}_before`, before[process], "kB");
    figure(`hostile_${name}_${process}_first`, first[process], "kB");
    figure(`hostile_${name}_${process}_second`, grown[process], "kB");
  }
  figure(`hostile_${name}_lesson_loss`, loss(flowed, await packets()).percent.toFixed(3), "%");
}

/** What the receivers missed between two readings. */
function loss(before, after) {
  let [lost, came] = [0, 0];
  for (const [key, row] of after) {
    const was = before.get(key);
    lost += row.lost - (was?.lost ?? 0);
    came += row.packets - (was?.packets ?? 0);
  }
  return { came, percent: (Math.max(0, lost) / Math.max(1, came + lost)) * 100 };
}

/** Packets that came to both, and those that did not. */
async function packets() {
  const rows = (await Promise.all([teacher, student].map((person) => person.tracks()))).flat();
  return new Map(rows.map((row) => [`${row.ssrc}/${row.track}`, row]));
}

/** Runs in the page: the credentials for the relay, as the browser got them. */
function credentials() {
  const servers = window.keptConnections.flatMap((one) => one.getConfiguration().iceServers ?? []);
  const relay = servers.find((one) => [one.urls].flat().some((url) => url.startsWith("turn")));
  return relay && { username: relay.username, credential: relay.credential };
}

async function relayCredentials(person) {
  const given = await person.evaluate(credentials);
  if (!given) throw new Error("the appliance offers no relay");
  return given;
}

/** Credentials of somebody who was in the lesson a moment ago. */
async function credentialsLeft() {
  await enter(insider, lesson);
  await insider.see("Leave");
  const { username, credential } = await until("the insider has credentials", () => insider.evaluate(credentials));
  await insider.press("Leave");
  await insider.press("Leave lesson");
  await teacher.see("2 people");
  return { left_username: username, left_credential: credential };
}

/** Runs in the page: the port of the connection that media takes by UDP. */
async function mediaPort() {
  for (const connection of window.keptConnections) {
    const stats = await connection.getStats();
    for (const pair of stats.values()) {
      if (pair.type !== "candidate-pair" || !pair.nominated || pair.state !== "succeeded") continue;
      const local = stats.get(pair.localCandidateId);
      if (local?.protocol === "udp" && local.port) return local.port;
    }
  }
  return null;
}

/** There is no answer but these. */
function refusedOnly(answers, ...allowed) {
  const got = Object.keys(answers).filter((answer) => !allowed.includes(answer));
  if (got.length) throw new Error(`answers: ${JSON.stringify(answers)}`);
}

/** Each of the connections was closed by the appliance. */
function allClosed({ opened, closed_by_appliance: closed }) {
  if (!opened || closed < opened) throw new Error(`${closed} of ${opened} were closed`);
}

/** Both processes may open as many files as the system allows. */
function filesRaised() {
  for (const pid of [appliance.process.pid, appliance.mediaPid()]) {
    const [, soft, hard] = /^Max open files\s+(\d+)\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"));
    figure("hostile_open_files", soft, "files");
    if (soft !== hard) throw new Error(`process ${pid} may open ${soft} files of ${hard}`);
  }
}

async function gather() {
  const accounts = appliance.signIns();
  const students = accounts.filter((one) => one.role === "student");
  const seat = async (place, account) => {
    const person = await atChromium(appliance, await district.site(place));
    people.push(person);
    await person.signIn(account);
    return person;
  };
  attacker = await district.site("attacker");
  sources = attacker.addresses(ATTACKER_ADDRESSES);
  district.trustSources();
  teacher = await seat("teacher", accounts.find((one) => one.role === "teacher"));
  student = await seat("student", students[0]);
  insider = await seat("insider", students[1]);
  lesson = await start(teacher);
  await enter(student, lesson);
  for (const person of [teacher, student]) {
    await turn(person, "microphone", true);
    await turn(person, "camera", true);
  }
  await Promise.all([teacher, student].map((person) => flows(person, 1, FLOW_MS)));
}

/** Runs in the page: a class socket that sends what it likes as fast as it can. How it ended. */
function floodClassSocket([path, count]) {
  return new Promise((resolve) => {
    const socket = new WebSocket(`wss://${location.host}/class/${path}`);
    const answers = {};
    socket.onopen = () => {
      socket.send(JSON.stringify({ type: "hello", resume: null }));
      for (let id = 1; id <= count; id++) socket.send(JSON.stringify({ type: "command", id, command: { kind: "raise_hand" } }));
    };
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      const what = frame.code ?? frame.type;
      answers[what] = (answers[what] ?? 0) + 1;
    };
    socket.onclose = () => resolve({ ...answers, closed: true });
    setTimeout(() => resolve(answers), 10_000);
  });
}

/** Runs in the page: reports without end. How many got which status. */
async function floodTelemetry(count) {
  const { csrf } = await (await fetch("/app/api/me")).json();
  const answers = {};
  for (let sent = 0; sent < count; sent++) {
    const body = sent % 2 ? "{".repeat(30_000) : "x".repeat(100_000);
    const { status } = await fetch("/app/api/telemetry", { method: "POST", headers: { "content-type": "application/json", "x-csrf": csrf }, body });
    answers[status] = (answers[status] ?? 0) + 1;
  }
  return answers;
}

/** Somebody else's pages come in time while an attack runs. */
async function pagesComeDuring(name, running) {
  const [told, pages] = await Promise.all([running, at(insider.site, "page")]);
  figure(`hostile_${name}_page_slowest`, pages.slowest_ms, "ms");
  if (pages.failed || pages.slowest_ms > PAGE_MS_MAX) throw new Error(`pages meanwhile: ${JSON.stringify(pages)}`);
  return told;
}

try {
  await gather();
  const before = await packets();
  const pid = appliance.mediaPid();

  await scenario("hostile.1", "a flood of Allocate is refused, counted, and keeps no memory", () =>
    twice("allocate", { throttled: DATAGRAMS_MIN }, async () =>
      refusedOnly((await attack("allocate")).answers, String(UNAUTHORISED))));
  await scenario("hostile.2", "a flood of Binding is answered in measure, counted, and keeps no memory", () =>
    twice("binding", { datagrams: DATAGRAMS_MIN }, async () => {
      const { answers, seconds } = await attack("binding");
      refusedOnly(answers, "0");
      if (answers[0] > BINDINGS_BURST + BINDINGS_A_SECOND * (seconds + 1)) throw new Error(`${answers[0]} answers in ${seconds} s`);
    }));
  await scenario("hostile.3", "forged STUN, DTLS, SRTP and SRTCP, also under a student's address, get no answer and harm nobody", async () => {
    await twice("forged", { datagrams: DATAGRAMS_MIN }, async () => refusedOnly((await attack("forged")).answers));
    const port = await student.evaluate(mediaPort);
    if (!port) throw new Error("the student's media does not go by UDP");
    await twice("spoofed", { datagrams: DATAGRAMS_MIN }, () => attack("spoofed", { source: student.site.address, port }));
  });
  await scenario("hostile.4", "half-open TLS is closed by the appliance, and pages come meanwhile", () => {
    filesRaised();
    return twice("half_open", { "handshakes+connections": 0.9 * HALF_OPEN }, async () => {
      const floods = attack("half_open", { sources: sources.join(","), count: HALF_OPEN, hold: 25 });
      allClosed(await pagesComeDuring("half_open", floods));
    });
  });
  await scenario("hostile.5", "slow requests are ended, and pages come meanwhile", () =>
    twice("slow", { "handshakes+broken": 0.9 * SLOW }, async () =>
      allClosed(await pagesComeDuring("slow", attack("slow", { count: SLOW, hold: 18 })))));
  await scenario("hostile.6", "oversized ChannelData ends its stream", () =>
    twice("oversized", { streams: 400, datagrams: 1_000, broken: 100 }, async () => {
      const { udp, ...streams } = await attack("oversized");
      refusedOnly(udp.answers);
      for (const told of Object.values(streams)) allClosed(told);
    }));
  await scenario("hostile.7", "the relay leads neither to this machine's loopback nor into the network", async () => {
    const peers = ["127.0.0.1", "10.10.0.1", student.site.address, "0.0.0.0", "255.255.255.255", "8.8.8.8"];
    await counted("abroad", { forbidden: 2 * peers.length + 1, streams: 2 * peers.length }, async () => {
      const own = appliance.school.address;
      const told = await attack("relay_abroad", { ...(await relayCredentials(student)), peers: [...peers, own].join(",") });
      if (told.allocate !== 0) throw new Error(`no allocation with good credentials: ${told.allocate}`);
      const through = peers.filter((peer) => told[peer].permission !== FORBIDDEN || told[peer].channel !== FORBIDDEN);
      if (through.length) throw new Error(`not refused: ${through}`);
      // Of its own machine it reaches the media, and not another port.
      if (told[own].permission !== 0 || told[own].channel !== FORBIDDEN) throw new Error(`${own}: ${JSON.stringify(told[own])}`);
    });
  });
  await scenario("hostile.8", "wrong, changed and foreign credentials open nothing and are told why, and good ones not without end", async () => {
    const given = await relayCredentials(student);
    const left = await credentialsLeft();
    await counted("credentials", { unauthorized: 4 }, async () => {
      const told = await attack("relay_bad_credentials", { ...given, ...left });
      for (const [what, { code }] of Object.entries(told)) if (code !== UNAUTHORISED) throw new Error(`${what}: ${code}`);
      if (!/password/.test(told.wrong.reason) || !/not in a lesson/.test(told.left.reason)) throw new Error(JSON.stringify(told));
    });
    await twice("greedy", { over_quota: 1 }, async () => {
      const answers = await attack("relay_greedy", given);
      if (!(answers[0] > 0 && answers[0] <= ALLOCATIONS_MAX)) throw new Error(`one participant got ${answers[0]} allocations`);
    });
  });
  await scenario("hostile.9", "a flood on the class socket is refused, then closed", () =>
    twice("class_socket", { class_frames: 100 }, async () => {
      const told = await insider.evaluate(floodClassSocket, [lesson.split("/").at(-1), 5_000]);
      console.log(`  class socket: ${JSON.stringify(told)}`);
      if (!told.closed || !told.slow_down) throw new Error("it was not told to slow down, or not closed");
    }));
  await scenario("hostile.10", "a flood of telemetry is refused", () =>
    twice("telemetry", { requests: 100 }, async () => {
      const told = await insider.evaluate(floodTelemetry, 200);
      console.log(`  telemetry: ${JSON.stringify(told)}`);
      refusedOnly(told, "400", "413", "422", "429");
      if (!told[429]) throw new Error("nothing was too much");
    }));
  await scenario("hostile.11", `the lesson goes on in the same media process, with at most ${LOSS_PERCENT_MAX} % of its packets lost`, async () => {
    if (appliance.mediaPid() !== pid) throw new Error("the media process was replaced");
    const { came, percent } = loss(before, await packets());
    figure("hostile_lesson_packets", came, "packets");
    figure("hostile_lesson_loss", percent.toFixed(3), "%");
    await Promise.all([teacher, student].map((person) => flows(person, 1, FLOW_MS)));
    await teacher.see("2 people");
    if (!(percent <= LOSS_PERCENT_MAX)) throw new Error(`${percent.toFixed(2)} % of the packets were lost`);
    if (/panicked/.test(appliance.log)) throw new Error("something panicked");
  });
  figure("hostile_load_average", loadavg()[0].toFixed(1), "processes");
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
