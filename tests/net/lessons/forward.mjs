// Brings a TCP port of a site's loopback to the same port here, for the debugging of a browser that runs there.
//
// Run as a program (inside the site): `node forward.mjs SOCKET PORT` connects each client of a Unix socket to the port.

import { spawn } from "node:child_process";
import { createServer, connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

function pipe(one, other) {
  one.pipe(other).pipe(one);
  one.on("error", () => other.destroy());
  other.on("error", () => one.destroy());
}

const listen = (server, where) => new Promise((resolve, reject) => server.once("error", reject).listen(where, resolve));

/** A free port here that leads to the same one in the site. */
export async function forwarded(site) {
  const socket = join(site.district.folder, `${site.device}.sock`);
  const server = createServer((client) => pipe(client, connect(socket)));
  await listen(server, { host: "127.0.0.1", port: 0 });
  const { port } = server.address();
  const inside = spawn("ip", ["netns", "exec", site.namespace, process.execPath, fileURLToPath(import.meta.url), socket, port], {
    stdio: ["pipe", "inherit", "inherit"],
  });
  return {
    port,
    close() {
      server.close();
      inside.kill();
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [socket, port] = process.argv.slice(2);
  createServer((client) => pipe(client, connect({ host: "127.0.0.1", port: Number(port) }))).listen(socket);
  // It goes when the test goes.
  process.stdin.on("end", () => process.exit()).resume();
}
