// The record's shadow: what went over the socket beside what the record says.
//
// Environment: BELFRY_BINARY, BELFRY_PYTHON, BELFRY_VERIFY (the built verifier).

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Appliance } from "../kit/appliance.mjs";
import { figure, report, scenario } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { Client } from "./client.mjs";
import { check, readRecord } from "./record.mjs";

/** Holds the record's lock until its input ends. */
const HOLD_RECORD = `
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
`;

const appliance = await Appliance.start();
const database = join(appliance.data, "audit.db");
const python = process.env.BELFRY_PYTHON;
const record = () => readRecord(database);
const events = (op) => record().filter((entry) => entry.op === op);

/** An address as the record writes it: only what cannot be a person's text. */
const asWord = (text) => text.replaceAll(/[^A-Za-z0-9._/+-]/g, "_");

/** The routes that declare to show what is kept about people. */
function protectedRoutes() {
  const ways = execFileSync(appliance.binary, ["ways-in"], { encoding: "utf8" }).trim().split("\n");
  return ways.map((line) => line.split("\t")).filter(([, , , audit]) => audit.startsWith("data.disclosing"))
    .map(([, name]) => name.split(" "));
}

const ca = readFileSync(appliance.rootCertificate);
const as = async (who) => {
  const client = new Client(new URL(appliance.url), ca);
  await client.signIn(appliance.signIn(who));
  return client;
};

/** Intents and outcomes after `seq`, matched; every intent has to have its outcome. */
async function disclosures(after) {
  return until("each disclosure has its outcome", () => {
    const fresh = record().filter((entry) => entry.seq > after);
    const outcomes = new Map(fresh.filter(({ op }) => op === "data.disclosed").map((entry) => [entry.d.intent, entry.d]));
    const found = fresh.filter(({ op }) => op === "data.disclosing").map((entry) => ({ ...entry.d, outcome: outcomes.get(entry.seq) }));
    return found.every(({ outcome }) => outcome) && found;
  });
}

