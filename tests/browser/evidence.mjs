// verify.html in real browsers, opened from disk as an auditor opens it.
//
//   node evidence.mjs WORK VERIFY_HTML ROOT VKEY WITNESS NONCE
//
// WORK holds what the suite made: bundles, an unpacked one, a log, broken bundles, and what belfry-verify said as JSON.

import { deepStrictEqual, strictEqual } from "node:assert";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { violations } from "./kit/axe.mjs";
import { startChromium, startFirefox } from "./kit/browsers.mjs";
import { report, scenario } from "./kit/scenarios.mjs";

const [work, html, root, vkey, witness, nonce] = process.argv.slice(2);
const url = pathToFileURL(html).href;
const pictures = process.env.BELFRY_SCREENSHOTS;
mkdirSync(pictures, { recursive: true });
const outside = readFileSync(join(work, "outside.note"), "utf8");
const said = JSON.parse(readFileSync(join(work, "report.json"), "utf8"));
const broken = JSON.parse(readFileSync(join(work, "broken", "expected.json"), "utf8"));

/** Gives the page a file, and waits for its verdict. */
async function verify(page, path, { input = "file", ...options } = {}) {
  await page.evaluate((values) => {
    document.getElementById("form").reset();
    document.getElementById("live").replaceChildren();
    for (const [id, value] of Object.entries(values)) document.getElementById(id).value = value;
  }, options);
  if (page.setInputFiles) await page.setInputFiles(`#${input}`, path);
  else await (await page.$(`#${input}`)).uploadFile(path);
  await page.waitForFunction(() => !document.getElementById("go").disabled);
  await page.click("#go");
  await page.waitForFunction(() => document.querySelector(".result"));
  return page.evaluate(() => {
    const card = document.querySelector(".result");
    const facts = [...card.querySelectorAll("dt")].map((term) => [term.textContent, term.nextElementSibling.textContent]);
    return { code: card.dataset.code, text: card.innerText, facts: Object.fromEntries(facts) };
  });
}

/** What the page must show for what belfry-verify found. */
function expectedFacts({ counts: c, samples, ...told }) {
  const n = (number) => number.toLocaleString("en");
  return {
    Log: told.origin,
    Range: `${n(told.first)} to ${n(told.size)}`,
    Root: told.root,
    Entries: `${n(c.entries)} recomputed, ${n(c.pruned)} removed under a recorded rule, ${n(c.unexplained)} unexplained`,
    "Personal data": `${n(c.opened)} opened and matching, ${n(c.withheld)} withheld or erased`,
    Checkpoints: `${n(c.checkpoints)}, from outside ${n(c.outside)}, cosignatures ${n(c.cosignatures)}`,
    "In the bundle": `${n(c.files)} files as signed, ${n(c.populations)} populations complete, ${n(c.proofs)} proofs`,
    ...Object.fromEntries(samples.map(({ control, indices }) => [`Sample of ${control}`, indices.join(", ") || "none"])),
  };
}

const browsers = { Chromium: await startChromium(null), Firefox: await startFirefox(null) };
const pages = {};
try {
  for (const [name, browser] of Object.entries(browsers)) {
    pages[name] = await browser.page();
    await pages[name].goto(url);
  }
  await scenario("evidence.8", "verify.html finds the same in Chromium and in Firefox", async () => {
    strictEqual(said.code, 0);
    for (const page of Object.values(pages)) {
      const found = await verify(page, join(work, "L0.zip"), { root, outside, witness, nonce, count: "5" });
      strictEqual(found.code, "0", found.text);
      deepStrictEqual(found.facts, expectedFacts(said));
      for (const file of ["L1.zip", "L2.zip", "later.zip"]) {
        const level = await verify(page, join(work, file), { root });
        strictEqual(level.code, "0", level.text);
      }
      strictEqual((await verify(page, join(work, "L0.zip"))).code, "4");
    }
    // Folders: only Playwright can choose one.
    const page = pages.Chromium;
    for (const [folder, options] of [["unpacked", { root }], ["log", { vkey }]]) {
      const found = await verify(page, join(work, folder), { input: "folder", ...options });
      strictEqual(found.code, "0", found.text);
    }
  });
  await scenario("evidence.9", "each broken bundle gives its code in verify.html, in both browsers", async () => {
    const other = [];
    await Promise.all(Object.entries(pages).map(async ([name, page]) => {
      for (const { code, file } of broken) {
        const found = await verify(page, join(work, "broken", file), { root });
        if (found.code !== String(code)) other.push(`${name}: ${file}: expected ${code}, got ${found.code}: ${found.text}`);
      }
    }));
    strictEqual(other.join("\n"), "");
  });
  await scenario("evidence.10", "axe finds nothing on the pages, and nothing is fetched", async () => {
    for (const colorScheme of ["light", "dark"]) {
      for (const [size, viewport] of [["desktop", { width: 1280, height: 900 }], ["320", { width: 320, height: 640 }]]) {
        const page = await browsers.Chromium.page({ colorScheme, viewport });
        const look = async (name) => {
          await page.screenshot({ path: join(pictures, `${name}-${colorScheme}-${size}.png`), fullPage: true });
          deepStrictEqual(await violations(page), [], `${name} ${colorScheme} ${size}`);
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          strictEqual(overflow, 0, `${name} ${size} scrolls sideways`);
        };
        for (const name of ["README", "report/index"]) {
          await page.goto(pathToFileURL(join(work, "unpacked", `${name}.html`)).href);
          strictEqual(await page.evaluate(() => document.scripts.length), 0);
          await look(name.replace("/", "-"));
        }
        await page.goto(url);
        await look("verify");
        await verify(page, join(work, "L0.zip"), { root, outside, witness, nonce, count: "5" });
        await look("verify-ok");
        await verify(page, join(work, "broken", broken[1].file), { root });
        await look("verify-tampered");
        deepStrictEqual([page.foreignRequests, page.problems], [[], []]);
        await page.context().close();
      }
    }
  });
} finally {
  for (const browser of Object.values(browsers)) await browser.close();
}
report();
