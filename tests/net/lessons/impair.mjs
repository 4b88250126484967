// The impairment table: a teacher who speaks without end, and students behind bad links.
//
//   node impair.mjs [--seconds N] [--only NAME,NAME] [--strict] [--help]
//
// Each row of links.json is one link in both directions, put in force when the student hears and sees the teacher. Then it
// settles for 5 s, and is measured for 20 s (--seconds: longer); a link with steps is measured through all of them. As many
// rows run at once as there are students' places. --only: some rows. --strict: a missed aim is a failure.
//
// Environment: BELFRY_BINARY, BELFRY_NET (built emulator), BELFRY_CACHE (plots go to its folder `plots`).
// Printed: the table, `figure NAME VALUE UNIT`, `aim met|missed ...`, and how each row ended.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Appliance } from "../kit/appliance.mjs";
import { figure } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { District } from "./district.mjs";
import { Estimates, LOG_FILTER } from "./estimates.mjs";
import { atChromium, enter, go, start, turn } from "./people.mjs";
import { plot } from "./plot.mjs";
import { Sum, reception } from "./reception.mjs";

const SETTLE_S = 5;
const SECONDS = 20;
/** Students with a browser and a link each, at the same time: a teacher's browser short of processor stops its highest layer. */
const PLACES = availableParallelism() < 4 ? 2 : 4;
/** From one step to the next. The estimate is judged this long after each. */
const STEP_S = 15;
const JUDGED_AFTER_S = 10;
const ESTIMATE_PERCENT = [80, 105];
const READ_EVERY_MS = 1000;
const JOIN_DEADLINE_MS = 60_000;

