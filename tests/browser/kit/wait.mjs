// Waiting on conditions, never for a time.

export const DEADLINE_MS = 30_000;

/** Polls `condition` until it returns something true; fails with `what` and the last value seen. */
export async function until(what, condition, deadlineMs = DEADLINE_MS) {
  const end = Date.now() + deadlineMs;
  let last;
  for (;;) {
    try {
      last = await condition();
      if (last) return last;
    } catch (error) {
      last = error.message;
    }
    if (Date.now() > end) {
      throw new Error(`${what}: not within ${deadlineMs} ms (last seen: ${JSON.stringify(last)})`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
