// axe-core in the page, injected through the protocol, so that a strict policy does not stand in its way.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Violations of WCAG 2.1 A and AA on the page as it is now. */
export async function violations(page) {
  await page.evaluate(source);
  return page.evaluate(async () => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"];
    const { violations } = await globalThis.axe.run(document, { runOnly: { type: "tag", values: tags } });
    return violations.map(({ id, nodes }) => ({ id, nodes: nodes.map((node) => `${node.target} ${node.failureSummary}`) }));
  });
}
