import type { Participant } from '../lib/protocol';

export type Panel = 'people' | 'chat';

/** Which panels and dialogs are open. */
export class Panels {
  open: Panel | null = $state(null);
  settings = $state(false);
  leaving = $state(false);
  /** Whom the teacher is about to remove. */
  removing: Participant | null = $state.raw(null);
  /** This teacher is the one whom the class follows. */
  leadsView = $state(false);
  /** How many messages had come when the chat was last seen. */
  chatRead = $state(0);

  toggle(panel: Panel): void {
    this.open = this.open === panel ? null : panel;
  }
}
