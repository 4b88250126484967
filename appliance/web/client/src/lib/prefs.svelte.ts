// What this device remembers: only choices of the person, nothing about the lesson or others.

const KEY = 'belfry.prefs';

export interface Prefs {
  microphone: string | null;
  camera: string | null;
  speaker: string | null;
  /** Null until chosen: a teacher then joins with sound, a student without. */
  joinWithMicrophone: boolean | null;
  joinWithCamera: boolean;
  quickJoin: boolean;
  shortcuts: boolean;
  pushToTalk: boolean;
  moreVideo: boolean;
  speakerView: boolean;
  mirrorSelf: boolean;
}

const initial: Prefs = {
  microphone: null,
  camera: null,
  speaker: null,
  joinWithMicrophone: null,
  joinWithCamera: true,
  quickJoin: false,
  shortcuts: true,
  pushToTalk: false,
  moreVideo: false,
  speakerView: false,
  mirrorSelf: true,
};

function read(): Prefs {
  try {
    return { ...initial, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Prefs>) };
  } catch {
    return { ...initial };
  }
}

export const prefs: Prefs = $state(read());

export function savePrefs(change: Partial<Prefs>): void {
  Object.assign(prefs, change);
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs));
  } catch {
    // Storage is off on this device: the choice lasts as long as the page.
  }
}
