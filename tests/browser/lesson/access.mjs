// For whom cannot see the screen, or cannot use a mouse.

import { dialog, focused, menuOf, tabTo, walk } from "../kit/keyboard.mjs";
import { scenario } from "../kit/scenarios.mjs";
import { accessible, hears, layout, muted, panel, stage, unmuted } from "./steps.mjs";

export async function access(all) {
  const { teacher, first, second, third } = all;

  await scenario("lesson.23", "axe finds nothing in the lesson: panels, dialogs, menus, layouts", async () => {
    for (const name of ["People", "Chat"]) {
      await panel(teacher, name);
      await accessible(teacher, `teacher, ${name}`);
      await panel(first, name);
      await accessible(first, `student, ${name}`);
    }
    await first.press("Settings");
    await accessible(first, "settings");
    await first.page.keyboard.press("Escape");
    await teacher.press("Layout");
    await accessible(teacher, "the layout menu");
    await teacher.page.keyboard.press("Escape");
    await layout(teacher, "Focus: students see teachers only");
    await accessible(first, "focus");
    await layout(teacher, "Gallery: everyone");
    await first.miss("Focus");
  });

  await scenario("lesson.24", "a lesson with the keyboard alone: every control reached and seen, shortcuts, dialogs", async () => {
    await panel(teacher, "People");
    await walk(teacher.page);
    await walk(teacher.page, "Shift+Tab");
    await panel(first, "Chat");
    await walk(first.page);
    for (const person of [teacher, second, third]) await muted(person);
    await unmuted(first);
    await hears(teacher, 1);
    await first.page.keyboard.press("Escape");
    await tabTo(first.page, "Mute");
    await first.page.keyboard.press("m");
    await hears(teacher, 0);
    await first.page.keyboard.press("m");
    await hears(teacher, 1);
    await first.page.keyboard.press("h");
    await teacher.see("1 hand raised");
    await first.page.keyboard.press("h");
    await teacher.miss("1 hand raised");
    await first.page.keyboard.press("p");
    await first.see("Close People");
    await first.page.keyboard.press("p");
    await first.miss("Close People");
    for (const opener of ["Settings", "Leave"]) await dialog(first.page, opener);
    for (const opener of ["Layout", `Actions for ${second.me.name}`]) await menuOf(teacher.page, opener);
    // A tile is enlarged, and a shortcut does not act on what is being typed.
    await tabTo(teacher.page, "Layout");
    await teacher.page.keyboard.press("Enter");
    await teacher.page.keyboard.press("Escape");
    await panel(first, "Chat");
    await tabTo(first.page, "Message");
    await first.page.keyboard.type("hmm");
    await teacher.miss("1 hand raised");
    await first.page.keyboard.press("Enter");
    await panel(teacher, "Chat");
    await teacher.see("hmm");
    if (await stage(third)) throw new Error("somebody was put on the stage by a key");
  });

  await scenario("lesson.25", "from the sign-in to the lesson and out of it with the keyboard alone", async () => {
    const someone = await all.atChromium();
    const { page } = someone;
    const { username, password } = all.account("student", 4);
    someone.username = username;
    await page.goto(`${all.origin}/sign-in`);
    await accessible(someone, "sign-in");
    await walk(page);
    await tabTo(page, "User name");
    await page.keyboard.type(username);
    await page.keyboard.press("Tab");
    await page.keyboard.type(password);
    await page.keyboard.press("Enter");
    await someone.see("Your classes today");
    await accessible(someone, "today, student");
    await walk(page);
    await all.picture(someone, "today-student");
    const join = await page.getByRole("button", { name: /^Join / }).first().getAttribute("aria-label");
    await tabTo(page, join);
    await page.keyboard.press("Enter");
    await someone.see("Check camera and microphone");
    if (!(await focused(page)).startsWith("H1")) throw new Error(`the new page begins at ${await focused(page)}`);
    await accessible(someone, "join");
    await walk(page);
    await all.picture(someone, "join");
    await tabTo(page, "Join");
    await page.keyboard.press("Enter");
    await someone.see("5 people");
    await someone.receives("audio", 1);
    await tabTo(page, "Leave");
    await page.keyboard.press("Enter");
    await tabTo(page, "Leave lesson");
    await page.keyboard.press("Enter");
    await someone.see("You have left the lesson.");
    await teacher.see("4 people");
  });
}
