// Single keys that act without a modifier. They can be switched off (WCAG 2.1.4).

export type ShortcutAction = 'microphone' | 'camera' | 'hand' | 'chat' | 'people';

export const shortcutKeys: Record<string, ShortcutAction> = {
  m: 'microphone',
  v: 'camera',
  h: 'hand',
  c: 'chat',
  p: 'people',
};

interface KeyPress {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  repeat: boolean;
}

export function shortcutOf(press: KeyPress): ShortcutAction | null {
  if (press.ctrlKey || press.metaKey || press.altKey || press.repeat) return null;
  return shortcutKeys[press.key.toLowerCase()] ?? null;
}

/** Whether a key pressed here belongs to the thing that has the focus. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input, textarea, select, [contenteditable], [role="menu"], [role="dialog"]') !== null;
}

/** Space presses buttons and scrolls; it talks only where nothing else wants it. */
export function spaceIsFree(target: EventTarget | null): boolean {
  return !isTyping(target) && !(target instanceof Element && target.closest('button, a, summary, [tabindex]:not([tabindex="-1"])') !== null);
}
