import type { Attachment } from 'svelte/attachments';

/**
 * Puts the keyboard at the heading of a page that took the place of another, so that the next Tab and
 * the next word of a screen reader start there and not at the top of the document.
 */
export function focusHere(wanted = true): Attachment<HTMLElement> {
  return (heading) => {
    heading.tabIndex = -1;
    if (wanted) heading.focus({ preventScroll: true });
  };
}
