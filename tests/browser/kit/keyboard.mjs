// A page walked with the keyboard alone (Chromium).

/** Steps after which a walk has lost its way. */
const STEPS_MAX = 250;
const ROUNDS_MAX = 3;

/** Runs in the page: what Tab should have reached and has not. Of radio buttons of one name it reaches one. */
function missed() {
  const shown = (element) =>
    element.getClientRects().length > 0 && getComputedStyle(element).visibility !== "hidden" && !element.closest("[inert]");
  const reachable = (element) => {
    if (element.disabled || element.tabIndex < 0 || element.type === "hidden" || !shown(element)) return false;
    if (element.type !== "radio") return true;
    const group = [...document.querySelectorAll("input[type=radio]")].filter((one) => one.name === element.name);
    return element === (group.find((one) => one.checked) ?? group[0]);
  };
  const candidates = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]");
  const left = [...candidates].filter((element) => reachable(element) && !window.walked.has(element));
  return left.map((element) => element.outerHTML.slice(0, 160));
}

/** Runs in the page: where the keyboard is, whether that is seen, and whether it was there before. */
function look() {
  const element = document.activeElement;
  if (!element || element === document.body) return { outside: true };
  window.walked ??= new Set();
  // A time has several stops inside one control.
  const insideOne = window.lastWalked === element;
  const again = window.walked.has(element) && !insideOne;
  window.lastWalked = element;
  window.walked.add(element);
  const box = element.getBoundingClientRect();
  const style = getComputedStyle(element);
  // Inside a time the browser shows by itself which of its stops has the keyboard.
  const ring = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || insideOne;
  const inView = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
  const name = element.getAttribute("aria-label") ?? element.labels?.[0]?.innerText ?? element.innerText;
  const [line] = (name ?? "").trim().split("\n");
  return { again, name: `${element.tagName} ${line.replace(/ \(optional\)$/, "")}`, seen: ring && inView && (insideOne || element.matches(":focus-visible")) };
}

/** Goes round the page until the keyboard comes where it was. */
async function round(page, key, unseen) {
  for (let step = 0, outside = 0; step < STEPS_MAX && outside < 2; step += 1) {
    await page.keyboard.press(key);
    const at = await page.evaluate(look);
    if (at.outside) outside += 1;
    else if (at.again) return;
    else if (!at.seen) unseen.push(at.name);
  }
}

/** Walks round the page; every control has to be reached, and seen where it is. */
export async function walk(page, key = "Tab") {
  const unseen = [];
  // A lesson lives: what came up behind the keyboard is reached in another round.
  for (let rounds = 0; rounds < ROUNDS_MAX; rounds += 1) {
    await page.evaluate(() => {
      window.walked = new Set();
      window.lastWalked = null;
    });
    await round(page, key, unseen);
    if (unseen.length) throw new Error(`the keyboard is not seen at: ${unseen.join(" | ")}`);
    const left = await page.evaluate(missed);
    if (!left.length) return;
    if (rounds + 1 === ROUNDS_MAX) throw new Error(`the keyboard does not reach: ${left.join(" | ")}`);
  }
}

/** Where the keyboard is, by name. */
export const focused = async (page) => (await page.evaluate(look)).name ?? "nowhere";

/** Goes on with Tab until the control of this name has the keyboard. */
export async function tabTo(page, name) {
  for (let step = 0; step < STEPS_MAX; step += 1) {
    if ((await focused(page)).endsWith(` ${name}`)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`no Tab leads to ${name}`);
}

/** Opens something with Enter: it has to take the keyboard. */
async function opens(page, opener, inside) {
  await tabTo(page, opener);
  await page.keyboard.press("Enter");
  await page.waitForFunction((selector) => document.activeElement?.closest(selector), inside);
}

/** Closes it with Escape: it has to give the keyboard back. */
async function closes(page, opener, inside) {
  await page.keyboard.press("Escape");
  await page.waitForFunction((selector) => !document.querySelector(selector), inside);
  const back = await focused(page);
  if (!back.endsWith(` ${opener}`)) throw new Error(`${opener}: the keyboard comes back to ${back}`);
}

/** A dialog takes the keyboard, keeps it, and gives it back where it was. */
export async function dialog(page, opener) {
  const inside = "[role=dialog]";
  await opens(page, opener, inside);
  const steps = await page.evaluate((selector) => document.querySelector(selector).querySelectorAll("button, input, select").length, inside);
  for (let step = 0; step < steps + 2; step += 1) {
    await page.keyboard.press("Tab");
    const held = await page.evaluate((selector) => document.activeElement?.closest(selector) !== null, inside);
    if (!held) throw new Error(`${opener}: the keyboard leaves at step ${step}: ${await focused(page)}`);
  }
  await closes(page, opener, inside);
}

/** Runs in the page: the entry of the menu that has the keyboard, counted from the first. */
function entryWithKeyboard() {
  const entries = [...document.querySelectorAll("[role=menu] [role^=menuitem]")];
  return { at: entries.indexOf(document.activeElement), of: entries.length };
}

/** A menu is one stop of Tab (ARIA practices, "menu button"): arrows lead through its entries and Tab leads out of it, to what
 *  comes after its button; Escape gives the keyboard back. */
export async function menuOf(page, opener) {
  const inside = "[role=menu]";
  await opens(page, opener, inside);
  const { of } = await page.evaluate(entryWithKeyboard);
  if (of < 2) throw new Error(`${opener}: a menu of ${of} entries`);
  const isAt = async (key, wanted) => {
    await page.keyboard.press(key);
    const { at } = await page.evaluate(entryWithKeyboard);
    if (at !== wanted) throw new Error(`${opener}: ${key} leads to entry ${at} instead of ${wanted}`);
  };
  await isAt("End", of - 1);
  await isAt("Home", 0);
  for (let entry = 1; entry < of; entry += 1) await isAt("ArrowDown", entry);
  await closes(page, opener, inside);
  const button = await page.evaluateHandle(() => document.activeElement);
  await opens(page, opener, inside);
  await page.keyboard.press("Tab");
  await page.waitForFunction((selector) => !document.querySelector(selector), inside);
  const onward = await page.evaluate((one) => {
    const next = document.activeElement;
    return next !== document.body && Boolean(one.compareDocumentPosition(next) & Node.DOCUMENT_POSITION_FOLLOWING);
  }, button);
  if (!onward) throw new Error(`${opener}: Tab leads out to ${await focused(page)}`);
}
