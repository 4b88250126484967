// A client that counts what comes out of its socket.

import { connect } from "node:tls";

export class Client {
  constructor(url, ca) {
    Object.assign(this, { url, ca, cookies: new Map() });
  }

  /** One request on a connection of its own; everything that came is kept. */
  request(method, path, { form, onData } = {}) {
    const body = form ? new URLSearchParams(form).toString() : "";
    const head = [
      `${method} ${path} HTTP/1.1`, `host: ${this.url.host}`, "connection: close", "accept: application/json",
      `origin: ${this.url.origin}`, "sec-fetch-site: same-origin",
      `cookie: ${[...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ")}`,
      ...(form ? ["content-type: application/x-www-form-urlencoded", `content-length: ${Buffer.byteLength(body)}`] : []),
    ];
    return new Promise((resolve, reject) => {
      const name = /^[\d.]+$|:/.test(this.url.hostname) ? {} : { servername: this.url.hostname };
      const socket = connect({ host: this.url.hostname, port: Number(this.url.port || 443), ca: this.ca, ...name });
      const chunks = [];
      socket.on("secureConnect", () => socket.write(`${head.join("\r\n")}\r\n\r\n${body}`));
      socket.on("data", (chunk) => chunks.push(chunk) && onData?.(socket, chunks));
      socket.on("error", reject);
      socket.on("close", () => resolve(this.read(Buffer.concat(chunks))));
    });
  }

  read(bytes) {
    const end = bytes.indexOf("\r\n\r\n");
    const [status, ...headers] = bytes.subarray(0, Math.max(end, 0)).toString("latin1").split("\r\n");
    for (const header of headers) {
      const set = /^set-cookie: ([^=]+)=([^;]*)/i.exec(header);
      if (set) this.cookies.set(set[1], set[2]);
      // What is counted below has to be the body as it was sent.
      if (/^transfer-encoding:/i.test(header)) throw new Error("the body came in chunks");
    }
    const body = bytes.subarray(end < 0 ? bytes.length : end + 4);
    return { status: Number(status?.split(" ")[1]), headers, bytes: body, bodyBytes: body.length, body: body.toString("utf8") };
  }

  get(path) {
    return this.request("GET", path);
  }

  /** Posts a form with the token that stands in the form of a page. */
  async post(path, form, page) {
    const csrf = /name="csrf" value="([^"]+)"/.exec((await this.get(page)).body)?.[1];
    return this.request("POST", path, { form: { csrf, ...form } });
  }

  async signIn({ username, password }) {
    await this.request("POST", "/sign-in", { form: { username, password } });
    const answer = await this.post("/step-up", { password }, "/step-up");
    if (answer.status >= 400) throw new Error(`${username} cannot sign in: ${answer.status}`);
  }

  /** Ends the connection at the first bytes of the body; how many of them came. */
  async giveUp(path) {
    const answer = await this.request("GET", path, {
      onData: (socket, chunks) => Buffer.concat(chunks).includes("\r\n\r\n") && socket.destroy(),
    });
    return answer.bodyBytes;
  }
}
