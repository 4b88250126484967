// Starts an appliance with the demo school, runs a command that finds it by its environment, stops it.
//
//   node with-appliance.mjs COMMAND ARGUMENT...
//
// BELFRY_URL, BELFRY_ROOT (certificate), and for each demo account that the
// console told of BELFRY_TEACHER, BELFRY_STUDENT, BELFRY_ADMIN as USER/PASSWORD; BELFRY_SIGN_INS names a file with all.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Appliance } from "./kit/appliance.mjs";

const [command, ...args] = process.argv.slice(2);
const appliance = await Appliance.start();
const account = (who) => Object.values(appliance.signIn(who)).join("/");
const signIns = join(appliance.data, "sign-ins");
writeFileSync(signIns, appliance.signIns().map((one) => `${one.role} ${one.username} ${one.password}\n`).join(""));
const child = spawn(command, args, {
  stdio: "inherit",
  env: {
    ...process.env,
    BELFRY_URL: appliance.url,
    BELFRY_ROOT: appliance.rootCertificate,
    BELFRY_SIGN_INS: signIns,
    BELFRY_TEACHER: account("teacher"),
    BELFRY_STUDENT: account("student"),
    BELFRY_ADMIN: account("admin"),
    SSL_CERT_FILE: appliance.rootCertificate,
    NODE_EXTRA_CA_CERTS: appliance.rootCertificate,
  },
});
const [status] = await once(child, "exit");
if (status !== 0) console.error(appliance.log.slice(-8000));
await appliance.stop();
process.exitCode = status ?? 1;
