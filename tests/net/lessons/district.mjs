// A district's network in namespaces: the school with its appliance, the district's router, and a site for each participant
// behind a link of the emulator's.
//
//   site eth0 ==(belfry-net: rate, delay, loss, cut)== siteN router eth0 -- eth0 school
//
// The router has the firewall and NAT (nftables). Nothing has a route to anywhere else.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const run = (command, ...args) => execFileSync(command, args, { stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });

/** The district's name for its appliance, in each namespace's hosts file. */
const NAME = "class.cedar.lan";
/** Where ip-netns looks for files that a namespace has instead of those of /etc. */
const ETC = "/etc/netns";

/** The school's network and the sites' are routed; the router has the first address of each. */
const SCHOOL_V4 = "10.10.0.2";
const SCHOOL_V6 = "fd10::2";

/** Sets a value of /proc/sys as a namespace has it. */
const set = (namespace, name, value) => run("ip", "netns", "exec", namespace, "sh", "-c", `echo ${value} > /proc/sys/${name}`);

export class District {
  /** `ipv6`: the school has addresses of both kinds. */
  static create({ ipv6 = false } = {}) {
    const district = new District();
    district.id = `b${process.pid}`;
    district.folder = mkdtempSync(join(tmpdir(), "belfry-district-"));
    district.namespace = `${district.id}school`;
    district.router = `${district.id}router`;
    district.address = SCHOOL_V4;
    district.name = NAME;
    district.ipv6 = ipv6;
    district.sites = [];
    for (const namespace of [district.namespace, district.router]) {
      district.addNamespace(namespace);
      if (!ipv6) set(namespace, "net/ipv6/conf/all/disable_ipv6", 1);
    }
    const { namespace: school, router } = district;
    run("ip", "-n", school, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", router);
    for (const [end, place] of [[1, router], [2, school]]) {
      run("ip", "-n", place, "address", "add", `10.10.0.${end}/24`, "dev", "eth0");
      if (ipv6) run("ip", "-n", place, "address", "add", `fd10::${end}/64`, "dev", "eth0", "nodad");
      run("ip", "-n", place, "link", "set", "eth0", "up");
      run("ip", "-n", place, "link", "set", "lo", "up");
    }
    run("ip", "-n", school, "route", "add", "default", "via", "10.10.0.1");
    set(router, "net/ipv4/ip_forward", 1);
    if (ipv6) {
      run("ip", "-n", school, "route", "add", "default", "via", "fd10::1");
      set(router, "net/ipv6/conf/all/forwarding", 1);
    }
    return district;
  }

  /** A namespace in which the school's appliance has its name. */
  addNamespace(namespace) {
    run("ip", "netns", "add", namespace);
    const addresses = this.ipv6 ? [SCHOOL_V4, SCHOOL_V6] : [SCHOOL_V4];
    const lines = ["127.0.0.1 localhost", "::1 localhost", ...addresses.map((address) => `${address} ${NAME}`)];
    mkdirSync(join(ETC, namespace), { recursive: true });
    writeFileSync(join(ETC, namespace, "hosts"), `${lines.join("\n")}\n`);
    // There is no other name to be found, and who asks is told so at once: this machine's name server is not reached.
    writeFileSync(join(ETC, namespace, "resolv.conf"), "nameserver 127.0.0.1\n");
  }

  removeNamespace(namespace) {
    run("ip", "netns", "delete", namespace);
    rmSync(join(ETC, namespace), { recursive: true });
  }

  inside(...command) {
    return run("ip", "netns", "exec", this.namespace, ...command);
  }

  /** The router does not look whether a source address is at the place that it comes from, as many do not. */
  trustSources() {
    for (const device of ["all", "eth0", ...this.sites.map((site) => site.device)]) set(this.router, `net/ipv4/conf/${device}/rp_filter`, 0);
  }

  /** A new site behind a link; `settings` as of `belfry-net link --help`. */
  async site(name, settings = {}) {
    const site = new Site(this, this.sites.length + 1, name);
    this.sites.push(site);
    await site.build(settings);
    return site;
  }

  /** Takes it down, once. */
  remove() {
    return (this.removed ??= this.tearDown());
  }

  async tearDown() {
    for (const site of this.sites) await site.remove();
    for (const namespace of [this.namespace, this.router]) this.removeNamespace(namespace);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** How long a NAT keeps a mapping that nobody uses, in seconds. */
export const NAT_MAPPING_S = 30;

export class Site {
  constructor(district, number, name) {
    Object.assign(this, { district, number, name });
    this.namespace = `${district.id}s${number}`;
    this.device = `site${number}`;
    this.log = join(district.folder, `${name}.log`);
    /** Of the host; a change of address counts on. */
    this.host = 2;
  }

  async build(settings) {
    const { district, namespace, number } = this;
    district.addNamespace(namespace);
    run("ip", "-n", namespace, "link", "set", "lo", "up");
    const file = join(district.folder, `${this.name}.json`);
    writeFileSync(file, JSON.stringify(settings));
    const ends = ["--a", `${namespace}:eth0`, "--b", `${district.router}:${this.device}`];
    this.process = spawn(process.env.BELFRY_NET, ["link", "--settings", file, "--log", this.log, ...ends], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.answers = createInterface(this.process.stdout)[Symbol.asyncIterator]();
    const ready = await this.answer();
    if (!ready.ready) throw new Error(`the link of ${this.name} said ${JSON.stringify(ready)}`);
    run("ip", "-n", district.router, "address", "add", `10.20.${number}.1/24`, "dev", this.device);
    run("ip", "-n", district.router, "link", "set", this.device, "up");
    run("ip", "-n", namespace, "link", "set", "eth0", "up");
    if (district.ipv6) run("ip", "-n", district.router, "address", "add", `fd20:${number}::1/64`, "dev", this.device, "nodad");
    this.family(4);
  }

  /** The site has addresses of this kind alone. */
  family(version) {
    if (this.version === version) return;
    const { namespace, number } = this;
    run("ip", "-n", namespace, "address", "flush", "dev", "eth0");
    set(namespace, "net/ipv6/conf/all/disable_ipv6", version === 6 ? 0 : 1);
    if (version === 6) run("ip", "-n", namespace, "address", "add", `fd20:${number}::2/64`, "dev", "eth0", "nodad");
    else run("ip", "-n", namespace, "address", "add", `10.20.${number}.${this.host}/24`, "dev", "eth0");
    this.version = version;
    this.route(version === 6 ? `fd20:${number}::1` : `10.20.${number}.1`);
  }

  route(via) {
    run("ip", "-n", this.namespace, "route", "replace", "default", "via", via, "dev", "eth0");
  }

  async answer() {
    const { value, done } = await this.answers.next();
    if (done) throw new Error(`the link of ${this.name} has ended`);
    return JSON.parse(value);
  }

  /** An order to the emulator; answered when it is in force. */
  async order(order) {
    this.process.stdin.write(`${JSON.stringify(order)}\n`);
    const answer = await this.answer();
    if (answer.error) throw new Error(`${this.name}: ${answer.error}`);
    return answer;
  }

  cut() {
    return this.order({ cut: true });
  }

  mend() {
    return this.order({ cut: false });
  }

  /** The link's log so far. */
  lines() {
    return readFileSync(this.log, "utf8").trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  /** Rules of the district's firewall for this site alone; replaces earlier ones. */
  firewall(...rules) {
    this.nft("forward", "filter hook forward priority 0", rules.map((rule) => `iifname "${this.device}" ${rule}`));
  }

  /** Address translation with mappings that end early, and ports of the router's own choice. */
  translate() {
    set(this.district.router, "net/netfilter/nf_conntrack_udp_timeout", NAT_MAPPING_S);
    set(this.district.router, "net/netfilter/nf_conntrack_udp_timeout_stream", NAT_MAPPING_S);
    this.nft("translate", "nat hook postrouting priority 100", [`ip saddr 10.20.${this.number}.0/24 masquerade fully-random`]);
  }

  nft(name, hook, rules) {
    const table = `inet ${this.device}${name}`;
    const text = `table ${table} {}\ndelete table ${table}\ntable ${table} {\n chain rules {\n type ${hook};\n ${rules.join("\n ")}\n }\n}\n`;
    execFileSync("ip", ["netns", "exec", this.district.router, "nft", "-f", "-"], { input: text, stdio: ["pipe", "pipe", "pipe"] });
  }

  translateNot() {
    this.nft("translate", "nat hook postrouting priority 100", []);
  }

  /** As when the router starts anew: what comes next from the site gets other ports. */
  forgetMappings() {
    const mappings = ["-p", "udp", "-s", `10.20.${this.number}.${this.host}`];
    const told = execFileSync("ip", ["netns", "exec", this.district.router, "conntrack", "-D", ...mappings], { encoding: "utf8", stdio: "pipe" });
    if (!told.includes("udp")) throw new Error(`the router had no mapping of ${this.name}`);
  }

  /** Another address, as from a DHCP server that has forgotten the lease. */
  renumber() {
    const at = (host) => `10.20.${this.number}.${host}/24`;
    run("ip", "-n", this.namespace, "address", "delete", at(this.host), "dev", "eth0");
    this.host += 1;
    run("ip", "-n", this.namespace, "address", "add", at(this.host), "dev", "eth0");
    this.route(`10.20.${this.number}.1`);
  }

  get address() {
    return `10.20.${this.number}.${this.host}`;
  }

  /** So many more addresses in its network; all that it has. */
  addresses(count) {
    const more = Array.from({ length: count }, (_, number) => `10.20.${this.number}.${100 + number}`);
    for (const address of more) run("ip", "-n", this.namespace, "address", "add", `${address}/24`, "dev", "eth0");
    return [this.address, ...more];
  }

  /** A program that runs `command` inside. */
  wrapper(command) {
    const folder = join(this.district.folder, "bin");
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${this.device}-${command.split("/").at(-1)}`);
    writeFileSync(file, `#!/bin/sh\nexec ip netns exec ${this.namespace} ${command} "$@"\n`);
    chmodSync(file, 0o755);
    return file;
  }

  async remove() {
    if (this.process?.exitCode === null) {
      const ended = once(this.process, "exit");
      this.process.stdin.end();
      await ended;
    }
    this.district.removeNamespace(this.namespace);
  }
}
