// A person is used in every way that leaves something, and erased: then their names are looked for in every file.
//
// Environment: BELFRY_BINARY, BELFRY_PYTHON, BELFRY_VERIFY (the built verifier).

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Appliance } from "../kit/appliance.mjs";
import { figure, report, scenario } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { Client } from "./client.mjs";
import { check } from "./record.mjs";

const python = process.env.BELFRY_PYTHON;

// Unguessable letters: whatever holds them holds something of this person.
const letters = (count) => [...randomBytes(count)].map((byte) => String.fromCharCode(97 + (byte % 26))).join("");
const unique = { user: `q${letters(11)}`, name: `Q${letters(11)}`, before: `Z${letters(11)}`, says: `w${letters(11)}` };

const appliance = await Appliance.start();
const ca = readFileSync(appliance.rootCertificate);
const as = async (signIn) => {
  const client = new Client(new URL(appliance.url), ca);
  await client.signIn(signIn);
  return client;
};

/** Every file below a folder with its bytes. */
function* files(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else if (entry.isFile()) yield [path, readFileSync(path)];
  }
}

let searched = 0;

/** Where any of the person's words stands, in UTF-8 or UTF-16, in whatever case: `word: file`. */
function found(extra = []) {
  const hits = [];
  let bytes = 0;
  for (const [path, content] of [...files(appliance.data), ...extra]) {
    bytes += content.length;
    // Latin 1 keeps each byte as one character, and the words are ASCII.
    const text = content.toString("latin1").toLowerCase();
    for (const word of Object.values(unique).map((one) => one.toLowerCase())) {
      const forms = [word, [...word].join("\0")];
      if (forms.some((form) => text.includes(form))) hits.push(`${word}: ${path}`);
    }
  }
  searched = bytes;
  return hits;
}

const logs = () => [["console", Buffer.from(appliance.console)], ["log", Buffer.from(appliance.log)]];
const id = async (admin) => /href="\/admin\/people\/(\d+)"/.exec((await admin.get(`/admin/people?q=${unique.user}`)).body)?.[1];

