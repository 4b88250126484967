// The lesson as telemetry looks at it.

import type { Lesson } from './lesson.svelte';
import { leads } from './protocol';
import type { Watched } from './telemetry';

export function watched(lesson: Lesson): Watched {
  return {
    status: () => lesson.media.status,
    stats: async () => {
      const peers = lesson.media.peers;
      return Promise.all([peers?.publisher.getStats(), peers?.subscriber?.getStats()]);
    },
    teachers: () => {
      const teaching = lesson.people.filter((one) => leads(one.role));
      const pictures = teaching.map((one) => lesson.media.people.get(one.identity)?.camera?.mediaStreamTrack.id);
      return new Set(pictures.filter((id) => id !== undefined));
    },
    trouble: (kind) => lesson.own.trouble[kind],
    microphoneSilent: () => lesson.own.microphoneDead,
    soundBlocked: () => lesson.media.soundBlocked,
  };
}
