// The appliance as a real process with a fresh data directory, and how to hurt it.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { School } from "./network.mjs";
import { until } from "./wait.mjs";

const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 15_000;

const HTTPS_PORT = 443;
const MEDIA_PORT = 3478;

const READ_KEPT_LESSONS = `
import json, sqlite3, sys
database = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
rows = database.execute("SELECT snapshot FROM lesson WHERE snapshot IS NOT NULL")
print(json.dumps([json.loads(state) for (state,) in rows]))
`;

export class Appliance {
  /** `binary`: the built `belfry`; `extra`: further arguments of `serve`; `school`: the network that it is in. */
  static async start({ binary = process.env.BELFRY_BINARY, extra = [], school } = {}) {
    const appliance = new Appliance();
    appliance.binary = binary;
    appliance.extra = extra;
    appliance.data = mkdtempSync(join(tmpdir(), "belfry-test-"));
    appliance.school = school ?? School.create();
    try {
      await appliance.launch();
    } catch (error) {
      appliance.school.remove();
      throw error;
    }
    return appliance;
  }

  /** Starts the process on its data directory, and waits until it says that it runs. */
  async launch() {
    this.console = "";
    const serve = ["serve", "--demo", "--data", this.data, "--https-port", HTTPS_PORT, "--media-port", MEDIA_PORT];
    const inside = ["netns", "exec", this.school.namespace, this.binary];
    // The lessons of the suites have guests; a district has to allow them.
    const named = this.school.name ? { BELFRY_HTTPS_HOST_NAMES: this.school.name } : {};
    const env = { BELFRY_LESSON_GUEST_LINKS: "true", ...named, ...process.env };
    this.process = spawn("ip", [...inside, ...serve, ...this.extra], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.log = this.log ?? "";
    this.process.stdout.on("data", (text) => (this.console += text));
    this.process.stderr.on("data", (text) => (this.log += text));
    await until("the appliance runs", () => {
      if (this.process.exitCode !== null) throw new Error(`it ended: ${this.console}${this.log.slice(-2000)}`);
      return this.console.includes("Ctrl-C");
    }, START_DEADLINE_MS);
  }

  /** A sign-in that the console printed: "teacher", "student" or "admin". */
  signIn(who) {
    const line = new RegExp(`^\\s*${who}\\s+(\\S+) / (\\S+)\\s*$`, "im").exec(this.console);
    if (!line) throw new Error(`the console printed no sign-in of a ${who}: ${this.console}`);
    return { username: line[1], password: line[2] };
  }

  /** All sign-ins of the demo school, teachers first. */
  signIns() {
    const listed = execFileSync(this.binary, ["demo-sign-ins", "--data", this.data], { encoding: "utf8" });
    return listed.trim().split("\n").map((line) => {
      const [role, username, password] = line.trim().split(/\s+/);
      return { role, username, password };
    });
  }

  get url() {
    return `https://${this.school.name ?? this.school.address}`;
  }

  get rootCertificate() {
    return join(this.data, "certs", "root.pem");
  }

  /** The states of lessons as the database holds them: what a kill at this moment leaves. */
  keptLessons() {
    const rows = execFileSync(process.env.BELFRY_PYTHON, ["-c", READ_KEPT_LESSONS, join(this.data, "belfry.db")], { encoding: "utf8" });
    return JSON.parse(rows);
  }

  /** Resets every TCP connection of the appliance: all sockets of all lessons are cut at once. */
  cutSockets() {
    this.school.inside("ss", "--kill", "--no-header", "state", "established", "sport", "=", `:${HTTPS_PORT}`);
  }

  /** Process id of the media process, a child of ours. */
  mediaPid() {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        const parent = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        if (parent === this.process.pid && command.includes("media")) return Number(pid);
      } catch {
        // The process ended while we looked.
      }
    }
    return null;
  }

  /** Kills the media process and waits until another one runs. */
  async killMedia() {
    const before = this.mediaPid();
    if (!before) throw new Error("no media process runs");
    process.kill(before, "SIGKILL");
    await until("a new media process", () => {
      const now = this.mediaPid();
      return now && now !== before;
    });
  }

  /** Kills the whole appliance at once and starts it again on the same data. */
  async killAndRestart() {
    const ended = once(this.process, "exit");
    this.process.kill("SIGKILL");
    await ended;
    await this.launch();
  }

  /** Ctrl-C; the process has to end by itself and cleanly. What it kept stays. */
  async end() {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const ended = once(this.process, "exit");
      this.process.kill("SIGINT");
      const late = setTimeout(() => this.process.kill("SIGKILL"), STOP_DEADLINE_MS);
      await ended;
      clearTimeout(late);
    }
    const status = this.process.exitCode;
    if (status !== 0) throw new Error(`the appliance ended with ${status ?? this.process.signalCode}`);
  }

  /** Ends it and removes the data. */
  async stop() {
    try {
      await this.end();
    } finally {
      this.school.remove();
      if (existsSync(this.data)) rmSync(this.data, { recursive: true });
    }
  }
}
