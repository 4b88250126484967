// What a page hears and sees of the others: quality, not only growth, from the statistics of its peer connections.

import { receivedTracks } from "../kit/media.mjs";

/** Sound flows when it has come for so many readings in a row, so far apart. */
const FLOW_READINGS = 4;
const FLOW_EVERY_MS = 250;

/** Waits until `count` tracks of sound flow without a break; the time (unix ms) when they began to. */
export async function flows(person, count, deadlineMs) {
  const begun = Date.now();
  const tracks = new Map();
  for (;;) {
    const at = Date.now();
    const rows = (await person.evaluate(receivedTracks)).filter(({ kind }) => kind === "audio");
    const flowing = rows.map((row) => {
      const key = `${row.ssrc}/${row.track}`;
      const known = tracks.get(key);
      const grows = known && row.bytes > known.bytes;
      const since = grows ? (known.since ?? at) : null;
      const run = grows ? known.run + 1 : 0;
      const quiet = grows ? known.quiet : row.energy;
      tracks.set(key, { bytes: row.bytes, since, run, quiet });
      return run >= FLOW_READINGS && row.energy > quiet ? since : null;
    });
    const since = flowing.filter((time) => time !== null).sort((one, other) => one - other);
    if (since.length >= count) return since[count - 1];
    if (at - begun > deadlineMs) {
      throw new Error(`${person.username}: ${count} sounds do not flow within ${deadlineMs} ms (${since.length} of ${rows.length} do)`);
    }
    await new Promise((resolve) => setTimeout(resolve, FLOW_EVERY_MS));
  }
}

/** Runs in every page before its own scripts: keeps the id that the server gives this participant, one a signalling socket. */
export function keepSids() {
  const kept = [];
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(...args) {
      super(...args);
      // The first frame is the JoinResponse, and in it the first participant is oneself.
      const note = ({ data }) => {
        if (!(data instanceof ArrayBuffer)) return;
        const sid = /PA_\w+/.exec(new TextDecoder("latin1").decode(data));
        if (sid) kept.push(sid[0]);
      };
      if (/\/rtc/.test(String(args[0]))) this.addEventListener("message", note, { once: true });
    }
  };
  Object.defineProperty(window, "keptSids", { value: kept });
}

/** Runs in the page: counters of each received track, and whether the page says that it is in the lesson. */
export async function reception() {
  const tracks = [];
  for (const connection of window.keptConnections) {
    if (connection.connectionState === "closed") continue;
    for (const stat of (await connection.getStats()).values()) {
      if (stat.type !== "inbound-rtp") continue;
      tracks.push({
        key: `${stat.ssrc}/${stat.trackIdentifier}`,
        kind: stat.kind,
        bytes: stat.bytesReceived ?? 0,
        samples: stat.totalSamplesReceived ?? 0,
        concealed: (stat.concealedSamples ?? 0) - (stat.silentConcealedSamples ?? 0),
        silent: stat.silentConcealedSamples ?? 0,
        freezes: stat.freezeCount ?? 0,
        frozen_s: stat.totalFreezesDuration ?? 0,
        frames: stat.framesDecoded ?? 0,
        height: stat.frameHeight ?? 0,
      });
    }
  }
  return { sid: window.keptSids.at(-1), tracks, text: document.body.innerText };
}

const COUNTERS = ["bytes", "samples", "concealed", "silent", "freezes", "frozen_s", "frames"];

/** Adds up what grows between readings, whatever tracks come and go. */
export class Sum {
  constructor() {
    this.last = new Map();
    this.audio = Object.fromEntries(COUNTERS.map((name) => [name, 0]));
    this.video = { ...this.audio };
    /** Heights of the picture, one a reading. */
    this.heights = [];
  }

  take({ tracks }) {
    for (const track of tracks) {
      const before = this.last.get(track.key);
      this.last.set(track.key, track);
      if (before) for (const name of COUNTERS) this[track.kind][name] += Math.max(0, track[name] - before[name]);
    }
    this.heights.push(Math.max(0, ...tracks.map((track) => track.height)));
  }

  /** Of the sound, the part that was made up; silence that was made up does not count. */
  get concealedPercent() {
    return (this.audio.concealed / Math.max(1, this.audio.samples)) * 100;
  }
}
