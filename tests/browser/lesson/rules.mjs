// The teacher's rules, each seen at the others.

import { scenario } from "../kit/scenarios.mjs";
import { until } from "../kit/wait.mjs";
import { growing, heard, hears, join, menu, panel, unmuted, filmed } from "./steps.mjs";

export async function rules(all) {
  const { teacher, first, second, third, students } = all;

  await scenario("lesson.8", "a muted student falls silent at the others' receivers and may speak again", async () => {
    for (const student of [second, third]) {
      await menu(teacher, student, "Mute");
      await student.see("The teacher has muted your microphone.");
    }
    await hears(first, 1);
    await unmuted(second);
    await first.receives("audio", 2);
  });

  await scenario("lesson.9", "all students are muted at once and may speak again", async () => {
    await panel(teacher, "People");
    await teacher.press("Mute all students");
    await Promise.all([first, second].map((student) => student.see("The teacher has muted your microphone.")));
    await hears(teacher, 0);
    if ((await heard(second)) !== 1) throw new Error("the teacher is not heard any more");
    await unmuted(second);
    await teacher.receives("audio", 1);
  });

  await scenario("lesson.10", "locked microphones stay locked at the server", async () => {
    await panel(teacher, "People");
    await teacher.press("Microphones", "checkbox");
    await Promise.all([first, second].map((student) => student.see(/^Unmute$/m)));
    await hears(teacher, 0);
    await second.page.keyboard.press("m");
    await second.see("The teacher has turned off students' microphones.");
    await hears(teacher, 0);
    await teacher.press("Microphones", "checkbox");
    await unmuted(second);
    await teacher.receives("audio", 1);
  });

  await scenario("lesson.11", "locked cameras go dark at the receivers, and open again", async () => {
    await panel(teacher, "People");
    await teacher.press("Cameras", "checkbox");
    await Promise.all(students.map((student) => student.see(/^Start video$/m)));
    await until("the teacher's is the only picture", async () => (await growing(third, "video")).length === 1);
    await until("the teacher sees no picture", async () => (await growing(teacher, "video")).length === 0);
    await teacher.press("Cameras", "checkbox");
    for (const student of students) await filmed(student);
    await third.receives("video", 3);
  });

  await scenario("lesson.12", "chat reaches whom it may: everyone, teachers only, nobody", async () => {
    await panel(first, "Chat");
    await first.fill("Message", "Good morning class");
    await first.press("Send message");
    await panel(second, "Chat");
    await second.see("Good morning class");
    await panel(teacher, "People");
    await teacher.press("Students write to teachers only", "radio");
    const targets = () => first.evaluate(() => document.querySelector("#chat-to")?.innerText ?? "");
    await until("only teachers can be addressed", async () => !(await targets()).includes("Everyone"));
    await first.fill("Message", "For the teacher alone");
    await first.press("Send message");
    await panel(teacher, "Chat");
    await teacher.see("For the teacher alone");
    await panel(teacher, "People");
    await teacher.press("Off for students", "radio");
    await first.see("The teacher has turned off the chat.");
    const code = await first.command({ kind: "chat", text: "In spite of it", to: "everyone" });
    if (code !== "chat_off") throw new Error(`a message while the chat is off: ${code}`);
    await panel(teacher, "Chat");
    await teacher.fill("Message", "The teacher may still write");
    await teacher.press("Send message");
    await second.see("The teacher may still write");
    if (await second.sees("For the teacher alone")) throw new Error("another student read a message to teachers");
    if (await second.sees("In spite of it")) throw new Error("a message came through a chat that is off");
    await panel(teacher, "People");
    await teacher.press("On: students write to everyone", "radio");
  });

  await scenario("lesson.13", "hands queue in order at the teacher's page", async () => {
    await second.press("Raise hand");
    await teacher.see("1 hand raised");
    await first.press("Raise hand");
    await teacher.see("2 hands raised");
    const queue = await teacher.evaluate(() => [...document.querySelectorAll("ol li .name")].map((one) => one.innerText));
    if (queue[0] !== second.me.name || queue[1] !== first.me.name) throw new Error(`the queue is ${queue}`);
    await teacher.press(`Lower the hand of ${second.me.name}`);
    await teacher.see("1 hand raised");
    await teacher.press("Lower all");
    await first.miss("1 hand raised");
  });

  await scenario("lesson.14", "a shared screen is seen by all", async () => {
    const before = new Set((await first.tracks()).filter((row) => row.kind === "video").map((row) => row.ssrc));
    await teacher.press("Share screen");
    await Promise.all([first, third].map((student) => student.see(`Screen of ${teacher.me.name}`)));
    await until("frames of the screen are decoded", async () =>
      (await first.tracks()).some((row) => row.kind === "video" && !before.has(row.ssrc) && row.frames > 5),
    );
    await teacher.press("Stop sharing");
    await first.miss(`Screen of ${teacher.me.name}`);
  });

  await scenario("lesson.15", "a co-teacher mutes and admits; a student again, may not", async () => {
    await menu(teacher, second, "Make co-teacher");
    await second.see("You are a co-teacher now.");
    await unmuted(first);
    await teacher.receives("audio", 2);
    await menu(second, first, "Mute");
    await first.see("The teacher has muted your microphone.");
    await hears(teacher, 1);
    // Whoever was removed without a block waits at the door.
    await menu(teacher, first, "Remove from lesson");
    await teacher.fill("Reason", "A walk to the door");
    await teacher.press("Remove");
    await first.see("You were removed from this lesson.");
    await first.page.goto(all.origin + all.lesson);
    await join(first, "Join");
    await first.see("Waiting until the teacher lets you in");
    await panel(second, "People");
    await second.press(`Admit ${first.me.name}`);
    await Promise.all([teacher, first].map((person) => person.see("4 people")));
    await menu(teacher, second, "Make student again");
    await second.see("You are a student again.");
    await unmuted(first);
    await filmed(first);
    await teacher.receives("audio", 2);
    const commands = [
      { kind: "mute", identity: await first.identity(), source: "microphone" },
      { kind: "mute_all" },
      { kind: "admit_all" },
      { kind: "end" },
    ];
    for (const command of commands) {
      const code = await second.command(command);
      if (code !== "not_allowed") throw new Error(`${command.kind} of a student again: ${code}`);
    }
    await teacher.receives("audio", 2);
  });
}