try {
  const admin = await as("admin");
  const people = await admin.get("/admin/people");
  const classes = await admin.get("/admin/classes");
  const number = (page, path) => new RegExp(`href="${path}/(\\d+)"`).exec(page.body)?.[1];
  const ids = { "/admin/people": number(people, "/admin/people"), "/admin/classes": number(classes, "/admin/classes") };
  ids["/admin/connections/people"] = ids["/admin/people"];
  const pupils = appliance.signIns().filter(({ role }) => role === "student").map(({ username }) => username);

  await scenario("mediation.5", "the bytes of protected objects that went over the socket are those in the record", async () => {
    const before = Math.max(...record().map(({ seq }) => seq));
    const served = [];
    for (const [method, route] of protectedRoutes()) {
      const path = route.replace(/^(.*?)\/\{id\}/, (_, start) => `${start}/${ids[start] ?? "g1"}`);
      const answer = method === "GET" ? await admin.get(path) : await admin.post(path, { list: "name;username;role\nA;b.c;student" }, "/admin/people/import");
      check([200, 404, 422, 400].includes(answer.status), `${method} ${path}: ${answer.status}`);
      served.push({ route: asWord(route), bytes: answer.bodyBytes, status: answer.status });
    }
    const logged = (await disclosures(before)).filter(({ route }) => served.some((one) => one.route === route));
    check(served.length >= 8, `only ${served.length} protected routes`);
    check(logged.length === served.length, `${served.length} were served, ${logged.length} are in the record`);
    let difference = 0;
    for (const [index, one] of served.entries()) {
      const { route, outcome } = logged[index];
      check(route === one.route && outcome.whole && outcome.status === one.status, `${one.route}: ${JSON.stringify(logged[index])}`);
      difference += Math.abs(outcome.bytes - one.bytes);
    }
    figure("mediation_bytes_served", served.reduce((sum, { bytes }) => sum + bytes, 0), "bytes");
    figure("mediation_bytes_difference", difference, "bytes");
    check(difference === 0, `${difference} bytes differ`);
    check(served.some(({ bytes }) => bytes > 4_000) && pupils.some((name) => people.body.includes(name)), "nobody was shown");
  });

  await scenario("mediation.6", "who gives up in the middle is in the record, too", async () => {
    const before = Math.max(...record().map(({ seq }) => seq));
    const received = await admin.giveUp("/admin/people");
    const [{ outcome }] = await disclosures(before);
    check(outcome.bytes >= received, `${received} bytes came, ${outcome.bytes} are in the record`);
  });

  await scenario("mediation.7", "whom it is not for sees nothing, and the attempt is in the record", async () => {
    const student = await as("student");
    const refusedBefore = events("auth.access_refused").length;
    const shownBefore = events("data.disclosing").length;
    for (const [method, route] of protectedRoutes().filter(([one]) => one === "GET")) {
      const answer = await student.get(route.replace("{id}", "1"));
      check(answer.status === 403, `${method} ${route}: ${answer.status}`);
      check(!pupils.slice(1).some((name) => answer.body.includes(name)), `${route} shows names`);
    }
    const gets = protectedRoutes().filter(([one]) => one === "GET").length;
    await until("the refusals are in the record", () => events("auth.access_refused").length >= refusedBefore + gets);
    check(events("data.disclosing").length === shownBefore, "something was shown");
  });

  await scenario("mediation.8", "while the record cannot be written nothing is shown, and then it is again", async () => {
    const holder = spawn(python, ["-c", HOLD_RECORD, database], { stdio: ["pipe", "pipe", "inherit"] });
    await new Promise((resolve) => holder.stdout.once("data", resolve));
    const answer = await admin.get("/admin/people");
    check(answer.status === 503, `it answered ${answer.status}`);
    check(!pupils.some((name) => answer.body.includes(name)), "names were shown");
    holder.stdin.end();
    await until("people are shown again", async () => (await admin.get("/admin/people")).status === 200);
  });
  await scenario("mediation.9", "evidence from the page is found good by the verifier, and not with a byte changed", async () => {
    const [fingerprint] = /SHA256:[A-Za-z0-9+/]+/.exec((await admin.get("/admin/record/evidence")).body);
    const taken = await admin.post("/admin/record/evidence", { level: "auditor", nonce: "00ff", count: "5" }, "/admin/record/evidence");
    check(taken.status === 200, `it answered ${taken.status}`);
    const bundle = join(appliance.data, "evidence.zip");
    const verify = (bytes) => {
      writeFileSync(bundle, bytes);
      return spawnSync(process.env.BELFRY_VERIFY, [bundle, "--root", fingerprint], { encoding: "utf8" });
    };
    const sound = verify(taken.bytes);
    check(sound.status === 0, `${sound.status}: ${sound.stdout}${sound.stderr}`);
    const changed = Buffer.from(taken.bytes);
    changed[Math.floor(changed.length / 2)] ^= 1;
    check(verify(changed).status !== 0, "a changed byte was not noticed");
  });
  await scenario("mediation.14", "an auditor reads the record and takes evidence of it, and reaches nothing else", async () => {
    const auditor = new Client(new URL(appliance.url), ca);
    await auditor.signIn(appliance.signIns().find(({ role }) => role === "auditor"));
    const csrf = /name="csrf" value="([^"]+)"/.exec((await auditor.get("/admin/record")).body)[1];
    const ways = execFileSync(appliance.binary, ["ways-in"], { encoding: "utf8" }).trim().split("\n").map((line) => line.split("\t"));
    const refusedBefore = events("auth.access_refused").length;
    let refused = 0;
    for (const [kind, name, who] of ways.filter(([one]) => ["page", "api", "app", "socket"].includes(one))) {
      if (/auditor|anybody|signed-in|token/.test(who)) continue;
      const [method, route] = name.split(" ");
      const answer = await auditor.request(method, route.replaceAll(/\{\*?\w+\}/g, "1"), method === "GET" ? {} : { form: { csrf } });
      check(answer.status === 403, `${kind} ${name}: ${answer.status}`);
      check(!pupils.some((pupil) => answer.body.includes(pupil)), `${name} shows names`);
      refused += 1;
    }
    check(refused > 40, `only ${refused} ways were tried`);
    figure("mediation_ways_refused_to_an_auditor", refused, "ways");
    await until("the refusals are in the record", () => events("auth.access_refused").length >= refusedBefore + refused);
    const taken = await auditor.post("/admin/record/evidence", { level: "auditor" }, "/admin/record/evidence");
    check(taken.status === 200, `evidence: ${taken.status}`);
    check((await auditor.post("/admin/record/evidence", { level: "full" }, "/admin/record/evidence")).status === 403, "all names went out");
    const signedIn = events("auth.stepped_up").at(-1).act.id;
    check(events("evidence.exporting").at(-1).act.id === signedIn, "the export is not the auditor's");
  });
} finally {
  await appliance.stop();
}
report();
