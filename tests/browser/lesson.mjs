// A real lesson: a teacher and two students at Chromium, one student at Firefox, fake devices, real media; and an office
// from which an administrator sets the rules.

import { report, scenario } from "./kit/scenarios.mjs";
import { access } from "./lesson/access.mjs";
import { begin } from "./lesson/begin.mjs";
import { Class } from "./lesson/class.mjs";
import { codecs } from "./lesson/codecs.mjs";
import { devices } from "./lesson/devices.mjs";
import { door } from "./lesson/door.mjs";
import { end } from "./lesson/end.mjs";
import { evening } from "./lesson/evening.mjs";
import { layouts } from "./lesson/layouts.mjs";
import { office } from "./lesson/office.mjs";
import { recovery } from "./lesson/recovery.mjs";
import { rules } from "./lesson/rules.mjs";

const all = await Class.gather();

const settings = await office(all);
await codecs(all, settings);
const beside = evening(all);
await begin(all);
await rules(all);
await layouts(all);
await devices(all);
await access(all);
await scenario("lesson.26", "a guest waits until the teacher admits", () => beside.waiting);
await scenario("lesson.27", "a teacher who is away is waited for, and comes back into the lesson", () => beside.away);
await scenario("lesson.28", "a lesson whose teacher does not come back ends when the grace time is over", () => beside.over);
await recovery(all);
await door(all);
await end(all);

await all.dismiss();
report();
