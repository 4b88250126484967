// Numbered scenarios: each runs once and is reported on a line that tests/run counts.

const failures = [];
let onFailure = async () => {};

/** What to do after a failed scenario, given its id: pictures of what everybody saw. */
export function whenFailed(run) {
  onFailure = run;
}

/** Runs one scenario. A later one that stands on a failed earlier one fails by itself. */
export async function scenario(id, title, run) {
  const start = Date.now();
  try {
    await run();
    console.log(`scenario ${id} ok ${title} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failures.push(id);
    console.log(`scenario ${id} FAIL ${title}: ${error.stack ?? error}`);
    await onFailure(id).catch((problem) => console.log(`no pictures: ${problem.message}`));
  }
}

export function report() {
  process.exitCode = failures.length ? 1 : 0;
}

/** A measured figure, in the one form that every bench prints. */
export function figure(name, value, unit) {
  console.log(`figure ${name} ${value} ${unit}`);
}
