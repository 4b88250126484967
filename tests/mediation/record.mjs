// What these scenarios share: the record as it stands in its file, and a check.

import { execFileSync } from "node:child_process";

const READ = `
import json, sqlite3, sys
database = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
rows = database.execute("SELECT seq, body FROM entry ORDER BY seq")
print(json.dumps([{"seq": seq, **json.loads(body)} for (seq, body) in rows]))
`;

/** All entries of a record, in order. */
export const readRecord = (database) =>
  JSON.parse(execFileSync(process.env.BELFRY_PYTHON, ["-c", READ, database], { encoding: "utf8", maxBuffer: 1 << 28 }));

export function check(condition, what) {
  if (!condition) throw new Error(what);
}
