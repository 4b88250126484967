// A class full of students: each signed in and on the class socket, without media. Held by one Python process.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { until } from "./wait.mjs";

export async function startCrowd(appliance, lesson, accounts) {
  const child = spawn(process.env.BELFRY_PYTHON, ["tests/signalling/crowd.py", lesson.split("/").at(-1)], {
    cwd: process.env.BELFRY_ROOT_DIR,
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, BELFRY_URL: appliance.url, BELFRY_ROOT: appliance.rootCertificate },
  });
  let said = "";
  child.stdout.on("data", (text) => (said += text));
  child.stdin.write(accounts.map((one) => `${one.username} ${one.password}\n`).join("") + "\n");
  await until("the crowd is in the lesson", () => {
    if (child.exitCode !== null) throw new Error("the crowd ended");
    return said.includes("all in");
  }, 90_000);
  return {
    async stop() {
      child.stdin.end();
      await once(child, "exit");
    },
  };
}
