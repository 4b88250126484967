// Records what Chromium's encoders send, as RTP, before encryption: `node record.mjs [codec]`, with `chromium` on the path.
// A file is packets, one after the other: milliseconds since the first (u32), length on the wire (u16), length of
// what is kept (u16), and the beginning of the packet, all big-endian. Pixels are cut off: nobody decodes them here.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const RECORDINGS = [
  ["vp8", "L1T3"],
  ["vp9", "L3T3_KEY"],
  ["vp9", "L3T3"],
  ["av1", "L3T3_KEY"],
  ["av1", "L1T3"],
  ["h264", "L1T3"],
];
const SECONDS = 16;
const MEDIA_SECONDS = 4;
const PAYLOAD_BYTES_KEPT = 32;

const here = fileURLToPath(new URL(".", import.meta.url));

function capture(codec, mode) {
  const profile = mkdtempSync(join(tmpdir(), "recording-"));
  const flags = [
    "--headless=new", "--no-sandbox", "--disable-gpu", `--user-data-dir=${profile}`,
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--allow-file-access-from-files",
    "--force-fieldtrials=WebRTC-Debugging-RtpDump/Enabled/", "--enable-logging=stderr", "--vmodule=*/webrtc/*=3",
  ];
  const browser = spawn("chromium", [...flags, `file://${here}page.html?codec=${codec}&mode=${mode}`], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const chunks = [];
  browser.stderr.on("data", (chunk) => chunks.push(chunk));
  setTimeout(() => browser.kill(), SECONDS * 1_000);
  return new Promise((done) => browser.on("close", () => {
    rmSync(profile, { recursive: true, force: true });
    done(Buffer.concat(chunks).toString("latin1"));
  }));
}

function headerBytes(packet) {
  const fixed = 12 + (packet[0] & 0x0f) * 4;
  return packet[0] & 0x10 ? fixed + 4 + packet.readUInt16BE(fixed + 2) * 4 : fixed;
}

function pack(log) {
  const records = [];
  let begin, type, source;
  for (const [, seconds, hex] of log.matchAll(/^O \d+:\d+:([\d.]+) 0000((?: [0-9a-f]{2})+)/gm)) {
    const packet = Buffer.from(hex.replaceAll(" ", ""), "hex");
    // The log counts seconds only.
    let time = Number(seconds) * 1_000;
    if (time < begin) time += 60_000;
    // Media is what comes first, but for padding (which has its flag) and RTCP; repeats have a type of their own.
    if (packet[0] & 0x20 || (packet[1] >= 192 && packet[1] <= 223)) continue;
    type ??= packet[1] & 0x7f;
    source ??= packet.readUInt32BE(8);
    if ((packet[1] & 0x7f) !== type || packet.readUInt32BE(8) !== source) continue;
    begin ??= time;
    if (time - begin > MEDIA_SECONDS * 1_000) break;
    const kept = packet.subarray(0, headerBytes(packet) + PAYLOAD_BYTES_KEPT);
    const head = Buffer.alloc(8);
    head.writeUInt32BE(Math.round(time - begin), 0);
    head.writeUInt16BE(packet.length, 4);
    head.writeUInt16BE(kept.length, 6);
    records.push(head, kept);
  }
  return Buffer.concat(records);
}

const only = process.argv[2];
for (const [codec, mode] of RECORDINGS.filter(([codec]) => !only || codec === only)) {
  const packed = pack(await capture(codec, mode));
  writeFileSync(join(here, `${codec}-${mode.toLowerCase()}.rtp`), packed);
}
