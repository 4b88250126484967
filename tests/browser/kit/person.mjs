// A person at a browser: what they see and press is found by role and name, as a screen reader would.

import { grown, receivedTracks } from "./media.mjs";
import { sendCommand } from "./sockets.mjs";
import { until } from "./wait.mjs";

const ANSWER_MS_MAX = 10_000;

/** Runs in the page: the text of everything that is shown, and names of what can be pressed. */
function visibleText() {
  const labels = [...document.querySelectorAll("[aria-label]")].map((element) => element.getAttribute("aria-label"));
  return `${document.body.innerText}\n${labels.join("\n")}`;
}

class Person {
  constructor(page, url, username) {
    Object.assign(this, { page, url, username });
  }

  evaluate(run, ...args) {
    return this.page.evaluate(run, ...args);
  }

  async signIn({ username, password }) {
    this.username = username;
    await this.page.goto(`${this.url}/sign-in`);
    await this.fill("User name", username);
    await this.fill("Password", password);
    await this.press("Sign in");
    this.me = await until(`${username} is signed in`, () =>
      this.evaluate(async () => {
        // The form's own way to the next page comes first: another one would cut into it.
        if (location.pathname === "/sign-in" || document.readyState !== "complete") return null;
        const answer = await fetch("/app/api/me");
        return answer.ok ? answer.json() : null;
      }),
    );
  }

  /** Waits until a text (or name) is there. */
  see(text, deadlineMs) {
    const found = (all) => (text instanceof RegExp ? text.test(all) : all.includes(text));
    return until(`${this.username} sees ${text}`, async () => found(await this.evaluate(visibleText)), deadlineMs);
  }

  async sees(text) {
    const all = await this.evaluate(visibleText);
    return text instanceof RegExp ? text.test(all) : all.includes(text);
  }

  /** Waits until a text is gone. */
  miss(text, deadlineMs) {
    return until(`${this.username} no longer sees ${text}`, async () => !(await this.sees(text)), deadlineMs);
  }

  tracks() {
    return this.evaluate(receivedTracks);
  }

  /** Waits until at least `count` received tracks of a kind have grown since now. */
  async receives(kind, count, deadlineMs) {
    const before = [];
    const since = new Map();
    return until(`${this.username} receives ${count} growing ${kind} tracks`, async () => {
      const now = await this.tracks();
      for (const row of now) {
        const key = `${row.ssrc}/${row.track}`;
        if (!since.has(key)) since.set(key, row) && before.push(row);
      }
      const rows = grown(kind, before, now);
      if (rows.length >= count) return rows;
      throw new Error(`${rows.length} of ${JSON.stringify(now.filter((row) => row.kind === kind))}`);
    }, deadlineMs);
  }

  /** Says a command on the page's own class socket (pages with the script "sockets"); "done", or why it was refused. */
  command(command) {
    return this.evaluate(sendCommand, command);
  }

  /** Who this person is on the wires (pages with the script "sockets"). */
  identity() {
    return this.evaluate(() => window.classIdentity);
  }

  /** Waits until one known track stands still over several readings. */
  async standsStill(track, measure) {
    let last = -1;
    let still = 0;
    await until(`${this.username}: ${measure} of a track stands still`, async () => {
      const row = (await this.tracks()).find((one) => one.ssrc === track.ssrc);
      const value = row ? row[measure] : last;
      still = value === last ? still + 1 : 0;
      last = value;
      return still >= STILL_READINGS;
    });
  }
}

/** Ten readings of 100 ms each without a change: a second of silence. */
const STILL_READINGS = 10;

/** Someone at Chromium (Playwright). */
export class ChromiumPerson extends Person {
  press(name, role = "button") {
    return this.page.getByRole(role, { name, exact: true }).first().click();
  }

  pressStarting(prefix, role = "button") {
    return this.page.getByRole(role, { name: new RegExp(`^${prefix}`) }).first().click();
  }

  double(prefix) {
    return this.page.getByRole("button", { name: new RegExp(`^${prefix}`) }).first().dblclick();
  }

  fill(label, text) {
    return this.page.getByLabel(label, { exact: true }).first().fill(text);
  }

  choose(label, option) {
    return this.page.getByLabel(label, { exact: true }).first().selectOption({ label: option });
  }

  reload() {
    return this.page.reload();
  }
}

/** Runs in the page: the shown element with a role and an accessible name, as far as these pages use them. */
function findByName(role, name, prefix) {
  const selectors = {
    button: "button, [role=button]",
    menuitem: "[role=menuitem]",
    checkbox: "input[type=checkbox]",
    radio: "input[type=radio]",
    field: "input, textarea, select",
  };
  const nameOf = (element) => {
    const label = element.getAttribute("aria-label") ?? element.labels?.[0]?.innerText ?? element.innerText;
    return (label ?? "").trim();
  };
  const shown = (element) => element.getClientRects().length > 0;
  return [...document.querySelectorAll(selectors[role])].find(
    (element) => shown(element) && (prefix ? nameOf(element).startsWith(name) : nameOf(element) === name),
  );
}

/** Someone at Firefox (Puppeteer over WebDriver BiDi); real input events on what is found by name. */
export class FirefoxPerson extends Person {
  /** An answer of the driver can be lost with the page that gave it: who waits asks again. */
  evaluate(run, ...args) {
    const asked = super.evaluate(run, ...args);
    asked.catch(() => {});
    const late = new Promise((_, reject) => setTimeout(reject, ANSWER_MS_MAX, new Error("Firefox's driver does not answer")));
    return Promise.race([asked, late]);
  }

  find(role, name, prefix = false) {
    return until(`${this.username} finds ${role} ${name}`, async () => {
      const handle = await this.page.evaluateHandle(findByName, role, name, prefix);
      return handle.asElement();
    });
  }

  async press(name, role = "button") {
    await (await this.find(role, name)).click();
  }

  async pressStarting(prefix, role = "button") {
    await (await this.find(role, prefix, true)).click();
  }

  async fill(label, text) {
    await (await this.find("field", label)).type(text);
  }
}
