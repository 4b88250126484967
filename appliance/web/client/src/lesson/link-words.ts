import { t } from '../lib/i18n';
import type { LinkState, Participant } from '../lib/protocol';
import { qualityWords } from './quality';

/** How much comes through to somebody, and why not more, for those who lead: "Wi-Fi loss 12 %. All pictures are off." */
export function linkWords(one: Participant, link: LinkState | undefined): string {
  if (!one.connected || !link || link.carried === 'all') return qualityWords(one);
  return `${causeWords(link)} ${t(`link-of-${link.carried}`)}`;
}

function causeWords({ cause, loss_percent }: LinkState): string {
  if (cause === 'loss') return t('link-cause-loss', { percent: Math.round(loss_percent) });
  return cause === 'bandwidth' ? t('link-cause-bandwidth') : t('link-cause-none');
}

/** Whether the mark beside a name is a warning. */
export function isWeak(one: Participant, link: LinkState | undefined): boolean {
  const less = link !== undefined && link.carried !== 'all' && link.carried !== 'softer';
  return one.quality === 'poor' || less;
}
