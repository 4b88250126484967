// The school's network: a namespace in which the appliance runs, with one cable to the browsers' side and no route
// anywhere else. So nothing can reach the Internet, ports never clash, and every browser has a real address (Firefox offers
// no loopback candidates).

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";

const run = (command, ...args) => execFileSync(command, args, { stdio: ["ignore", "pipe", "pipe"] });

export class School {
  static create() {
    const school = new School();
    const id = process.pid % 16384;
    school.namespace = `belfry${id}`;
    school.link = `bf${id}`;
    const subnet = (end) => `10.203.${id >> 6}.${((id & 63) << 2) + end}`;
    [school.browsers, school.address] = [subnet(1), subnet(2)];
    run("ip", "netns", "add", school.namespace);
    run("ip", "link", "add", school.link, "type", "veth", "peer", "name", "eth0", "netns", school.namespace);
    // A link-local address that comes a second later would be a change of network to Chromium, which ends its requests.
    writeFileSync(`/proc/sys/net/ipv6/conf/${school.link}/disable_ipv6`, "1");
    run("ip", "address", "add", `${school.browsers}/30`, "dev", school.link);
    run("ip", "link", "set", school.link, "up");
    school.inside("ip", "address", "add", `${school.address}/30`, "dev", "eth0");
    school.inside("ip", "link", "set", "eth0", "up");
    school.inside("ip", "link", "set", "lo", "up");
    return school;
  }

  inside(...command) {
    return run("ip", "netns", "exec", this.namespace, ...command);
  }

  /** Cuts and mends the cable: what a browser sees when the Wi-Fi goes. */
  cut() {
    run("ip", "link", "set", this.link, "down");
  }

  mend() {
    run("ip", "link", "set", this.link, "up");
  }

  remove() {
    run("ip", "netns", "delete", this.namespace);
  }
}