try {
  const admin = await as(appliance.signIn("admin"));
  const password = `${letters(8)} ${letters(8)} 7`;
  let number, lesson;

  await scenario("mediation.10", "a person is imported, renamed, teaches, writes, is looked up: the names are in the files", async () => {
    // A name that nobody has yet stands beside the refusal, and is found by it when its owner is erased.
    await new Client(new URL(appliance.url), ca).request("POST", "/sign-in", { form: { username: unique.user, password: "a guess" } });
    const list = `name;username;role;class\n${unique.before} One;${unique.user};teacher;Rocks 4b\n`;
    const made = await admin.post("/admin/people/import/apply", { csv: list }, "/admin/people/import");
    const first = new RegExp(`${unique.user}</td>[^]*?>([^<]{8,})</td>`).exec(made.body)?.[1];
    check(first, `no first password in ${made.body.slice(-2000)}`);
    number = await id(admin);
    const renamed = await admin.post(`/admin/people/${number}`, { name: `${unique.name} Two`, username: unique.user, role: "teacher" }, `/admin/people/${number}`);
    check(renamed.status === 303, `renaming: ${renamed.status}`);
    const person = new Client(new URL(appliance.url), ca);
    await person.request("POST", "/sign-in", { form: { username: unique.user, password: "not the password" } });
    await person.request("POST", "/sign-in", { form: { username: unique.user, password: first } });
    const chosen = await person.post("/account/password", { current: first, new: password, repeat: password }, "/account/password");
    check(chosen.status === 303, `choosing a password: ${chosen.status} ${chosen.body.slice(0, 500)}`);
    const env = { ...process.env, PYTHONPATH: "tests/signalling", BELFRY_URL: appliance.url, BELFRY_ROOT: appliance.rootCertificate,
      TEACHER: unique.user, TEACHER_PASSWORD: password, TEACHER_SAYS: `${unique.says} is what ${unique.name} says` };
    lesson = spawn(python, ["tests/mediation/teach.py"], { env, stdio: ["pipe", "pipe", "inherit"] });
    lesson.said = "";
    lesson.stdout.on("data", (text) => (lesson.said += text));
    await until("the person has written", () => lesson.said.includes("said"));
    const known = (await admin.get(`/admin/record?about=p${number}`)).body;
    check(known.includes(`Then known as ${unique.before} One`) && known.includes(`Then known as ${unique.name} Two`), "the log does not say who it was");
    // As an update leaves it: the database before its migrations.
    const copy = "import sqlite3, sys\nsqlite3.connect(sys.argv[1]).execute('VACUUM INTO ?', [sys.argv[1] + '.before-9'])";
    execFileSync(python, ["-c", copy, join(appliance.data, "belfry.db")]);
    writeFileSync(join(appliance.data, "belfry.db.copying"), Buffer.from(unique.name, "utf16le"));
    await until("all four words are in files", () => Object.values(unique).every((word) => found().some((hit) => hit.startsWith(word.toLowerCase()))));
    for (const part of ["belfry.db", "audit.db", "belfry.db.before-9", "belfry.db.copying"]) {
      check(found().some((hit) => hit.replace(/-wal$/, "").endsWith(`/${part}`)), `nothing was found in ${part}`);
    }
  });

  const erase = (form) => admin.post(`/admin/people/${number}/erase`, { reason: "asked", ...form }, `/admin/people/${number}/erase`);
  await scenario("mediation.11", "nobody in a running lesson is erased; afterwards two steps do it", async () => {
    const refused = await erase({ sure: "yes", username: unique.user });
    check(refused.status === 422 && refused.body.includes("End that lesson"), `${refused.status}`);
    lesson.stdin.end("\n");
    await until("the lesson has ended", () => lesson.said.includes("ended"));
    await until("and is not running any more", async () => (await erase({})).status === 200);
    const wrong = await erase({ sure: "yes", username: "admin" });
    check(wrong.status === 422 && (await id(admin)) === number, "a wrong user name erased");
    const done = await erase({ sure: "yes", username: unique.user });
    check(done.status === 303 && done.headers.some((one) => /done=person-erased$/.test(one)), `${done.status} ${done.headers}`);
  });

  await scenario("mediation.12", "then the names are in no file: databases, write-ahead logs, copies, logs; the log says erased person", async () => {
    const left = found(logs());
    check(left.length === 0, left.join("\n"));
    figure("erased_bytes_searched", searched, "bytes");
    check(!readdirSync(appliance.data).some((name) => name.startsWith("belfry.db.")), "a copy is left");
    check(statSync(join(appliance.data, "belfry.db-wal")).isFile(), "the appliance is not running");
    const history = await admin.get(`/admin/record?about=p${number}`);
    check(history.body.includes(`erased person ${number}`) && history.body.includes("a parent asked for it"), history.body);
    check(history.body.includes("The names that stood here were erased."), history.body);
    check((await admin.get(`/admin/people/${number}`)).status === 404, "the account's page is still there");
    // The look at the history must not have brought anything back.
    check(found(logs()).length === 0, "the names came back");
  });

  await scenario("mediation.13", "the log is as provable as before, in the appliance and in a bundle", async () => {
    const [fingerprint] = /SHA256:[A-Za-z0-9+/]+/.exec((await admin.get("/admin/record/evidence")).body);
    const taken = await admin.post("/admin/record/evidence", { level: "full" }, "/admin/record/evidence");
    check(taken.status === 200, `it answered ${taken.status}`);
    const bundle = join(appliance.data, "evidence.zip");
    writeFileSync(bundle, taken.bytes);
    const verified = spawnSync(process.env.BELFRY_VERIFY, [bundle, "--root", fingerprint], { encoding: "utf8" });
    check(verified.status === 0, `${verified.status}: ${verified.stdout}${verified.stderr}`);
    const unzipped = execFileSync(python, ["-c", "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nsys.stdout.buffer.write(b''.join(z.read(n) for n in z.namelist()))", bundle], { maxBuffer: 1 << 28 });
    check(found([["bundle", unzipped]]).length === 0, "a bundle holds the names");
    await appliance.end();
    const sound = execFileSync(appliance.binary, ["ledger", "verify", "--data", appliance.data], { encoding: "utf8" });
    check(sound.includes("The record is whole"), sound);
    const left = found(logs());
    check(left.length === 0, left.join("\n"));
  });
} finally {
  await appliance.stop();
}
report();
