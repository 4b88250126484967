import { announcer } from '../lib/announcer.svelte';
import { t } from '../lib/i18n';

/** Puts `text` on the clipboard and says so; where that is not allowed the text can be selected. */
export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    announcer.toast(t('copied'));
  } catch {
    announcer.toast(t('copy-by-hand'), 'warn');
  }
}
