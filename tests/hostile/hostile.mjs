// Attacks on an appliance while a lesson runs: refused, and nothing that lasts is left of them.
//
//   node hostile.mjs
//
// The attackers have a site of their own. Each attack runs twice: what it needs for the first time may stay, the second must
// add nothing. Environment: BELFRY_BINARY, BELFRY_NET (built emulator), BELFRY_ATTACK (attack.py).

import { execFile } from "node:child_process";
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
const FLOW_MS = 30_000;
const ATTACK_MS_MAX = 90_000;
/** What the relay says to a peer that is not its own media (RFC 8656, 9.2), and to whom it does not know (RFC 8489, 9.2.4). */
const [FORBIDDEN, UNAUTHORISED] = [403, 401];

const run = promisify(execFile);
const district = District.create();
const appliance = await Appliance.start({ school: district });
const people = [];
let attacker;
let teacher;
let student;
/** Signed in, not in the lesson; attacks as somebody of the school. */
let insider;
let lesson;

async function attack(name, given = {}) {
  const words = Object.entries(given).map(([key, value]) => `${key}=${value}`);
  const inside = ["netns", "exec", attacker.namespace, "python3", process.env.BELFRY_ATTACK, name, appliance.school.address, ...words];
  const { stdout } = await run("ip", inside, { timeout: ATTACK_MS_MAX });
  console.log(`  ${name}: ${stdout.trim()}`);
  return JSON.parse(stdout);
}

const memory = () => ({ control: residentKb(appliance.process.pid), media: residentKb(appliance.mediaPid()) });

/** Twice, and measures what the second time adds; `attempt` answers for what came back. */
async function twice(name, attempt) {
  const before = memory();
  await attempt();
  const first = memory();
  await attempt();
  // What is freed late is not kept.
  const grown = await until(`${name}: memory is flat`, () => {
    const now = memory();
    const more = Object.keys(now).map((process) => now[process] - first[process]);
    return more.every((kb) => kb <= GROWTH_KB_MAX) && now;
  });
  for (const process of ["control", "media"]) {
    figure(`hostile_${name}_${process}_before`, before[process], "kB");
    figure(`hostile_${name}_${process}_first`, first[process], "kB");
    figure(`hostile_${name}_${process}_second`, grown[process], "kB");
  }
}

/** Packets that came to both, and those that did not. */
async function packets() {
  const rows = (await Promise.all([teacher, student].map((person) => person.tracks()))).flat();
  return new Map(rows.map((row) => [`${row.ssrc}/${row.track}`, row]));
}

/** Sends of a student's credentials for the relay, as the browser got them. */
function credentials() {
  const servers = window.keptConnections.flatMap((one) => one.getConfiguration().iceServers ?? []);
  const relay = servers.find((one) => [one.urls].flat().some((url) => url.startsWith("turn")));
  return relay && { username: relay.username, credential: relay.credential };
}

async function relayCredentials() {
  const given = await student.evaluate(credentials);
  if (!given) throw new Error("the appliance offers no relay");
  return given;
}

/** None of the answers is a success. */
function refusedOnly(answers, ...allowed) {
  const got = Object.keys(answers).filter((answer) => !allowed.includes(answer));
  if (got.length) throw new Error(`answers: ${JSON.stringify(answers)}`);
}