const { values: options } = parseArgs({
  options: { seconds: { type: "string" }, only: { type: "string" }, strict: { type: "boolean" }, help: { type: "boolean" } },
});
if (options.help) {
  const [about] = readFileSync(new URL(import.meta.url), "utf8").split("\n\n");
  console.log(about.replaceAll(/^\/\/ ?/gm, ""));
  process.exit();
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** One row of the table, while and after it is measured. */
class Row {
  constructor(data) {
    Object.assign(this, data, { sum: new Sum(), away: 0, readings: 0 });
  }

  get seconds() {
    const steps = this.steps_bps?.length ?? 0;
    const stretch = Number(options.seconds ?? SECONDS) / SECONDS;
    return steps ? (steps + 1) * STEP_S * stretch : SECONDS * stretch;
  }

  /** `[seconds after the start, bit/s]` of each step. */
  get steps() {
    const each = this.seconds / ((this.steps_bps?.length ?? 0) + 1);
    return (this.steps_bps ?? []).map((rate, index) => [each * (index + 1), rate]);
  }

  async measure(student, site, estimates) {
    this.title = this.title.trim();
    await site.order({ set: { up: this.both, down: this.both } });
    await pause(SETTLE_S * 1000);
    const schedule = this.steps.map(([at_s, rate_bps]) => ({ at_s, up: { rate_bps }, down: { rate_bps } }));
    await site.order({ schedule });
    this.from = Date.now();
    this.to = this.from + this.seconds * 1000;
    for (;;) {
      await this.read(student);
      if (Date.now() >= this.to) break;
      await pause(READ_EVERY_MS);
    }
    await site.order({ set: { up: CLEAN, down: CLEAN } });
    this.link = site.lines().filter((line) => line.way === "down" && line.unix_ms >= this.from && line.unix_ms <= this.to);
    this.estimates = estimates.of(this.sids, this.from, this.to);
  }

  async read(student) {
    const now = await student.evaluate(reception);
    this.readings += 1;
    this.sids = new Set([...(this.sids ?? []), now.sid]);
    this.sum.take(now);
    // The banner that it reconnects is still the lesson; another page is not.
    if (!/^Leave$/m.test(now.text)) this.away += 1;
  }

  rate(from, to, field) {
    const lines = this.link.filter((line) => line.unix_ms >= from && line.unix_ms < to);
    if (field === "available") return lines.length && lines[0].rate_bps !== null ? mean(lines.map((line) => line.rate_bps)) : null;
    return (lines.reduce((sum, line) => sum + line.delivered_bytes, 0) * 8) / Math.max(0.1, lines.length / 10);
  }

  get result() {
    const [available, received] = [this.rate(this.from, this.to, "available"), this.rate(this.from, this.to, "received")];
    const later = this.estimates.filter(([at]) => at > this.from + (this.to - this.from) / 2).map(([, value]) => value);
    const estimate = later.length ? mean(later) : null;
    const share = (value) => (available && value !== null && !this.steps_bps ? (value / available) * 100 : null);
    return {
      concealed: this.sum.concealedPercent,
      freezes: this.sum.video.freezes,
      frozen_s: this.sum.video.frozen_s,
      height: mean(this.sum.heights),
      received,
      receivedShare: available ? (received / available) * 100 : null,
      estimate,
      estimateShare: share(estimate),
    };
  }

  /** Whether it held what it aims at: `[what, value, fits]`. */
  get aims() {
    const aims = [];
    if (this.concealed_percent_max) {
      const { concealed } = this.result;
      aims.push([`${this.title}: voice concealment <= ${this.concealed_percent_max} %`, `${concealed.toFixed(2)} %`, concealed <= this.concealed_percent_max]);
    }
    for (const [at, rate] of this.steps) {
      const judged = this.from + (at + JUDGED_AFTER_S) * 1000;
      const around = this.estimates.filter(([when]) => Math.abs(when - judged) < 1000).map(([, value]) => value);
      const percent = around.length ? (mean(around) / rate) * 100 : null;
      const fits = percent !== null && percent >= ESTIMATE_PERCENT[0] && percent <= ESTIMATE_PERCENT[1];
      const what = `estimate ${JUDGED_AFTER_S} s after the step to ${rate / 1000} kbit/s in ${ESTIMATE_PERCENT.join("..")} %`;
      aims.push([what, percent === null ? "no estimate" : `${percent.toFixed(0)} %`, fits]);
      if (percent !== null) figure(`net_estimate_after_step_to_${rate / 1000}k`, percent.toFixed(0), "% of the link");
    }
    return aims;
  }

  draw(folder) {
    const since = (at) => (at - this.from) / 1000;
    const smooth = this.link.map((line) => [since(line.unix_ms), this.rate(line.unix_ms - 500, line.unix_ms + 1, "received")]);
    const limit = this.link.filter((line) => line.rate_bps !== null).map((line) => [since(line.unix_ms), line.rate_bps]);
    const believed = this.estimates.map(([at, value]) => [since(at), value]);
    writeFileSync(join(folder, `${this.name}.svg`), plot(this.title, [
      { name: "true rate", points: limit },
      { name: "arrives", points: smooth },
      { name: "estimate", points: believed },
    ]));
  }
}

/** What a link is like when nothing is wrong with it; takes back every field of links.json. */
const CLEAN = { rate_bps: null, delay_ms: 2, jitter_ms: 0, jitter_memory: 0, loss_percent: 0, burst: null };

const wanted = options.only?.split(",");
const rows = JSON.parse(readFileSync(new URL("links.json", import.meta.url), "utf8"))
  .filter(({ name }) => !wanted || wanted.includes(name))
  .map((data) => new Row(data));
// Those that take equally long run together.
rows.sort((one, other) => one.seconds - other.seconds);

process.env.BELFRY_LOG ??= LOG_FILTER;
const district = District.create();
const appliance = await Appliance.start({ school: district });
const estimates = new Estimates(appliance);
const people = [];
let complaints = 0;

function complain(text) {
  complaints += 1;
  console.log(`WRONG ${text}`);
}

/**
 * Fresh to the lesson, also who was in it a moment ago; sees and hears before the link turns bad. The teacher's picture is
 * large, so that more is wanted than the narrow links carry: else nobody would ask what they do.
 */
async function arrive(student, lesson, teacher) {
  await go(student, `${student.url}/`);
  await enter(student, lesson);
  await turn(student, "microphone", false);
  await turn(student, "camera", false);
  await student.receives("audio", 1, JOIN_DEADLINE_MS);
  await student.receives("video", 1, JOIN_DEADLINE_MS);
  await student.pressStarting(teacher.me.name);
}

async function main() {
  const accounts = appliance.signIns();
  const classmates = accounts.filter((one) => one.role === "student");
  const places = Math.min(PLACES, rows.length);
  const at = async (name) => {
    const person = await atChromium(appliance, await district.site(name, { up: CLEAN, down: CLEAN, seed: people.length + 1 }));
    people.push(person);
    return person;
  };
  const teacher = await at("teacher");
  await teacher.signIn(accounts.find((one) => one.role === "teacher"));
  const lesson = await start(teacher);
  await turn(teacher, "microphone", true);
  await turn(teacher, "camera", true);
  const students = await Promise.all(Array.from({ length: places }, async (_, index) => {
    const student = await at(`place${index + 1}`);
    await student.signIn(classmates[index]);
    return student;
  }));
  for (let first = 0; first < rows.length; first += places) {
    const group = rows.slice(first, first + places);
    await Promise.all(group.map((_, index) => arrive(students[index], lesson, teacher)));
    await Promise.all(group.map((row, index) => row.measure(students[index], students[index].site, estimates)));
    await until("nobody has left", () => teacher.sees(`${Math.min(places, Math.max(first + group.length, places)) + 1} people`), JOIN_DEADLINE_MS)
      .catch((error) => complain(error.message));
  }
}

function report() {
  const plots = join(process.env.BELFRY_CACHE, "plots");
  mkdirSync(plots, { recursive: true });
  const cell = (value, digits = 0) => (value === null ? "-" : value.toFixed(digits));
  console.log("| link | voice concealed % | freezes | frozen s | picture height | received kbit/s | received % of link | estimate kbit/s | estimate % of link |");
  console.log("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
  for (const row of rows) {
    const one = row.result;
    const cells = [cell(one.concealed, 2), one.freezes, cell(one.frozen_s, 1), cell(one.height), cell(one.received / 1e3),
      cell(one.receivedShare), cell(one.estimate === null ? null : one.estimate / 1e3), cell(one.estimateShare)];
    console.log(`| ${row.title} | ${cells.join(" | ")} |`);
    row.draw(plots);
  }
  for (const row of rows) {
    const one = row.result;
    figure(`net_${row.name}_voice_concealed`, cell(one.concealed, 2), "%");
    figure(`net_${row.name}_freezes`, one.freezes, "freezes");
    figure(`net_${row.name}_frozen`, cell(one.frozen_s, 1), "s");
    figure(`net_${row.name}_received`, cell(one.received / 1e3), "kbit/s");
    if (one.estimate !== null) figure(`net_${row.name}_estimate`, cell(one.estimate / 1e3), "kbit/s");
    if (row.away) complain(`${row.title}: not in the lesson in ${row.away} of ${row.readings} readings`);
    if (!(row.sum.audio.samples > 0 && row.sum.audio.bytes > 0)) complain(`${row.title}: no sound came`);
  }
  let missed = 0;
  for (const [what, value, fits] of rows.flatMap((row) => row.aims)) {
    console.log(`aim ${fits ? "met" : "missed"}: ${what}: ${value}`);
    if (!fits) missed += 1;
  }
  if (missed && options.strict) complain(`${missed} aims are missed`);
  figure("net_load_average", loadavg()[0].toFixed(1), "processes");
  console.log(`plots: ${plots}`);
}

try {
  await main();
  report();
} catch (error) {
  complain(error.stack ?? error);
  console.log(appliance.log.slice(-4000));
} finally {
  for (const person of people) await person.close().catch(() => {});
  await appliance.stop().catch((error) => complain(error.message));
  await district.remove();
}
console.log(complaints ? "impairments: WRONG" : "impairments: held");
process.exit(complaints ? 1 : 0);
