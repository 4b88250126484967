// What is told when a link carries less of the lesson: to the student in plain words, to the teacher with the cause.
//
//   node ladder.mjs
//
// A teacher and a classmate speak; a student's link becomes too narrow for more than one voice, gets well, then loses packets.
//
// Environment: BELFRY_BINARY, BELFRY_NET (built emulator).

import { Appliance } from "../kit/appliance.mjs";
import { report, scenario } from "../kit/scenarios.mjs";
import { District } from "./district.mjs";
import { atChromium, enter, start, turn } from "./people.mjs";

const CLEAN = { rate_bps: null, queue_ms: 250, delay_ms: 5, loss_percent: 0 };
/** Enough for the teacher's voice, not for the classmate's besides. */
const NARROW = { ...CLEAN, rate_bps: 150_000 };
/** Wi-Fi far away: no picture comes through. */
const LOSSY = { ...CLEAN, rate_bps: 300_000, loss_percent: 20 };
/** It is told after a second, and taken back when all is well for some; finding the rate again takes longer. */
const TOLD_MS = 45_000;

const district = District.create();
const appliance = await Appliance.start({ school: district });
const people = [];

async function come(name, account) {
  const person = await atChromium(appliance, await district.site(name, { up: CLEAN, down: CLEAN, seed: people.length + 1 }));
  people.push(person);
  await person.signIn(account);
  return person;
}

const become = (student, down) => student.site.order({ set: { down } });

await scenario("network.13", "who receives less is told so, and the teacher reads why", async () => {
  const accounts = appliance.signIns();
  const [first, second] = accounts.filter((one) => one.role === "student");
  const teacher = await come("teacher", accounts.find((one) => one.role === "teacher"));
  const lesson = await start(teacher);
  const [student, classmate] = [await come("student", first), await come("classmate", second)];
  for (const one of [student, classmate]) {
    await enter(one, lesson);
    await turn(one, "camera", false);
  }
  await turn(student, "microphone", false);
  for (const one of [teacher, classmate]) await turn(one, "microphone", true);
  await turn(teacher, "camera", true);
  await student.receives("audio", 2, TOLD_MS);
  await student.receives("video", 1, TOLD_MS);

  await become(student, NARROW);
  await student.see("You can hear the teacher; everything else is off until the connection is better.", TOLD_MS);
  await teacher.see("Slow network. Hears the teacher only.", TOLD_MS);
  await student.receives("audio", 1, TOLD_MS);

  await become(student, CLEAN);
  await student.receives("video", 1, TOLD_MS);
  await student.miss("until the connection is better", TOLD_MS);
  await teacher.miss("Slow network.", TOLD_MS);

  await become(student, LOSSY);
  await student.see("It may help to sit nearer to the Wi-Fi.", TOLD_MS);
  await teacher.see(/Wi-Fi loss \d+ %\./, TOLD_MS);
  await student.receives("audio", 1, TOLD_MS);
});

for (const person of people) await person.close();
await appliance.stop();
await district.remove();
report();
