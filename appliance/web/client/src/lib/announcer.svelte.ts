import { t } from './i18n';

const BATCH_MS = 900;
const TOAST_MS = 6000;
const TOASTS_MAX = 3;

export interface Toast {
  id: number;
  text: string;
  tone: 'plain' | 'warn';
}

/**
 * Messages to the person: short-lived notes on the screen and one polite live region. Messages which
 * come close together are read as one, so that thirty joins do not drown the teacher's screen reader.
 */
class Announcer {
  spoken = $state('');
  toasts: Toast[] = $state([]);
  private queue: string[] = [];
  private joined: string[] = [];
  private timer: ReturnType<typeof setTimeout> | null = null;
  private nextId = 1;

  say(text: string): void {
    this.queue.push(text);
    this.schedule();
  }

  someoneJoined(name: string): void {
    this.joined.push(name);
    this.schedule();
  }

  toast(text: string, tone: Toast['tone'] = 'plain'): void {
    const toast = { id: this.nextId++, text, tone };
    this.toasts = [...this.toasts, toast].slice(-TOASTS_MAX);
    setTimeout(() => this.dismiss(toast.id), TOAST_MS);
    this.say(text);
  }

  dismiss(id: number): void {
    this.toasts = this.toasts.filter((one) => one.id !== id);
  }

  private schedule(): void {
    this.timer ??= setTimeout(() => this.flush(), BATCH_MS);
  }

  private flush(): void {
    this.timer = null;
    const joined = this.joined.splice(0);
    if (joined.length === 1) this.queue.push(t('say-joined', { name: joined[0] ?? '' }));
    else if (joined.length > 1) this.queue.push(t('say-joined-many', { count: joined.length }));
    this.spoken = this.queue.splice(0).join(' ');
  }
}

export const announcer = new Announcer();
