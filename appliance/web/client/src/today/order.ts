import type { ClassToday } from '../lib/api';

/** How long before the bell the next class goes to the top. */
const SOON_MS = 15 * 60_000;

/** The class that matters now on top: the one that runs, else the one of this period, else soon. */
export function nowFirst(classes: ClassToday[], now: number): { now: ClassToday | null; rest: ClassToday[] } {
  const running = (one: ClassToday) => one.lesson !== null && one.lesson.phase !== 'ended';
  const inPeriod = (one: ClassToday) => one.starts_at <= now && (one.ends_at === null || now < one.ends_at);
  const soon = (one: ClassToday) => one.starts_at > now && one.starts_at - now <= SOON_MS;
  const first =
    classes.find((one) => running(one) && inPeriod(one)) ??
    classes.find(running) ??
    classes.find(inPeriod) ??
    classes.find(soon) ??
    null;
  return { now: first, rest: classes.filter((one) => one !== first) };
}
