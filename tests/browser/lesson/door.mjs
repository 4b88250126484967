// Who is sent out, and who is let in again.

import { scenario } from "../kit/scenarios.mjs";
import { join, menu, panel } from "./steps.mjs";

export async function door(all) {
  const { teacher, second } = all;

  await scenario("lesson.32", "a removed student is out, and blocked from coming back", async () => {
    await menu(teacher, second, "Remove from lesson");
    await teacher.fill("Reason", "Disturbs the others");
    await teacher.press("Do not let them back into this lesson", "checkbox");
    await teacher.press("Remove");
    await second.see(/You were removed|You cannot come back/);
    await teacher.see("3 people");
    await second.page.goto(all.origin + all.lesson);
    await join(second, "Join");
    await second.see("You cannot come back to this lesson.");
  });

  await scenario("lesson.33", "the teacher sees who is kept out, and lets them back in", async () => {
    await panel(teacher, "People");
    await teacher.see("Kept out of this lesson (1)");
    await teacher.press(`Let ${second.me.name} back in`);
    await teacher.miss("Kept out of this lesson");
    await second.page.goto(all.origin + all.lesson);
    await join(second, "Join");
    await teacher.press(`Admit ${second.me.name}`);
    await second.see("4 people");
    await second.receives("audio", 1);
  });
}
