// A process watched from outside: memory and CPU time from /proc, once a second.

import { readFileSync } from "node:fs";

/** USER_HZ, which Linux fixes at 100 for /proc. */
const TICKS_PER_SECOND = 100;
const INTERVAL_MS = 1_000;

/** Resident memory of a process now. */
export function residentKb(pid) {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
}

/** User and system time of all its threads, in seconds. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

export class Watch {
  constructor(name, pid) {
    Object.assign(this, { name, pid, memory: [residentKb(pid)], cpuAtStart: cpuSeconds(pid), start: Date.now() });
    this.timer = setInterval(() => this.sample(), INTERVAL_MS);
  }

  sample() {
    try {
      this.memory.push(residentKb(this.pid));
    } catch {
      this.gone = true;
      clearInterval(this.timer);
    }
  }

  /** Ends the watch: mean RSS of its middle and last third, CPU seconds a second. */
  stop() {
    clearInterval(this.timer);
    if (this.gone) throw new Error(`the ${this.name} process ${this.pid} is gone`);
    const third = Math.floor(this.memory.length / 3);
    return {
      seconds: (Date.now() - this.start) / 1000,
      cpu: (cpuSeconds(this.pid) - this.cpuAtStart) / ((Date.now() - this.start) / 1000),
      middleKb: mean(this.memory.slice(third, 2 * third)),
      lastKb: mean(this.memory.slice(-third)),
    };
  }
}
