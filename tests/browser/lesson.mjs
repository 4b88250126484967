// A real lesson: a teacher and two students at Chromium, one student at Firefox, fake devices, real media; and an office
// from which an administrator sets the rules.
//
//   node lesson.mjs [--only PART,...]
//
// --only: of the scenarios no others than those of these parts, and of what they stand on. The rest are not reported, so for
// tests/run they have failed.

import { report } from "./kit/scenarios.mjs";
import { access } from "./lesson/access.mjs";
import { begin } from "./lesson/begin.mjs";
import { Class } from "./lesson/class.mjs";
import { codecs } from "./lesson/codecs.mjs";
import { devices } from "./lesson/devices.mjs";
import { door } from "./lesson/door.mjs";
import { end } from "./lesson/end.mjs";
import { evening } from "./lesson/evening.mjs";
import { layouts } from "./lesson/layouts.mjs";
import { office, openOffice } from "./lesson/office.mjs";
import { recovery } from "./lesson/recovery.mjs";
import { rules } from "./lesson/rules.mjs";

const PARTS = { office, codecs, evening, begin, rules, layouts, devices, access, recovery, door, end };
/** These need no lesson of the class. */
const BESIDE = ["office", "codecs", "evening"];

const only = process.argv[2] === "--only" ? (process.argv[3] ?? "").split(",") : Object.keys(PARTS);
const unknown = only.filter((name) => !(name in PARTS));
if (unknown.length) throw new Error(`no part "${unknown}"; there are ${Object.keys(PARTS).join(", ")}`);

const all = await Class.gather();
const settings = await openOffice(all);
const run = async (...names) => {
  for (const name of names) if (only.includes(name)) await PARTS[name](all, settings);
};

await run("office", "codecs");
const reportEvening = only.includes("evening") && evening(all);
if (only.some((name) => !BESIDE.includes(name))) await begin(all);
await run("rules", "layouts", "devices", "access");
if (reportEvening) await reportEvening();
await run("recovery", "door", "end");

await all.dismiss();
report();
