// Real browsers that trust the appliance's own certificate authority, with fake devices.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import puppeteer from "puppeteer-core";
import { countSound } from "./coded.mjs";
import { pullableDevices } from "./devices.mjs";
import { keepConnections } from "./media.mjs";
import { keepClassSocket } from "./sockets.mjs";

const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--use-fake-device-for-media-stream=device-count=3",
  "--use-fake-ui-for-media-stream",
  "--auto-select-desktop-capture-source=Entire screen",
  "--autoplay-policy=no-user-gesture-required",
];

const SCRIPTS = { coded: countSound, devices: pullableDevices, sockets: keepClassSocket };

export function trust(folder, certificate) {
  mkdirSync(folder, { recursive: true });
  execFileSync("certutil", ["-N", "-d", `sql:${folder}`, "--empty-password"]);
  execFileSync("certutil", ["-A", "-d", `sql:${folder}`, "-t", "C,,", "-n", "belfry", "-i", certificate]);
}

/** Chromium, trusting the certificate if there is one; each person is a context of its own. `executable` may be a program that starts it elsewhere. */
export async function startChromium(certificate, { executable = "/usr/bin/chromium", flags = [] } = {}) {
  const home = mkdtempSync(join(tmpdir(), "belfry-chromium-"));
  if (certificate) trust(join(home, ".pki", "nssdb"), certificate);
  const browser = await chromium.launch({
    executablePath: executable,
    args: [...CHROMIUM_FLAGS, ...flags],
    env: { ...process.env, HOME: home, XDG_CONFIG_HOME: join(home, "config") },
  });
  return {
    /** A page of a new person; `scripts`: what runs in it first, by name; the other options as of Playwright's newContext. */
    async page({ scripts = [], ...options } = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
      await context.addInitScript(keepConnections);
      for (const name of scripts) await context.addInitScript(SCRIPTS[name]);
      const page = await context.newPage();
      const foreign = [];
      page.on("request", (request) => {
        const url = new URL(request.url());
        if (/^(https?|wss?):$/.test(url.protocol) && options.origin && url.origin !== options.origin) foreign.push(request.url());
      });
      page.foreignRequests = foreign;
      page.problems = [];
      page.on("pageerror", (error) => page.problems.push(error.message));
      page.on("console", (message) => {
        const text = message.text();
        // Of a header that it does not understand the browser only warns.
        if (message.type() === "error" || /Permissions-Policy/.test(text)) page.problems.push(text);
      });
      return page;
    },
    async close() {
      await browser.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

const FIREFOX_PREFERENCES = {
  "app.update.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "media.autoplay.default": 0,
  "media.navigator.permission.disabled": true,
  "media.navigator.streams.fake": true,
  "media.gmp-manager.updateEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "toolkit.telemetry.reportingpolicy.firstRun": false,
};

/** Firefox, trusting the certificate if there is one; its pages belong to one person. `port`: where its debugger listens, if it may not choose. */
export async function startFirefox(certificate, { executable = "/usr/bin/firefox-esr", port } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "belfry-firefox-"));
  const profile = join(folder, "profile");
  mkdirSync(profile);
  if (certificate) trust(profile, certificate);
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: executable,
    debuggingPort: port,
    userDataDir: profile,
    headless: true,
    protocol: "webDriverBiDi",
    extraPrefsFirefox: FIREFOX_PREFERENCES,
    env: { ...process.env, HOME: folder },
  });
  return {
    async page() {
      const page = await browser.newPage();
      await page.setViewport({ width: 1280, height: 800 });
      await page.evaluateOnNewDocument(keepConnections);
      return page;
    },
    async close() {
      await browser.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
