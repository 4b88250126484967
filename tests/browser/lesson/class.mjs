// The class of the suite: a teacher and two students at Chromium, one student at Firefox, fake devices, one appliance.

import { mkdirSync, writeFileSync } from "node:fs";
import { join as path } from "node:path";
import { Appliance } from "../kit/appliance.mjs";
import { startChromium, startFirefox } from "../kit/browsers.mjs";
import { connectionsNow } from "../kit/media.mjs";
import { ChromiumPerson, FirefoxPerson } from "../kit/person.mjs";
import { whenFailed } from "../kit/scenarios.mjs";

export const screenshots = process.env.BELFRY_SCREENSHOTS;

/** Lines of the appliance's log that are shown with a failure. */
const LOG_LINES = 40;

export class Class {
  static async gather() {
    const one = new Class();
    one.appliance = await Appliance.start();
    one.origin = one.appliance.url;
    one.accounts = one.appliance.signIns();
    one.chromium = await startChromium(one.appliance.rootCertificate);
    one.firefox = await startFirefox(one.appliance.rootCertificate);
    one.everyPage = [];
    one.teacher = await one.atChromium();
    one.first = await one.atChromium({ scripts: ["devices", "sockets"] });
    one.second = await one.atChromium({ scripts: ["sockets"] });
    one.third = new FirefoxPerson(await one.firefox.page(), one.origin);
    one.students = [one.first, one.second, one.third];
    one.everyone = [one.teacher, ...one.students];
    if (screenshots) mkdirSync(screenshots, { recursive: true });
    whenFailed(async (id) => {
      await one.tell(id);
      await one.keepPictures(id);
    });
    return one;
  }

  /** Somebody new at Chromium. */
  async atChromium(options = {}) {
    const person = new ChromiumPerson(await this.chromium.page({ origin: this.origin, ...options }), this.origin);
    this.everyPage.push(person);
    return person;
  }

  account(role, index = 0) {
    return this.accounts.filter((one) => one.role === role)[index];
  }

  /** Takes a picture for people to look at; `full`: of the whole page. */
  async picture(person, name, fullPage = false) {
    if (screenshots) await person.page.screenshot({ path: path(screenshots, `${name}.png`), fullPage });
  }

  /** A line for everybody about their media, which tests/run repeats at its end, and the end of the appliance's log. */
  async tell(id) {
    for (const person of new Set([...this.everyone, ...this.everyPage])) {
      const told = await person.evaluate(connectionsNow).catch((problem) => problem.message);
      console.log(`seen ${id} ${person.username ?? "nobody"}: ${told}`);
    }
    for (const line of this.appliance.log.trimEnd().split("\n").slice(-LOG_LINES)) console.log(`log ${id} ${line}`);
  }

  async keepPictures(id) {
    if (!screenshots) return;
    const said = this.everyPage.map((person) => `${person.username}: ${(person.page.problems ?? []).join("\n")}`);
    writeFileSync(path(screenshots, `failed-${id}.log`), `${this.appliance.log}\n${said.join("\n")}`);
    for (const person of new Set([...this.everyone, ...this.everyPage])) {
      const file = path(screenshots, `failed-${id}-${person.username ?? "nobody"}.png`);
      await person.page.screenshot({ path: file }).catch(() => {});
    }
  }

  async dismiss() {
    await this.firefox.close();
    await this.chromium.close();
    await this.appliance.stop();
  }
}
