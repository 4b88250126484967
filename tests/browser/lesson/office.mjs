// The administrators' pages of the running appliance.

import { execFileSync } from "node:child_process";
import { tabTo, walk } from "../kit/keyboard.mjs";
import { scenario } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { accessible } from "./steps.mjs";

/** Every page that an administrator may open, from the appliance's own table of ways in. */
function pages(appliance) {
  const table = execFileSync(appliance.binary, ["ways-in"], { encoding: "utf8" });
  const rows = table.trim().split("\n").map((line) => line.split("\t"));
  const mine = rows.filter(([kind, name, who]) => kind === "page" && name.startsWith("GET ") && /admin/.test(who));
  return mine.map(([, name]) => name.slice("GET ".length)).filter((path) => !/\.(cer|pem)$/.test(path));
}

/** The administrator comes in; what the others need of the settings is in what this gives back. */
export async function openOffice(all) {
  const { origin } = all;
  const admin = await all.atChromium();
  const { page } = admin;

  /** Sets one value of the settings page as somebody without a mouse does. */
  async function set(label, ...keys) {
    await page.goto(`${origin}/admin/settings`);
    await tabTo(page, label);
    for (const key of keys) await page.keyboard.press(key);
    await tabTo(page, "Save");
    await page.keyboard.press("Enter");
    await admin.see("The settings were saved.");
  }

  await scenario("lesson.1", "an administrator signs in and changes settings with the keyboard alone", async () => {
    const { username, password } = all.account("admin");
    admin.username = username;
    await page.goto(`${origin}/sign-in`);
    await tabTo(page, "User name");
    await page.keyboard.type(username);
    await page.keyboard.press("Tab");
    await page.keyboard.type(password);
    await page.keyboard.press("Enter");
    await until("the first page of the office", () => new URL(page.url()).pathname === "/admin");
    await tabTo(page, "Settings");
    await page.keyboard.press("Enter");
    await until("the settings", () => new URL(page.url()).pathname === "/admin/settings");
    await walk(page);
    await set("Seconds to wait for a teacher", "Control+A", "6", "0");
  });
  return { admin, set };
}

export async function office(all, { admin }) {
  const { origin, appliance } = all;
  const { page } = admin;

  await scenario("lesson.2", "axe finds nothing on any page of the administrators; each is walked with the keyboard", async () => {
    await page.goto(`${origin}/admin/people`);
    const idOf = async (path) => {
      await page.goto(origin + path);
      const links = await page.evaluate(() => [...document.querySelectorAll("main a")].map((one) => one.pathname));
      return links.find((link) => new RegExp(`^${path}/\\d+$`).test(link)).split("/").at(-1);
    };
    const ids = { "/admin/people": await idOf("/admin/people"), "/admin/classes": await idOf("/admin/classes") };
    const times = `/admin/classes/${ids["/admin/classes"]}`;
    await page.goto(origin + times);
    const [, time] = /\/slots\/(\d+)/.exec(await page.content());
    ids[`${times}/slots`] = time;
    /** A path of the table with ids of what is there. */
    const concrete = (path) =>
      path.split("/").slice(1).reduce((base, part) => `${base}/${part.startsWith("{") ? (ids[base] ?? "1") : part}`, "");
    const paths = pages(appliance);
    if (paths.length < 10) throw new Error(`the table of routes names ${paths}`);
    for (const path of paths) {
      const there = concrete(path);
      const [status, text] = await page.evaluate(async (where) => {
        const answer = await fetch(where);
        return [answer.status, await answer.text()];
      }, there);
      if (status !== 200) throw new Error(`${there}: ${status}`);
      // A part of a page, which the page itself fetches.
      if (!/^<!doctype html>/i.test(text)) continue;
      // Loaded anew for each: colours that are on their way from one to the other are nobody's.
      for (const colorScheme of ["dark", "light"]) {
        await page.emulateMedia({ colorScheme });
        await page.goto(origin + there);
        await accessible(admin, `${there}, ${colorScheme}`);
      }
      await walk(page);
      await page.setViewportSize({ width: 320, height: 640 });
      const overflow = await admin.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (overflow > 0) throw new Error(`${there}: ${overflow} px too wide at 320 px`);
      await all.picture(admin, `office${there.replaceAll("/", "-")}-320`, true);
      await page.setViewportSize({ width: 1280, height: 800 });
      await all.picture(admin, `office${there.replaceAll("/", "-")}`);
    }
  });

  await scenario("lesson.3", "the office's pages refresh themselves and send forms without being left, under their policy", async () => {
    await page.goto(`${origin}/admin`);
    await page.evaluate(() => document.querySelector("[data-live]").firstElementChild.setAttribute("data-old", ""));
    await page.waitForResponse((answer) => new URL(answer.url()).pathname === "/admin/status" && answer.ok());
    await page.waitForFunction(() => !document.querySelector("[data-old]"));
    // A refused entry comes back in the same document, with the keyboard at it.
    await page.goto(`${origin}/admin/settings`);
    await page.evaluate(() => (window.sameDocument = true));
    await tabTo(page, "Seconds to wait for a teacher");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("7");
    await page.keyboard.press("Enter");
    await admin.see("Nothing has been saved yet.");
    if (!(await page.evaluate(() => window.sameDocument))) throw new Error("the page was left");
    await page.waitForFunction(() => document.activeElement?.matches("[aria-invalid], [data-flash]"));
    await tabTo(page, "Seconds to wait for a teacher");
    await accessible(admin, "a refused entry");
    // The browser says of a refused entry that it was refused.
    const problems = page.problems.filter((text) => !/status of 422/.test(text));
    if (problems.length) throw new Error(`said by the browser: ${problems.join("\n")}`);
  });
}