async function gather() {
  const accounts = appliance.signIns();
  const students = accounts.filter((one) => one.role === "student");
  const at = async (place, account) => {
    const person = await atChromium(appliance, await district.site(place));
    people.push(person);
    await person.signIn(account);
    return person;
  };
  attacker = await district.site("attacker");
  teacher = await at("teacher", accounts.find((one) => one.role === "teacher"));
  student = await at("student", students[0]);
  insider = await at("insider", students[1]);
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

/** Someone else's page comes in time. */
async function pageComes() {
  const begun = Date.now();
  await teacher.evaluate(async () => (await fetch("/app/api/me", { cache: "no-store" })).json());
  const ms = Date.now() - begun;
  figure("hostile_page_meanwhile", ms, "ms");
  if (ms > PAGE_MS_MAX) throw new Error(`a page took ${ms} ms meanwhile`);
}

try {
  await gather();
  const before = await packets();
  const pid = appliance.mediaPid();

  await scenario("hostile.1", "a flood of Allocate is refused, and keeps no memory", () =>
    twice("allocate", async () => refusedOnly((await attack("allocate")).answers, String(UNAUTHORISED), "400", "unreachable")));
  await scenario("hostile.2", "a flood of Binding keeps no memory", () => twice("binding", () => attack("binding")));
  await scenario("hostile.3", "forged STUN, DTLS, SRTP and SRTCP get no answer but refusals", () =>
    twice("forged", async () => refusedOnly((await attack("forged")).answers, String(UNAUTHORISED), "400", "unreachable")));
  await scenario("hostile.4", "half-open TLS is closed by the appliance, and pages come meanwhile", () =>
    twice("half_open", async () => {
      const [told] = await Promise.all([attack("half_open", { hold: 25 }), pageComes()]);
      if (told.closed_by_appliance < told.opened) throw new Error(`${told.closed_by_appliance} of ${told.opened} were closed`);
    }));
  await scenario("hostile.5", "slow requests are ended, and pages come meanwhile", () =>
    twice("slow", async () => {
      const [told] = await Promise.all([attack("slow", { hold: 25 }), pageComes()]);
      if (told.closed_by_appliance < told.opened) throw new Error(`${told.closed_by_appliance} of ${told.opened} were closed`);
    }));
  await scenario("hostile.6", "oversized ChannelData ends its stream", () =>
    twice("oversized", async () => {
      const told = await attack("oversized");
      for (const way of ["tls", "tcp", "ice_tcp"]) {
        if (!told[way].opened || told[way].closed_by_appliance < told[way].opened) throw new Error(`${way}: ${JSON.stringify(told[way])}`);
      }
    }));
  await scenario("hostile.7", "the relay leads neither to this machine's loopback nor into the network", async () => {
    const peers = ["127.0.0.1", "10.10.0.1", "10.20.2.2", "0.0.0.0", "255.255.255.255", "8.8.8.8"];
    const told = await attack("relay_abroad", { ...(await relayCredentials()), peers: peers.join(",") });
    if (told.allocate !== 0) throw new Error(`no allocation with good credentials: ${told.allocate}`);
    const let_through = peers.filter((peer) => told[peer].permission !== FORBIDDEN || told[peer].channel !== FORBIDDEN);
    if (let_through.length) throw new Error(`not refused: ${let_through}`);
  });
  await scenario("hostile.8", "wrong, expired and foreign credentials open nothing, and good ones not without end", async () => {
    const given = await relayCredentials();
    const told = await attack("relay_bad_credentials", given);
    for (const [what, answer] of Object.entries(told)) if (answer !== UNAUTHORISED) throw new Error(`${what}: ${answer}`);
    await twice("greedy", async () => {
      const answers = await attack("relay_greedy", given);
      if ((answers[0] ?? 0) > 16) throw new Error(`one participant got ${answers[0]} allocations`);
    });
  });
  let slowed = 0;
  await scenario("hostile.9", "a flood on the class socket is refused, then closed", () =>
    twice("class_socket", async () => {
      const told = await insider.evaluate(floodClassSocket, [lesson.split("/").at(-1), 5_000]);
      console.log(`  class socket: ${JSON.stringify(told)}`);
      slowed += told.slow_down ?? 0;
      if (!told.closed || !slowed) throw new Error("it was not told to slow down, or not closed");
    }));
  await scenario("hostile.10", "a flood of telemetry is refused", () =>
    twice("telemetry", async () => {
      const told = await insider.evaluate(floodTelemetry, 200);
      console.log(`  telemetry: ${JSON.stringify(told)}`);
      refusedOnly(told, "400", "413", "422", "429");
      if (!told[429]) throw new Error("nothing was too much");
    }));
  await scenario("hostile.11", `the lesson goes on in the same media process, with at most ${LOSS_PERCENT_MAX} % of its packets lost`, async () => {
    if (appliance.mediaPid() !== pid) throw new Error("the media process was replaced");
    let [lost, came] = [0, 0];
    for (const [key, row] of await packets()) {
      const was = before.get(key);
      lost += row.lost - (was?.lost ?? 0);
      came += row.packets - (was?.packets ?? 0);
    }
    const percent = (Math.max(0, lost) / Math.max(1, came + lost)) * 100;
    figure("hostile_lesson_packets", came, "packets");
    figure("hostile_lesson_loss", percent.toFixed(3), "%");
    await Promise.all([teacher, student].map((person) => flows(person, 1, FLOW_MS)));
    await teacher.see(/[23] people/);
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
