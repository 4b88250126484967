// Thirty in one lesson, and its end.

import { startCrowd } from "../kit/crowd.mjs";
import { scenario } from "../kit/scenarios.mjs";
import { accessible } from "./steps.mjs";

export async function end(all) {
  const { appliance, teacher, first, third } = all;

  await scenario("lesson.34", "pictures of a lesson of thirty, light and dark, desktop and 320 px", async () => {
    const students = all.accounts.filter((one) => one.role === "student");
    const crowd = await startCrowd(appliance, all.lesson, students.slice(3));
    try {
      await teacher.see(/\b3\d people/);
      for (const colorScheme of ["light", "dark"]) {
        for (const [name, width, height] of [["desktop", 1440, 900], ["320", 320, 640]]) {
          await teacher.page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
          await teacher.page.setViewportSize({ width, height });
          await teacher.receives("video", 1);
          const overflow = await teacher.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
          if (overflow > 0) throw new Error(`${name}: the page is ${overflow} px too wide`);
          await accessible(teacher, `thirty, ${colorScheme}, ${name}`);
          await all.picture(teacher, `lesson-30-${colorScheme}-${name}`);
        }
      }
    } finally {
      await crowd.stop();
    }
  });

  await scenario("lesson.35", "the lesson ends for all", async () => {
    await teacher.page.setViewportSize({ width: 1280, height: 800 });
    await teacher.press("Leave");
    await teacher.press("End lesson for everyone");
    await Promise.all([first, third].map((student) => student.see("The lesson has ended.")));
  });

  await scenario("lesson.36", "no page asked another origin, broke its policy or logged a name", async () => {
    for (const person of all.everyPage) {
      if (person.page.foreignRequests.length) throw new Error(`foreign: ${person.page.foreignRequests}`);
      const policy = person.page.problems.filter((text) => /Content Security Policy|TrustedHTML|TrustedScript|Permissions-Policy/.test(text));
      if (policy.length) throw new Error(`policy: ${policy}`);
    }
    const names = all.everyone.map((person) => person.me.name);
    const leaked = names.filter((name) => appliance.log.includes(name));
    if (leaked.length) throw new Error(`the log holds ${leaked.length} names`);
    if (/access_token=ey|panicked/.test(appliance.log)) throw new Error("the log holds a token or a panic");
  });
}
