// The record under a user of its own: whoever takes over the process that speaks with browsers can add to it, not rewrite it.
//
// Environment: BELFRY_BINARY, BELFRY_PYTHON. To be run by root: each process runs as a user of its own.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { report, scenario } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { Client } from "./client.mjs";
import { check, readRecord } from "./record.mjs";

// Users without a name, as the processes of a service have them.
const LEDGER = 65_401;
const CONTROL = 65_402;
const OTHER = 65_403;
const GROUP = 65_410;

/** Says which of the files may be read and which may be written. */
const MAY = `
import os, sys
print(*(f"{os.path.basename(path)}:{'r' * os.access(path, os.R_OK)}{'w' * os.access(path, os.W_OK)}" for path in sys.argv[1:]))
`;
/** Asks to be let in to the record's socket, and says how many bytes came back. */
const KNOCK = `
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.settimeout(20)
line.connect(sys.argv[1])
try:
    line.sendall(bytes([0, 0, 0, 2, 0, 1]))
    print(len(line.recv(64)))
except ConnectionError:
    print(0)
`;

const base = mkdtempSync(join(tmpdir(), "belfry-apart-"));
chmodSync(base, 0o755);
const folder = (name, user, mode) => {
  const path = join(base, name);
  mkdirSync(path);
  chownSync(path, user, GROUP);
  chmodSync(path, mode);
  return path;
};
const record = folder("record", LEDGER, 0o2750);
const run = folder("run", LEDGER, 0o2750);
const data = folder("data", CONTROL, 0o700);
const [database, socket] = [join(record, "audit.db"), join(run, "ledger.sock")];
// Where the binary was built only root may look.
const binary = join(base, "belfry");
copyFileSync(process.env.BELFRY_BINARY, binary);

const asUser = (user) => [`--reuid=${user}`, `--regid=${GROUP}`, "--clear-groups"];
// What root has installed for itself no other user may run.
const PATH = "/usr/bin:/bin";
const ask = (user, code, ...words) =>
  execFileSync("setpriv", [...asUser(user), "python3", "-c", code, ...words], { encoding: "utf8", env: { PATH } }).trim();
const freePort = async () => {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return String(port);
};

const running = new Set();
function start(user, words, env = {}) {
  const child = spawn("setpriv", [...asUser(user), "sh", "-c", 'umask 077; exec "$@"', "sh", binary, ...words], {
    env: { PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  child.said = "";
  child.stdout.on("data", (text) => (child.said += text));
  child.stderr.on("data", (text) => (child.said += text));
  child.once("exit", () => running.delete(child));
  return child;
}
const startLedger = async () => {
  const child = start(LEDGER, ["ledger", "serve", "--data", record, "--socket", socket, "--may", String(CONTROL)]);
  await until("the record's process is ready", () => {
    if (child.exitCode !== null) throw new Error(child.said);
    return child.said.includes("sandboxed");
  });
  return child;
};
const end = async (child, signal) => {
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
};
const entries = () => readRecord(database);
const signedIn = () => entries().filter(({ op }) => op === "auth.signed_in").length;

try {
  let ledger = await startLedger();
  const [https, media, tcp] = [await freePort(), await freePort(), await freePort()];
  const control = start(CONTROL, ["serve", "--demo", "--data", data, "--https-port", https, "--media-port", media], {
    BELFRY_LEDGER_RECORD: database,
    BELFRY_LEDGER_SOCKET: socket,
    BELFRY_MEDIA_ICE_TCP_PORT: tcp,
  });
  await until("the appliance runs", () => {
    if (control.exitCode !== null) throw new Error(control.said);
    return control.said.includes("Ctrl-C");
  }, 60_000);
  const [, username, password] = /^\s*Admin\s+(\S+) \/ (\S+)\s*$/m.exec(control.said);
  const admin = () => new Client(new URL(`https://localhost:${https}`), readFileSync(join(data, "certs", "root.pem")));
  const office = admin();

  await scenario("mediation.20", "the record's process has a user of its own; the control process may read and append, and not rewrite", async () => {
    await office.signIn({ username, password });
    check((await office.get("/admin/people")).status === 200, "people are not shown");
    const senders = new Set(entries().map(({ via }) => via));
    check(senders.size === 1 && senders.has(CONTROL), `sent by ${[...senders]}`);
    const may = ask(CONTROL, MAY, database, `${database}-wal`, join(record, "audit.key"), record);
    const checked = await office.post("/admin/record/verify", {}, "/admin/record/evidence");
    check(checked.body.includes("The log is sound"), `${checked.status}: ${checked.body}`);
    const taken = await office.post("/admin/record/evidence", { level: "auditor" }, "/admin/record/evidence");
    check(taken.status === 200 && taken.bodyBytes > 10_000, `${taken.status}: no evidence`);
    check(may === "audit.db:r audit.db-wal:r audit.key: record:r", may);
  });

  await scenario("mediation.21", "a process of another user has nothing recorded", async () => {
    const before = entries().length;
    check(ask(OTHER, KNOCK, socket) === "0", "it was answered");
    check(Number(ask(CONTROL, KNOCK, socket)) > 0, "the control process's user is not answered");
    await until("it is told in the log", () => ledger.said.includes("may not record") && ledger.said.includes(String(OTHER)));
    check(entries().length === before, "something was recorded");
  });

  await scenario("mediation.22", "while the record's process is gone lessons and sign-ins go on, nothing is shown, and then nothing is missing", async () => {
    await end(ledger, "SIGKILL");
    const before = signedIn();
    const another = admin();
    await another.signIn({ username, password });
    const answer = await another.get("/admin/people");
    check(answer.status === 503, `it answered ${answer.status}`);
    ledger = await startLedger();
    await until("people are shown again", async () => (await another.get("/admin/people")).status === 200);
    await until("the sign-in is in the record", () => signedIn() === before + 1);
  });

  await scenario("mediation.23", "both end when they are told to, and the record is whole", async () => {
    await end(control, "SIGTERM");
    await end(ledger, "SIGTERM");
    check(control.exitCode === 0 && ledger.exitCode === 0, `${control.said}${ledger.said}`);
    check(entries().at(-1).op === "appliance.stopped", "its end is not in the record");
    execFileSync(binary, ["ledger", "verify", "--data", record], { encoding: "utf8" });
  });
} finally {
  for (const child of running) child.kill("SIGKILL");
  rmSync(base, { recursive: true });
}
report();
