// How much of the lesson comes through to this participant, and for those who lead, to the others.

import { Steady } from './path-steady';
import { CARRIED, type Identity, type LinkState } from './protocol';

const ALL: LinkState = { carried: 'all', cause: 'none', loss_percent: 0 };
const rank = (state: LinkState) => CARRIED.indexOf(state.carried);

export class Links {
  /** As it is shown: it does not flap. */
  own: LinkState = $state.raw(ALL);
  others: ReadonlyMap<Identity, LinkState> = $state.raw(new Map());
  private readonly steady = new Steady(ALL, rank, (state) => (this.own = state));

  take({ identity, ...state }: LinkState & { identity?: Identity }): void {
    // A newer server may know steps that this client does not.
    if (rank(state as LinkState) < 0) return;
    if (identity === undefined) {
      this.steady.take(state);
      return;
    }
    const others = new Map(this.others);
    if (state.carried === 'all') others.delete(identity);
    else others.set(identity, state);
    this.others = others;
  }

  /** The server is about to tell all states that are not `all`. */
  begin(): void {
    this.others = new Map();
    this.steady.take(ALL);
  }

  stop(): void {
    this.steady.stop();
  }
}
