// Runs the SignalClient suite of livekit-client's npm package, as it ships, against a fault server.
//
//   node run.mjs FAULT_SERVER

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, readFileSync, rmSync } from "node:fs";

// The package as it ships, outside of node_modules, where vitest would not look for tests; its sources read its package.json.
rmSync("suite", { recursive: true, force: true });
for (const part of ["src", "package.json"]) cpSync(`node_modules/livekit-client/${part}`, `suite/${part}`, { recursive: true });

const server = spawn(process.argv[2], { stdio: ["ignore", "pipe", "inherit"] });
const [said] = await once(server.stdout, "data");
const [url] = /ws:\/\/\S+/.exec(said.toString());
const run = spawnSync("npx", ["vitest", "run"], { stdio: "inherit", env: { ...process.env, LK_TEST_SERVER_URL: url } });
server.kill();

const result = JSON.parse(readFileSync("result.json", "utf8"));
const { numPassedTests: passed, numTotalTests: total, numPendingTests: skipped } = result;
console.log(`SignalClient: ${passed} of ${total} passed, ${skipped} skipped`);
// The suite of 2.23.0 has 35 tests; fewer would mean that something was not run.
process.exitCode = run.status === 0 && passed === total && total >= 35 ? 0 : 1;
