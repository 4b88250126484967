import { t } from '../lib/i18n';
import type { Participant } from '../lib/protocol';

/** The state of somebody's line with its plain cause. */
export function qualityWords(one: Participant): string {
  if (!one.connected) return t('quality-away');
  switch (one.quality) {
    case null:
      return '';
    case 'poor':
      return one.loss_percent > 0
        ? t('quality-poor-loss', { percent: Math.round(one.loss_percent) })
        : t('quality-poor');
    default:
      return t(`quality-${one.quality}`);
  }
}
