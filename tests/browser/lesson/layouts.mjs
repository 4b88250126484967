// What the teacher sets for all eyes.

import { scenario } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { growing, layout, menu, panel, seesLarge, stage } from "./steps.mjs";

/** A second in readings of 100 ms. */
const SECOND_READINGS = 10;

const nobodyLarge = (person) => until(`${person.username} has nobody on the stage`, async () => !(await stage(person)));

export async function layouts(all) {
  const { teacher, first, second, third } = all;

  await scenario("lesson.16", "a spotlight puts one student large on every stage, and ends", async () => {
    await menu(teacher, first, "Spotlight for everyone");
    const [track] = await Promise.all([second, third, teacher].map((person) => seesLarge(person, first)));
    // The receiver gets the layer that a stage needs.
    const width = async () => (await second.tracks()).find((row) => row.track === track)?.width ?? 0;
    await until("the large layer is received", async () => (await width()) >= 640);
    await menu(teacher, first, "End spotlight");
    await Promise.all([second, third].map(nobodyLarge));
  });

  await scenario("lesson.17", "students see what the teacher sees while they follow", async () => {
    await panel(teacher, "People");
    await teacher.press("Close People");
    await layout(teacher, "Follow me: students see what I see", "menuitemcheckbox");
    await teacher.pressStarting(second.me.name);
    await Promise.all([first, third].map((person) => seesLarge(person, second)));
    await teacher.pressStarting(second.me.name);
    await Promise.all([first, third].map(nobodyLarge));
    await layout(teacher, "Follow me: students see what I see", "menuitemcheckbox");
    await teacher.pressStarting(second.me.name);
    await until("the teacher alone sees it large", async () => (await stage(teacher)).startsWith(second.me.name));
    let readings = 0;
    await until("a second of readings", async () => {
      if (await stage(first)) throw new Error("a student follows who should not");
      return ++readings > SECOND_READINGS;
    });
    await teacher.pressStarting(second.me.name);
  });

  await scenario("lesson.18", "in focus mode students receive the teacher's picture and no other", async () => {
    await Promise.all([first, third].map((person) => person.receives("video", 3)));
    await layout(teacher, "Focus: students see teachers only");
    for (const student of [first, third]) {
      const track = await seesLarge(student, teacher);
      await until(`${student.username} gets one picture`, async () => {
        const rows = await growing(student, "video");
        return rows.length === 1 && rows[0].track === track;
      });
      const before = new Map((await student.tracks()).map((row) => [row.ssrc, row.bytes]));
      const grew = await growing(student, "video");
      const flowing = (await student.tracks()).filter(
        (row) => row.kind === "video" && row.track !== track && row.bytes > (before.get(row.ssrc) ?? 0),
      );
      if (grew.length !== 1 || flowing.length) throw new Error(`bytes of others: ${JSON.stringify(flowing)}`);
    }
    // The teacher goes on seeing everybody.
    await teacher.receives("video", 3);
    await layout(teacher, "Gallery: everyone");
    await Promise.all([first, third].map((person) => person.receives("video", 3)));
  });
}
